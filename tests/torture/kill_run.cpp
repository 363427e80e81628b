#include "tests/torture/kill_run.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "apps/launch/stage.h"
#include "proto/uuid.h"
#include "tests/becomes_true.h"
#include "tests/torture/numbered_sender.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kShortestLife{2};
constexpr milliseconds kLongestStart{80};  // One life in four ends within this.
constexpr milliseconds kProgressEvery{5'000};

// One of the two programs: how many kills are still to come, and when the next one is due.
struct Victim {
  int kills = 0;
  int kills_wanted = 0;
  milliseconds lives{0};  // On average.
  steady_clock::time_point dies_at{};

  bool is_done() const { return kills >= kills_wanted; }
  bool is_due(steady_clock::time_point now) const { return !is_done() && now >= dies_at; }
  // It was started just now.
  void live(std::mt19937_64& random) {
    // Short lives are over on average at half of kLongestStart; the long ones make up for it.
    const bool is_short = random() % 4 == 0;
    const auto longest = is_short ? kLongestStart : (lives * 8 - kLongestStart) / 3;
    const auto range = static_cast<std::uint64_t>(std::max(longest, kShortestLife * 2).count());
    dies_at = steady_clock::now() + kShortestLife + milliseconds(random() % range);
  }
};

// Watches the socket's buffer for the moment when the daemon begins to empty it.
class ReceiveWatch {
 public:
  void begin() {
    began_ = steady_clock::now();
    most_ = 0;
  }
  // Milliseconds since begin(), the first time that the buffer holds less than before.
  std::optional<std::int64_t> look(const UdpHolder& socket) {
    const auto queued = socket.queued_bytes();
    if (!began_ || !queued.ok()) return std::nullopt;
    const std::uint64_t before = std::exchange(most_, std::max(most_, queued.value()));
    if (queued.value() >= before) return std::nullopt;
    const auto took = steady_clock::now() - *std::exchange(began_, std::nullopt);
    return std::chrono::duration_cast<milliseconds>(took).count();
  }
  bool is_watching() const { return began_.has_value(); }

 private:
  std::optional<steady_clock::time_point> began_;
  std::uint64_t most_ = 0;
};

class KillRun {
 public:
  explicit KillRun(const KillRunOptions& options) : options_(options), random_(options.seed) {}
  Result<KillReport> play();

 private:
  Status begin();
  Status kill_all();
  Status kill_daemon();
  Status kill_room();
  milliseconds room_lives() const;
  void report_progress();
  Status note_end_of_kills();

  const KillRunOptions& options_;
  std::mt19937_64 random_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<NumberedSender> sender_;
  const Uuid session_ = Uuid::mint();
  Victim daemon_;
  Victim room_;
  ReceiveWatch watch_;
  steady_clock::time_point began_;
  steady_clock::time_point next_progress_;
  KillReport report_;
};

Status KillRun::begin() {
  Stage::Options options;
  options.programs = options_.programs;
  options.folder = options_.folder;
  auto stage = Stage::set(options);
  if (!stage.ok()) return stage.status();
  stage_ = std::move(stage).take();
  report_.buffer_bytes = stage_->source().buffer_bytes();
  const nlohmann::json start{
      {"command", "session_start"}, {"name", "killed"}, {"id", session_.text()}};
  if (auto begun = stage_->ask(start.dump()); !begun.ok()) return begun.status();
  sender_ = std::make_unique<NumberedSender>(
      NumberedSender::Options{stage_->source().port(), options_.samples_per_second});
  // The one announcement of the definition is heard, and the room has been reached once.
  const bool is_running = becomes_true([&] {
    const auto view = status_of(*stage_);
    return view.ok() && view.value().records > 0 && view.value().state == "online";
  });
  if (!is_running) return {Code::kFatal, "the daemon did not get online"};

  daemon_ = {.kills_wanted = options_.daemon_kills, .lives = options_.daemon_lives};
  const int daemon_lives = std::max(options_.daemon_kills, 1);
  room_ = {.kills_wanted = options_.room_kills,
           .lives = options_.daemon_lives * daemon_lives / std::max(options_.room_kills, 1)};
  daemon_.live(random_);
  room_.live(random_);
  began_ = steady_clock::now();
  next_progress_ = began_ + kProgressEvery;
  return {};
}

Status KillRun::kill_daemon() {
  if (!stage_->daemon().is_running()) return {Code::kFatal, "the daemon ended by itself"};
  stage_->kill_daemon();
  ++daemon_.kills;
  if (Status started = stage_->exec_daemon(); !started.ok()) return started;
  watch_.begin();
  daemon_.live(random_);
  return {};
}

Status KillRun::kill_room() {
  if (!stage_->room().is_running()) return {Code::kFatal, "the room ended by itself"};
  stage_->kill_room();
  ++room_.kills;
  if (Status started = stage_->exec_room(); !started.ok()) return started;
  room_.lives = room_lives();
  room_.live(random_);
  return {};
}

// So that the last kills of both come at about the same time, whatever a kill takes.
milliseconds KillRun::room_lives() const {
  const auto gone = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began_);
  const int still = daemon_.kills_wanted - daemon_.kills;
  const int own = room_.kills_wanted - room_.kills;
  if (daemon_.kills == 0 || still <= 0 || own <= 0) return room_.lives;
  return gone * still / daemon_.kills / own;
}

Status KillRun::kill_all() {
  while (!daemon_.is_done() || !room_.is_done()) {
    const auto now = steady_clock::now();
    if (daemon_.is_due(now)) {
      if (Status killed = kill_daemon(); !killed.ok()) return killed;
    } else if (room_.is_due(now)) {
      if (Status killed = kill_room(); !killed.ok()) return killed;
    }
    if (const auto after = watch_.look(stage_->source())) {
      report_.receives_after_ms.push_back(*after);
    }
    if (now >= next_progress_) report_progress();
    // As fine as the reports of when it receives again.
    std::this_thread::sleep_for(milliseconds(1));
  }
  return {};
}

void KillRun::report_progress() {
  next_progress_ = steady_clock::now() + kProgressEvery;
  report_.end.daemon_kills = daemon_.kills;
  report_.end.room_kills = room_.kills;
  report_.end.sent = sender_->sent();
  const auto queued = stage_->source().queued_bytes();
  const auto drops = stage_->source().kernel_drops();
  if (queued.ok()) report_.end.queued_bytes = queued.value();
  if (drops.ok()) report_.end.kernel_drops = drops.value();
  if (options_.progress) options_.progress(report_.end);
}

// How far the room was behind, as soon as the last daemon can say so.
Status KillRun::note_end_of_kills() {
  const bool answers = becomes_true([&] {
    const auto view = status_of(*stage_);
    if (!view.ok()) return false;
    report_.batches_then = view.value().batches;
    report_.pending_then = view.value().pending;
    return true;
  });
  return answers ? Status() : Status(Code::kFatal, "the last daemon does not answer");
}

Result<KillReport> KillRun::play() {
  if (Status begun = begin(); !begun.ok()) return begun;
  if (Status killed = kill_all(); !killed.ok()) return killed;
  report_progress();
  if (Status noted = note_end_of_kills(); !noted.ok()) return noted;
  auto kept = settle(*stage_, session_, *sender_);
  if (!kept.ok()) return kept.status();
  report_.kept = kept.value();
  std::sort(report_.receives_after_ms.begin(), report_.receives_after_ms.end());
  return std::move(report_);
}

}  // namespace

Result<KillReport> run_kills(const KillRunOptions& options) {
  return KillRun(options).play();
}

}  // namespace pitbox
