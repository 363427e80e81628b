// SimBox: a pit-box laptop in a simulated run: its clocks, disk and ring, and, while its daemon
// lives, the real recorder and the real link over them.
//
// Threads: one. (The link's resolver has a thread that is never asked: addresses are numeric.)

#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "buffer/recorder.h"
#include "sync/journal_entry_source.h"
#include "sync/link.h"
#include "tests/simulation/sim_cars.h"
#include "tests/simulation/sim_clock.h"
#include "tests/simulation/sim_disk.h"
#include "tests/simulation/sim_network.h"

namespace pitbox::simulation {

class SimBox {
 public:
  struct Options {
    std::chrono::nanoseconds flush_interval = std::chrono::milliseconds(100);
    std::uint64_t seed = 1;
    unsigned number = 0;  // Of the machine.
  };
  SimBox(const std::int64_t& world_ns, SimNetwork& network, const std::filesystem::path& folder,
         const Options& options);
  ~SimBox();
  SimBox(const SimBox&) = delete;
  SimBox& operator=(const SimBox&) = delete;

  bool is_up() const { return recorder_ != nullptr; }
  // False, with the reason in `why`, if the daemon would end at once (and be started again).
  bool start(std::string& why);
  void kill();
  // Kills it; the ring and what was not synced are gone.
  void cut_power(Dice& dice);

  void receive(SimCars& cars);
  void step_recorder();
  void step_link();
  // The session commands of `pitbox`; one at a time, false while one is carried out.
  bool submit(SessionCommand command);

  // The ring's file, for a look at it. REQUIRES: not is_up().
  std::unique_ptr<MessageRing> open_ring() const;

  // All that the ring ever took is durable, as far as the last step of the recorder can tell.
  bool is_settled() const;
  // The ring is read, every session ended, and the room holds all of it, as far as the box knows.
  bool is_finished() const;
  // What is to be sent, and what of it the box has written down as acknowledged; null if down.
  std::shared_ptr<const JournalHeads> heads() const;
  // What the box still waits for, for a person.
  std::string unfinished() const;
  // Empty, or which promise the daemon's own counters show broken.
  std::string broken_law() const;

  // A disk of kDiskBytes that has room for so much more than the journals take now.
  void shrink_disk(std::uint64_t room_bytes);
  void grow_disk() { disk_bytes_.reset(); }

  SimClock& clock() { return clock_; }
  SimDisk::Machine& disk() { return disk_; }
  std::filesystem::path state() const { return folder_ / "state"; }
  std::shared_ptr<const RecorderSnapshot> snapshot() const;

 private:
  MessageRing::Options ring_options() const;
  Result<DiskSpace> space() const;
  std::uint64_t journal_bytes() const;

  static constexpr std::uint64_t kDiskBytes = std::uint64_t{1} << 20;
  SimNetwork& network_;
  const std::filesystem::path folder_;
  const Options options_;
  SimClock clock_;
  SimDisk::Machine disk_;
  std::uint64_t lives_ = 0;
  std::optional<std::uint64_t> disk_bytes_;  // None: it is great.

  // While it is up; in the order in which they are made.
  std::unique_ptr<MessageRing> ring_;
  std::unique_ptr<Recorder> recorder_;
  std::optional<JournalEntrySource> entries_;
  std::unique_ptr<Link> link_;
  RoomTransport* transport_ = nullptr;  // The link's.
  std::optional<std::future<CommandResult>> command_;
};

}  // namespace pitbox::simulation
