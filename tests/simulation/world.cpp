#include "tests/simulation/world.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "proto/check.h"
#include "proto/uuid.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_box.h"
#include "tests/simulation/sim_cars.h"
#include "tests/simulation/sim_network.h"
#include "tests/simulation/sim_room.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kDay = 86'400'000 * kMs;
// A room that refuses is asked again after 30 s at the latest, and there are two of them.
constexpr std::int64_t kPatience = 180'000 * kMs;
constexpr std::size_t kTraceMax = 4000;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

class World {
 public:
  explicit World(const RunOptions& options)
      : options_(options),
        dice_(options.seed),
        ids_(options.seed ^ 0x9E3779B97F4A7C15U),
        network_(now_, dice_),
        room_(now_, network_, options.folder / "room"),
        box_(now_, network_, options.folder / "box", box_options()),
        cars_(now_, dice_, 1 + dice_.below(3)),
        plan_(FaultPlan::choose(dice_)) {
    set_id_source([this](std::span<std::uint8_t> out) {
      for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(ids_.next());
    });
  }
  ~World() { set_id_source({}); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  RunResult run() {
    chaos_until_ = now_ + dice_.between(500, 4'000) * kMs;
    while (now_ < chaos_until_ && result_.faults.empty()) {
      maybe_do_harm();
      turn();
    }
    heal();
    const std::int64_t quiet_until = now_ + 300 * kMs;
    while (now_ < quiet_until && result_.faults.empty()) turn();
    cars_.stop();
    settle();
    if (result_.faults.empty()) look();
    result_.simulated_ns = now_;
    return std::move(result_);
  }

 private:
  SimBox::Options box_options() {
    constexpr std::array kFlushMs = {20, 50, 100};
    const auto flush_ms = kFlushMs.at(dice_.below(kFlushMs.size()));
    // A commit is a step here; everybody's turn comes every 9 ms at the latest.
    constexpr int kTurnsMs = 30;
    plain_loss_ns_ = (flush_ms + kTurnsMs) * kMs;
    return {.flush_interval = std::chrono::milliseconds(flush_ms), .seed = options_.seed};
  }

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
    now_ += dice_.between(1, 9) * kMs;
    cars_.drive();
    revive();
    std::array<int, 5> order = {0, 1, 2, 3, 4};
    for (std::size_t i = order.size() - 1; i > 0; --i) {
      std::swap(order.at(i), order.at(dice_.below(i + 1)));
    }
    for (const int who : order) {
      if (who == 0) box_.receive(cars_);
      if (who == 1 && now_ >= recorder_stalls_until_) step_recorder();
      if (who == 2 && now_ >= link_stalls_until_) box_.step_link();
      if (who == 3) network_.step();
      if (who == 4) room_.step();
    }
    if (network_.is_cut() && now_ >= cut_until_) {
      network_.restore();
      tell("the network is back");
    }
    if (now_ >= box_power_fails_at_) cut_box_power();
    if (now_ >= room_power_fails_at_) cut_room_power();
    if (now_ >= small_until_) box_.grow_disk();
    if (now_ >= disks_bad_until_) {
      box_.disk().heal();
      room_.disk().heal();
    }
  }

  void step_recorder() {
    const auto before = box_.snapshot();
    box_.step_recorder();
    const auto after = box_.snapshot();
    if (after == nullptr || before == after) return;
    if (box_.is_settled()) {
      settled_packets_ = cars_.packets().size();
      slept_ns_ = 0;
    }
    if (const std::string law = box_.broken_law(); !law.empty()) fault("the law: " + law);
    if (before != nullptr && before->state != after->state) {
      tell("recorder is " + std::string(to_string(after->state)) + " " + after->error);
    }
    if (before == nullptr || before->last_sequence != after->last_sequence ||
        before->incarnation != after->incarnation) {
      tell("journal " + std::to_string(after->incarnation % 10'000) + " holds " +
           std::to_string(after->last_sequence));
    }
  }

  void revive() {
    std::string why;
    if (!box_.is_up() && now_ >= box_starts_at_) {
      if (box_.start(why)) {
        box_has_power_ = true;
        box_started_at_ = now_;
        const auto now = box_.snapshot();
        tell("the daemon is up, journal " + std::to_string(now->incarnation % 10'000) + " holds " +
             std::to_string(now->last_sequence));
      } else {
        tell("the daemon cannot start: " + why);
        box_starts_at_ = now_ + 200 * kMs;
      }
    }
    if (!room_.is_up() && now_ >= room_starts_at_) {
      check_acknowledged();
      if (room_.start(why)) {
        tell("the room is up");
      } else {
        tell("the room cannot start: " + why);
        room_starts_at_ = now_ + 200 * kMs;
      }
    }
  }

  // What the room acknowledged survives its death, whatever it died of.
  void check_acknowledged() {
    const auto heads = box_.heads();
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

  void fill_box_disk() {
    box_.disk().set_full(true);
    disks_bad_until_ = now_ + dice_.between(50, 2'000) * kMs;
    tell("the box's disk is full");
  }

  void shrink_box_disk() {
    box_.shrink_disk(dice_.below(128) << 10U);
    small_until_ = now_ + dice_.between(200, 3'000) * kMs;
    tell("the box's disk is small");
  }

  void break_box_disk() { break_disk(box_.disk(), "the box's"); }

  void break_room_disk() {
    room_disk_was_broken_ = true;
    break_disk(room_.disk(), "the room's");
  }

  // A sync that fails is worst shortly before a power cut.
  void fail_box_sync() {
    box_.disk().fail_sync();
    disks_bad_until_ = now_ + 500 * kMs;
    if (dice_.one_in(2)) box_power_fails_at_ = now_ + dice_.between(20, 1'500) * kMs;
    tell("the box's next sync fails");
  }

  void fail_room_sync() {
    room_disk_was_broken_ = true;
    room_.disk().fail_sync();
    disks_bad_until_ = now_ + 500 * kMs;
    if (dice_.one_in(2)) room_power_fails_at_ = now_ + dice_.between(20, 1'500) * kMs;
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
    room_starts_at_ = now_ + dice_.between(5, 1'500) * kMs;
    tell("the room is gone");
  }

  void cut_network() {
    network_.cut();
    cut_until_ = now_ + dice_.between(20, 4'000) * kMs;
    tell("the network is cut");
  }

  void reset_connection() {
    network_.reset_one();
    tell("a connection is reset");
  }

  void step_wall_clock() {
    box_.clock().step_wall(dice_.between(-1, 1) * kDay + dice_.between(-5'000, 5'000) * kMs);
    tell("the wall clock jumps");
  }

  // 1970 first, today at a moment of chance.
  void lose_wall_clock() {
    dice_.one_in(2) ? box_.clock().forget_wall() : box_.clock().set_wall();
    tell("the wall clock is set");
  }

  // Everything stands still, boot time goes on, and the other end has long hung up.
  void suspend() {
    const std::int64_t slept = dice_.between(1, 7'200) * 1'000 * kMs;
    now_ += slept;
    slept_ns_ += slept;
    // What goes on, goes on afterwards.
    for (std::int64_t* until : {&chaos_until_, &recorder_stalls_until_, &disks_bad_until_,
                                &box_started_at_, &small_until_}) {
      *until += slept;
    }
    cars_.skip();
    network_.reset_one();
    tell("the box was suspended");
  }

  void stall_recorder() {
    recorder_stalls_until_ = now_ + dice_.between(10, 800) * kMs;
    tell("the recorder stands still");
  }

  void stall_link() {
    link_stalls_until_ = now_ + dice_.between(10, 3'000) * kMs;
    tell("the link stands still");
  }

  void command_session() {
    if (dice_.one_in(2)) {
      if (box_.submit(EndSession{})) tell("a session is to end");
      return;
    }
    StartSession start;
    start.name = "FP1";
    if (box_.submit(start)) tell("a session is to start");
  }

  void kill_box() {
    if (!box_.is_up()) return;
    box_.kill();
    ++result_.kills;
    box_starts_at_ = now_ + dice_.between(1, 400) * kMs;
    tell("the daemon is killed");
  }

  void cut_box_power() {
    box_power_fails_at_ = kNever;
    if (!std::exchange(box_has_power_, false)) return;
    const std::size_t heard = cars_.packets().size();
    windows_.push_back({.from = settled_packets_,
                        .until = heard,
                        .cut_ns = now_,
                        .slept_ns = slept_ns_,
                        .is_plain = is_plain_now()});
    box_.cut_power(dice_);
    cars_.cut_power();
    ++result_.power_cuts;
    box_starts_at_ = now_ + dice_.between(100, 1'000) * kMs;
    tell("the box loses power; " + std::to_string(heard - settled_packets_) +
         " datagrams were not durable");
  }

  // Nothing was wrong for a while that keeps the recorder from committing.
  bool is_plain_now() const {
    constexpr std::int64_t kAfter = 500 * kMs;
    const auto now = box_.snapshot();
    return now != nullptr && now->state != RecorderState::kHolding &&
           now_ >=
               std::max({recorder_stalls_until_, disks_bad_until_, box_started_at_, small_until_}) +
                   kAfter;
  }

  void break_disk(SimDisk::Machine& disk, const std::string& whose) {
    constexpr std::array kCodes = {SQLITE_IOERR, SQLITE_FULL};
    const std::uint64_t count = dice_.one_in(3) ? 1'000'000 : 1 + dice_.below(3);
    disk.fail(disk.operations() + dice_.below(40), count, kCodes.at(dice_.below(kCodes.size())));
    disks_bad_until_ = now_ + dice_.between(20, 1'000) * kMs;
    tell(whose + " disk breaks");
  }

  // Somebody copies the live journal over itself while the daemon is down: another inode.
  void replace_journals() {
    kill_box();
    if (box_.is_up() || !fs::exists(box_.state() / "sessions")) return;
    std::vector<fs::path> journals;
    for (const auto& session : fs::directory_iterator(box_.state() / "sessions")) {
      if (!session.is_directory()) continue;
      for (const auto& file : fs::directory_iterator(session.path())) {
        if (file.path().extension() == ".db") journals.push_back(file.path());
      }
    }
    std::sort(journals.begin(), journals.end());
    for (const fs::path& journal : journals) {
      if (!dice_.one_in(2)) continue;
      const fs::path copy = journal.string() + ".copy";
      fs::copy_file(journal, copy, fs::copy_options::overwrite_existing);
      fs::rename(copy, journal);
      tell("a journal is replaced by its copy");
    }
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
    room_starts_at_ = now_ + dice_.between(5, 300) * kMs;
  }

  void heal() {
    tell("--- no more faults");
    network_.restore();
    box_.disk().heal();
    room_.disk().heal();
    recorder_stalls_until_ = link_stalls_until_ = small_until_ = 0;
    box_power_fails_at_ = room_power_fails_at_ = kNever;
    box_starts_at_ = room_starts_at_ = now_;
  }

  // The session ends, and everything gets to the room.
  void settle() {
    const std::int64_t give_up_at = now_ + kPatience;
    std::int64_t end_again_at = now_ + 500 * kMs;
    while (now_ < give_up_at && result_.faults.empty()) {
      turn();
      if (cars_.has_waiting()) continue;
      const auto snapshot = box_.snapshot();
      if (snapshot != nullptr && snapshot->session && now_ >= end_again_at) {
        if (box_.submit(EndSession{})) tell("the last session is to end");
        end_again_at = now_ + 1'000 * kMs;
      }
      if (snapshot != nullptr && !snapshot->session && box_.is_finished()) return;
    }
    if (result_.faults.empty()) {
      fault("after " + std::to_string(kPatience / kMs) +
            " ms without faults the rooms are not complete:" + box_.unfinished());
    }
  }

  void look() {
    room_.stop();
    if (room_.store_failures() != 0 && !room_disk_was_broken_) {
      fault("the room's store failed on a healthy disk");
    }
    box_.kill();
    const Findings found = judge(room_.store(), box_.state(), cars_, windows_, plain_loss_ns_);
    for (const std::string& one : found.faults) fault(one);
    result_.rows = found.rows;
    result_.lost_rows = found.lost_rows;
    result_.given_up_rows = found.given_up_rows;
    for (std::size_t i = 0; i < windows_.size(); ++i) {
      (windows_[i].is_plain ? result_.plain_losses_ns : result_.other_losses_ns)
          .push_back(found.losses_ns[i]);
    }
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
      &World::shrink_box_disk,  &World::lose_wall_clock, &World::suspend};

  const RunOptions options_;
  std::int64_t plain_loss_ns_ = 0;
  std::int64_t now_ = 0;
  Dice dice_;
  Dice ids_;
  SimNetwork network_;
  SimRoom room_;
  SimBox box_;
  SimCars cars_;
  const FaultPlan plan_;
  std::vector<LossWindow> windows_;
  std::int64_t slept_ns_ = 0;        // Since then.
  std::size_t settled_packets_ = 0;  // So many of SimCars::packets() are durable.
  bool box_has_power_ = true;
  std::int64_t box_power_fails_at_ = kNever;
  std::int64_t room_power_fails_at_ = kNever;
  bool room_was_restored_ = false;
  bool room_disk_was_broken_ = false;
  std::int64_t chaos_until_ = 0;
  std::int64_t box_starts_at_ = 0;
  std::int64_t box_started_at_ = 0;
  std::int64_t small_until_ = 0;
  std::int64_t room_starts_at_ = 0;
  std::int64_t cut_until_ = 0;
  std::int64_t disks_bad_until_ = 0;
  std::int64_t recorder_stalls_until_ = 0;
  std::int64_t link_stalls_until_ = 0;
  RunResult result_;
};

}  // namespace

RunResult run_world(const RunOptions& options) {
  fs::remove_all(options.folder);
  fs::create_directories(options.folder / "room");
  fs::create_directories(options.folder / "box");
  SimDisk::instance();
  RunResult result = World(options).run();
  if (result.faults.empty()) fs::remove_all(options.folder);
  return result;
}

}  // namespace pitbox::simulation
