// Site: a laptop beside the track in a simulated run, the cars it hears, what is done to it, and
// the books about what it may have lost.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/simulation/dice.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_box.h"
#include "tests/simulation/sim_cars.h"
#include "tests/simulation/sim_network.h"

namespace pitbox::simulation {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

class Site {
 public:
  struct Options {
    SimBox::Options box;
    std::string name;  // For the trace.
    std::size_t cars = 1;
    std::size_t first_car = 7;
    std::int64_t plain_loss_ns = 0;  // The most that a plain power cut may cost.
  };
  struct Talk {
    std::function<void(const std::string&)> tell;
    std::function<void(const std::string&)> fault;  // A broken promise.
  };
  Site(const std::int64_t& world_ns, Dice& dice, SimNetwork& network,
       const std::filesystem::path& folder, const Options& options, Talk talk);

  // Everybody's work, a little of it.
  void drive() { cars_.drive(); }
  void revive();
  void receive() { box_.receive(cars_); }
  void step_recorder();
  void step_link();
  // What was due by now: a power cut that was prepared, the end of a fault.
  void pass();
  void heal();  // No more faults.
  // While it is settling: ends the session that is open. True: there is nothing left to do.
  bool is_finished(std::int64_t end_again_every);
  void stop_cars() { cars_.stop(); }

  // Harm.
  void kill();
  void cut_power();
  void break_disk();
  void fill_disk();
  void fail_sync();
  void shrink_disk();
  void step_wall_clock();
  void lose_wall_clock();
  void suspend(std::int64_t slept_ns);  // The world's time has jumped by so much.
  void stall_recorder();
  void stall_link();
  void command_session();
  // Somebody copies journals over themselves while the daemon is down: another inode.
  void replace_journals();
  // Somebody copies the state directory, or puts an older copy of all of it or of one journal back.
  void restore();
  // The state directory is copied to another laptop: `twin` goes on under the same identity. With
  // an image of the disk the files even have the same inodes, as far as box.db can tell.
  void clone_to(Site& twin);

  bool has_state() const { return settled_packets_ != 0; }  // Something was journaled.
  SimBox& box() { return box_; }
  const SimBox& box() const { return box_; }
  Party party() const;
  std::uint64_t kills() const { return kills_; }
  std::uint64_t power_cuts() const { return power_cuts_; }

 private:
  bool is_plain_now() const;
  std::vector<std::filesystem::path> journals() const;
  void put_back_journal(const std::filesystem::path& journal);
  void put_back_state();
  static void take_inodes(const std::filesystem::path& state);
  void tell(const std::string& what) { talk_.tell(options_.name + what); }

  const std::int64_t& now_;
  Dice& dice_;
  const std::filesystem::path folder_;
  const Options options_;
  const Talk talk_;
  SimBox box_;
  SimCars cars_;

  std::vector<LossWindow> windows_;
  std::size_t settled_packets_ = 0;  // So many of SimCars::packets() are durable.
  std::int64_t slept_ns_ = 0;        // Since then.
  std::uint64_t rejected_before_ =
      0;  // Rows that the journals it was cloned with say were rejected.
  std::uint64_t kills_ = 0;
  std::uint64_t power_cuts_ = 0;
  bool was_disk_small_ = false;
  bool has_power_ = true;
  bool has_backup_ = false;
  std::size_t settled_at_backup_ = 0;

  std::int64_t starts_at_ = 0;
  std::int64_t started_at_ = 0;
  std::int64_t held_at_ = 0;  // When the recorder last could not journal.
  std::int64_t power_fails_at_ = kNever;
  std::int64_t small_until_ = 0;
  std::int64_t disk_bad_until_ = 0;
  std::int64_t recorder_stalls_until_ = 0;
  std::int64_t link_stalls_until_ = 0;
  std::int64_t end_again_at_ = 0;
};

}  // namespace pitbox::simulation
