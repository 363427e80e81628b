#include "apps/bench/start_bench.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "apps/bench/journal_maker.h"
#include "apps/bench/stopwatch.h"
#include "apps/launch/stage.h"
#include "buffer/clock.h"
#include "buffer/high_water.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;
using std::chrono::microseconds;

constexpr int kDefaultFlushMs = 100;
constexpr double kStartPatienceS = 60;
constexpr auto kStartLook = microseconds(500);
// Between a start and the next kill: the rings are read, a few commits are made.
constexpr std::uint64_t kBatchesBetweenKills = 20;

class StartRun {
 public:
  explicit StartRun(const StartBenchOptions& options) : options_(options) {}

  Result<StartFigures> run() {
    if (Status set = set_stage(); !set.ok()) return set;
    for (int kill = 0; kill < options_.kills; ++kill) {
      std::array<char, 48> text{};
      std::snprintf(text.data(), text.size(), "start %d of %d", kill + 1, options_.kills);
      if (Status told = tell(text.data()); !told.ok()) return told;
      if (Status started = kill_and_start(); !started.ok()) return started;
    }
    const auto drops = stage_->source().kernel_drops();
    if (!drops.ok()) return drops.status();
    if (drops.value() > 0) {
      return Status(Code::kRejected, "the kernel dropped datagrams: no figure");
    }
    for (const std::string& name : {file_.string(), file_.string() + "-wal"}) {
      std::error_code none;
      const auto size = std::filesystem::file_size(name, none);
      if (!none) figures_.bytes += size;
    }
    figures_.flush_ms = kDefaultFlushMs;
    std::sort(figures_.start_ms.begin(), figures_.start_ms.end());
    return std::move(figures_);
  }

 private:
  Status tell(std::string_view what) const {
    if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
    if (options_.progress) options_.progress(what);
    return {};
  }

  Status set_stage() {
    JournalMakerOptions making;
    making.state_directory = options_.folder / "state";
    making.bytes = options_.bytes;
    making.progress = options_.progress;
    making.should_stop = options_.should_stop;
    const auto made = make_journal(making);
    if (!made.ok()) return made.status();
    const auto found = find_session(making.state_directory, made.value().session.text());
    if (!found.ok()) return found.status();
    if (found.value().files.size() != 1) {
      return {Code::kFatal, "the session made has not exactly one file"};
    }
    file_ = found.value().files.front();
    const auto reader = JournalReader::open(file_);
    if (!reader.ok()) return reader.status();
    incarnation_ = reader.value()->incarnation();

    Stage::Options stage;
    stage.programs = options_.programs;
    stage.folder = options_.folder;
    stage.link_is_cut = true;
    stage.flush_ms = kDefaultFlushMs;
    auto set = Stage::set(stage);
    if (!set.ok()) return set.status();
    stage_ = std::move(set).take();
    auto cars = stage_->start_command(
        {"sim", "--cars", "2", "--seconds", "86400", "--to", stage_->source().address()},
        "sim.log");
    if (!cars.ok()) return cars.status();
    cars_ = std::move(cars).take();
    auto mark = high_water();
    return mark.ok() ? wait_beyond(mark.value(), kBatchesBetweenKills) : mark.status();
  }

  // Of the file that was made, and of no other.
  Result<std::uint64_t> high_water() const {
    const auto mark = HighWater::read(stage_->state_directory() / "high_water");
    if (!mark) return Status(Code::kFatal, "the journal has no high-water mark");
    if (mark->failed || mark->incarnation != incarnation_) {
      return Status(Code::kRejected, "another file took over: no figure");
    }
    return mark->last;
  }

  Status wait_beyond(std::uint64_t last, std::uint64_t entries) {
    const Stopwatch watch;
    const auto file = stage_->state_directory() / "high_water";
    for (;;) {
      const auto mark = HighWater::read(file);
      if (mark && mark->incarnation != incarnation_) {
        return {Code::kRejected, "another file took over: no figure"};
      }
      if (mark && mark->last >= last + entries) return {};
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      if (watch.seconds() > kStartPatienceS) {
        return {Code::kFatal, "nothing was journaled for a minute"};
      }
      if (!stage_->daemon().is_running()) return {Code::kFatal, "the daemon ended"};
      if (!cars_.is_running()) return {Code::kFatal, "the simulator ended"};
      std::this_thread::sleep_for(kStartLook);
    }
  }

  Status kill_and_start() {
    stage_->kill_daemon();
    const auto before = high_water();
    if (!before.ok()) return before.status();
    const BootNs started_at = system_clock().boot_now();
    if (Status started = stage_->exec_daemon(); !started.ok()) return started;
    if (Status journaled = wait_beyond(before.value(), 1); !journaled.ok()) return journaled;
    const BootNs journaled_at = system_clock().boot_now();
    auto newest = newest_batch();
    if (!newest.ok()) return newest.status();
    if (newest.value() <= before.value()) {
      return {Code::kRejected, "the first commit held no datagram: no figure"};
    }
    figures_.start_ms.push_back(static_cast<double>(journaled_at - started_at) / 1e6);
    if (const auto now = high_water(); !now.ok()) return now.status();
    return wait_beyond(before.value(), kBatchesBetweenKills);
  }

  Result<std::uint64_t> newest_batch() const {
    const auto reader = JournalReader::open(file_);
    if (!reader.ok()) return reader.status();
    return reader.value()->newest_batch();
  }

  const StartBenchOptions& options_;
  std::unique_ptr<Stage> stage_;
  ChildProcess cars_;
  std::filesystem::path file_;
  std::uint64_t incarnation_ = 0;
  StartFigures figures_;
};

}  // namespace

Result<StartFigures> measure_start(const StartBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  if (options.kills < 1) return Status(Code::kRejected, "at least one kill");
  return StartRun(options).run();
#endif
}

std::string to_json(const StartFigures& figures) {
  const auto& all = figures.start_ms;
  return ordered_json{{"bytes", figures.bytes},
                      {"starts", all.size()},
                      {"start_ms", {{"p50", all[all.size() / 2]}, {"most", all.back()}}},
                      {"flush_ms", figures.flush_ms}}
      .dump(2);
}

std::string to_table(const StartFigures& figures) {
  const auto& all = figures.start_ms;
  std::array<char, 240> text{};
  std::snprintf(text.data(), text.size(),
                "live file              %.1f GB, in the page cache as far as there is room\n"
                "exec to journaled      p50 %.0f ms, most %.0f ms (%zu starts after SIGKILL under "
                "load; flush %d ms)\n",
                static_cast<double>(figures.bytes) / 1e9, all[all.size() / 2], all.back(),
                all.size(), figures.flush_ms);
  return text.data();
}

}  // namespace pitbox
