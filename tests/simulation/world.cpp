#include "tests/simulation/world.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

#include "buffer/clock.h"
#include "proto/check.h"
#include "proto/uuid.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_network.h"
#include "tests/simulation/sim_room.h"
#include "tests/simulation/site.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

// A room that refuses is asked again after 30 s at the latest, and there are two of them; two boxes
// that claim one session take turns of 30 s.
constexpr std::int64_t kPatience = 180'000 * kNsPerMs;
constexpr std::int64_t kPatienceWithTwin = 600'000 * kNsPerMs;
constexpr std::int64_t kEndAgainEvery = 1'000 * kNsPerMs;
constexpr std::size_t kTraceMax = 4000;
constexpr std::size_t kTwinsFirstCar = 101;

class World {
 public:
  explicit World(const RunOptions& options)
      : options_(options),
        dice_(options.seed),
        ids_(options.seed ^ 0x9E3779B97F4A7C15U),
        network_(now_, dice_),
        room_(now_, network_, options.folder / "room"),
        plan_(FaultPlan::choose(dice_)) {
    set_id_source([this](std::span<std::uint8_t> out) {
      for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(ids_.next());
    });
    add_site({});
  }
  ~World() { set_id_source({}); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  RunResult run() {
    chaos_until_ = now_ + dice_.between(500, 4'000) * kNsPerMs;
    while (now_ < chaos_until_ && result_.faults.empty()) {
      maybe_do_harm();
      turn();
    }
    heal();
    const std::int64_t quiet_until = now_ + 300 * kNsPerMs;
    while (now_ < quiet_until && result_.faults.empty()) turn();
    for (const auto& site : sites_) site->stop_cars();
    settle();
    if (result_.faults.empty()) look();
    result_.simulated_ns = now_;
    return std::move(result_);
  }

 private:
  Site& add_site(const std::string& name) {
    constexpr std::array kFlushMs = {20, 50, 100};
    const auto flush_ms = kFlushMs.at(dice_.below(kFlushMs.size()));
    // A commit is a step here; everybody's turn comes every 9 ms at the latest.
    constexpr int kTurnsMs = 30;
    const auto number = static_cast<unsigned>(sites_.size());
    Site::Options options{.box = {.flush_interval = std::chrono::milliseconds(flush_ms),
                                  .seed = options_.seed + number,
                                  .number = number},
                          .name = name,
                          .cars = 1 + dice_.below(3),
                          .plain_loss_ns = (flush_ms + kTurnsMs) * kNsPerMs};
    if (number != 0) options.first_car = kTwinsFirstCar;
    const fs::path folder = options_.folder / ("box" + std::to_string(number));
    fs::create_directories(folder);
    sites_.push_back(std::make_unique<Site>(
        now_, dice_, network_, folder, options,
        Site::Talk{.tell = [this](const std::string& what) { tell(what); },
                   .fault = [this](const std::string& what) { fault(what); }}));
    return *sites_.back();
  }

  // One of them.
  Site& site() { return *sites_[sites_.size() == 1 ? 0 : dice_.below(sites_.size())]; }

  void tell(const std::string& what) {
    std::array<char, 32> when{};
    std::snprintf(when.data(), when.size(), "%10.3f  ", static_cast<double>(now_) / 1e9);
    const std::string line = when.data() + what;
    result_.digest = XXH3_64bits_withSeed(line.data(), line.size(), result_.digest);
    if (!options_.keeps_trace) return;
    if (result_.trace.size() >= kTraceMax) result_.trace.erase(result_.trace.begin());
    result_.trace.push_back(line);
  }

  void fault(const std::string& what) {
    tell("BROKEN: " + what);
    result_.faults.push_back(what);
  }

  // Some milliseconds of everybody's work, in an order of chance.
  void turn() {
    now_ += dice_.between(1, 9) * kNsPerMs;
    for (const auto& site : sites_) site->drive();
    revive();
    std::array<int, 5> order = {0, 1, 2, 3, 4};
    for (std::size_t i = order.size() - 1; i > 0; --i) {
      std::swap(order.at(i), order.at(dice_.below(i + 1)));
    }
    for (const int who : order) {
      if (who == 3) network_.step();
      if (who == 4) room_.step();
      for (const auto& site : sites_) {
        if (who == 0) site->receive();
        if (who == 1) site->step_recorder();
        if (who == 2) site->step_link();
      }
    }
    if (network_.is_cut() && now_ >= cut_until_) {
      network_.restore();
      tell("the network is back");
    }
    for (const auto& site : sites_) site->pass();
    if (now_ >= room_power_fails_at_) cut_room_power();
    if (now_ >= room_disk_bad_until_) room_.disk().heal();
  }

  void revive() {
    for (const auto& site : sites_) site->revive();
    if (room_.is_up() || now_ < room_starts_at_) return;
    for (const auto& site : sites_) check_acknowledged(site->box());
    std::string why;
    if (room_.start(why)) {
      tell("the room is up");
    } else {
      tell("the room cannot start: " + why);
      room_starts_at_ = now_ + 200 * kNsPerMs;
    }
  }

  // What the room acknowledged survives its death, whatever it died of.
  void check_acknowledged(const SimBox& box) {
    const auto heads = box.heads();
    if (heads == nullptr || room_was_restored_) return;
    for (const SessionHeads& session : heads->sessions) {
      auto held = room_.held(session.info.id);
      if (!held) return;
      for (const FileHead& file : session.files) {
        for (const Range& range : file.acknowledged.ranges()) {
          if ((*held)[file.incarnation].contains(range)) continue;
          fault("the room acknowledged " + std::to_string(range.first) + ".." +
                std::to_string(range.last) + ", and it is not on its disk");
        }
      }
    }
  }

  void maybe_do_harm() {
    for (std::size_t i = 0; i < kHarms; ++i) {
      if (plan_.comes(static_cast<Harm>(i), dice_)) (this->*kActs.at(i))();
    }
  }

  void kill_box() { site().kill(); }
  void cut_box_power() { site().cut_power(); }
  void fill_box_disk() { site().fill_disk(); }
  void shrink_box_disk() { site().shrink_disk(); }
  void break_box_disk() { site().break_disk(); }
  void fail_box_sync() { site().fail_sync(); }
  void step_wall_clock() { site().step_wall_clock(); }
  void lose_wall_clock() { site().lose_wall_clock(); }
  void stall_recorder() { site().stall_recorder(); }
  void stall_link() { site().stall_link(); }
  void command_session() { site().command_session(); }
  void replace_journals() { site().replace_journals(); }
  void restore_box() { site().restore(); }

  // Once: a second laptop with the first one's state, and cars of its own.
  void clone_box() {
    if (sites_.size() > 1 || !sites_.front()->has_state()) return;
    sites_.front()->clone_to(add_site("twin: "));
  }

  void break_room_disk() {
    room_disk_was_broken_ = true;
    room_disk_bad_until_ = now_ + room_.disk().break_down(dice_);
    tell("the room's disk breaks");
  }

  void fail_room_sync() {
    room_disk_was_broken_ = true;
    room_.disk().fail_sync();
    room_disk_bad_until_ = now_ + 500 * kNsPerMs;
    if (dice_.one_in(2)) room_power_fails_at_ = now_ + dice_.between(20, 1'500) * kNsPerMs;
    tell("the room's next sync fails");
  }

  void kill_room() {
    room_.kill();
    ++result_.kills;
    room_is_gone();
  }

  void cut_room_power() {
    room_power_fails_at_ = kNever;
    room_.cut_power(dice_);
    ++result_.power_cuts;
    room_is_gone();
  }

  void stop_room() {
    room_.stop();
    room_is_gone();
  }

  void room_is_gone() {
    room_starts_at_ = now_ + dice_.between(5, 1'500) * kNsPerMs;
    tell("the room is gone");
  }

  void cut_network() {
    network_.cut();
    cut_until_ = now_ + dice_.between(20, 4'000) * kNsPerMs;
    tell("the network is cut");
  }

  void reset_connection() {
    network_.reset_one();
    tell("a connection is reset");
  }

  // Everything stands still, boot time goes on, and the other end has long hung up.
  void suspend() {
    const std::int64_t slept = dice_.between(1, 7'200) * 1'000 * kNsPerMs;
    now_ += slept;
    chaos_until_ += slept;
    room_disk_bad_until_ += slept;
    for (const auto& site : sites_) site->suspend(slept);
    network_.reset_one();
    tell("all laptops were suspended");
  }

  void restore_room() {
    room_.stop();
    if (room_.has_backup() && dice_.one_in(2)) {
      room_.restore_backup();
      room_was_restored_ = true;
      tell("the room is restored from an older copy");
    } else {
      room_.back_up();
      tell("the room is backed up");
    }
    room_starts_at_ = now_ + dice_.between(5, 300) * kNsPerMs;
  }

  void heal() {
    tell("--- no more faults");
    network_.restore();
    room_.disk().heal();
    room_power_fails_at_ = kNever;
    room_starts_at_ = now_;
    for (const auto& site : sites_) site->heal();
  }

  // The sessions end, and everything gets to the room.
  void settle() {
    const std::int64_t patience = sites_.size() == 1 ? kPatience : kPatienceWithTwin;
    const std::int64_t give_up_at = now_ + patience;
    while (now_ < give_up_at && result_.faults.empty()) {
      turn();
      bool is_finished = true;
      for (const auto& site : sites_) is_finished &= site->is_finished(kEndAgainEvery);
      if (is_finished) return;
    }
    if (!result_.faults.empty()) return;
    std::string unfinished;
    for (const auto& site : sites_) unfinished += site->box().unfinished() + ";";
    fault("after " + std::to_string(patience / kNsPerMs) +
          " ms without faults the rooms are not complete:" + unfinished);
  }

  void look() {
    room_.stop();
    if (room_.store_failures() != 0 && !room_disk_was_broken_) {
      fault("the room's store failed on a healthy disk");
    }
    std::vector<Party> parties;
    for (const auto& site : sites_) {
      result_.kills += site->kills();
      result_.power_cuts += site->power_cuts();
      site->box().kill();
      parties.push_back(site->party());
    }
    Findings found = judge(room_.store(), parties, room_was_restored_);
    for (const std::string& one : found.faults) fault(one);
    result_.rows = found.rows;
    result_.lost_rows = found.lost_rows;
    result_.given_up_rows = found.given_up_rows;
    result_.journaled_batches = found.journaled_batches;
    result_.merged_batches = found.merged_batches;
    result_.plain_losses_ns = std::move(found.plain_losses_ns);
    result_.other_losses_ns = std::move(found.other_losses_ns);
    tell(std::to_string(found.rows) + " rows in " + std::to_string(found.sessions) + " rooms, " +
         std::to_string(found.lost_rows) + " lost in power cuts");
  }

  // In the order of Harm.
  static constexpr std::array<void (World::*)(), kHarms> kActs = {
      &World::kill_box,         &World::cut_box_power,   &World::break_box_disk,
      &World::fill_box_disk,    &World::kill_room,       &World::cut_room_power,
      &World::stop_room,        &World::break_room_disk, &World::cut_network,
      &World::reset_connection, &World::step_wall_clock, &World::stall_recorder,
      &World::stall_link,       &World::command_session, &World::replace_journals,
      &World::fail_box_sync,    &World::fail_room_sync,  &World::restore_room,
      &World::shrink_box_disk,  &World::lose_wall_clock, &World::suspend,
      &World::restore_box,      &World::clone_box};

  const RunOptions options_;
  std::int64_t now_ = 0;
  Dice dice_;
  Dice ids_;
  SimNetwork network_;
  SimRoom room_;
  const FaultPlan plan_;
  std::vector<std::unique_ptr<Site>> sites_;  // One or two.
  std::int64_t room_power_fails_at_ = kNever;
  bool room_was_restored_ = false;
  bool room_disk_was_broken_ = false;
  std::int64_t room_disk_bad_until_ = 0;
  std::int64_t chaos_until_ = 0;
  std::int64_t room_starts_at_ = 0;
  std::int64_t cut_until_ = 0;
  RunResult result_;
};

}  // namespace

RunResult run_world(const RunOptions& options) {
  fs::remove_all(options.folder);
  fs::create_directories(options.folder / "room");
  SimDisk::instance();
  RunResult result = World(options).run();
  if (result.faults.empty()) fs::remove_all(options.folder);
  return result;
}

}  // namespace pitbox::simulation
