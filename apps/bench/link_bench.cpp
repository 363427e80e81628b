#include "apps/bench/link_bench.h"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "apps/bench/journal_maker.h"
#include "apps/bench/stopwatch.h"
#include "apps/bench/websocket_limit.h"
#include "apps/launch/process_stats.h"
#include "apps/launch/stage.h"
#include "buffer/clock.h"
#include "buffer/session_store.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr auto kLinkLook = milliseconds(20);
constexpr double kLimitSeconds = 2;
constexpr double kDrainPatienceS = 600;
// The live edge has to be caught up with first; what was heard while the link was cut is old.
constexpr std::int64_t kLiveAgainNs = 500 * kNsPerMs;
constexpr std::int64_t kLiveAtLeastNs = 2'000 * kNsPerMs;

// Waits for the first entry of a session to be in a room.
class FirstEntry {
 public:
  FirstEntry(std::string url, const Uuid& session)
      : thread_([this, url = std::move(url), session] { follow(url, session); }) {}
  ~FirstEntry() {
    is_stopping_ = true;
    thread_.join();
  }
  FirstEntry(const FirstEntry&) = delete;
  FirstEntry& operator=(const FirstEntry&) = delete;

  // CLOCK_BOOTTIME; 0: not yet.
  std::int64_t arrived_ns() const { return arrived_ns_; }

 private:
  void follow(const std::string& url, const Uuid& session) {
    RoomReaderOptions options;
    options.url = url;
    options.session = session;
    options.live = true;
    options.idle_timeout = milliseconds(500);
    while (!is_stopping_ && arrived_ns_ == 0) {
      static_cast<void>(read_room(options, [this](const DownloadedEntry&) {
                          arrived_ns_ = system_clock().boot_now();
                          return Status(Code::kRejected, "one is enough");
                        }).ok());
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  std::atomic<std::int64_t> arrived_ns_{0};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

class LinkRun {
 public:
  explicit LinkRun(const LinkBenchOptions& options) : options_(options) {}

  Result<LinkFigures> run() {
    for (const auto step : {&LinkRun::prepare, &LinkRun::set_stage, &LinkRun::drain}) {
      if (Status status = (this->*step)(); !status.ok()) return status;
    }
    return std::move(figures_);
  }

 private:
  Status tell(std::string_view what) const {
    if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
    if (options_.progress) options_.progress(what);
    return {};
  }

  Status prepare() {
    if (Status told = tell("what a WebSocket can carry at all"); !told.ok()) return told;
    const auto limit = measure_websocket(kLimitSeconds);
    if (!limit.ok()) return limit.status();
    figures_.websocket_mb_per_second = limit.value();
    JournalMakerOptions making;
    making.state_directory = options_.folder / "state";
    making.bytes = options_.bytes;
    making.ends_session = true;
    making.progress = options_.progress;
    making.should_stop = options_.should_stop;
    const auto made = make_journal(making);
    if (!made.ok()) return made.status();
    backlog_ = made.value().session;
    figures_.backlog_bytes = made.value().bytes;
    return {};
  }

  Status set_stage() {
    Stage::Options stage;
    stage.programs = options_.programs;
    stage.folder = options_.folder;
    stage.link_is_cut = true;
    auto set = Stage::set(stage);
    if (!set.ok()) return set.status();
    stage_ = std::move(set).take();
    live_ = Uuid::mint();
    const ordered_json start = {{"command", "session_start"}, {"id", live_.text()}};
    if (auto started = stage_->ask(start.dump()); !started.ok()) return started.status();
    auto car = stage_->start_command(
        {"sim", "--cars", "1", "--gt3", "--seconds", "3600", "--to", stage_->source().address()},
        "sim.log");
    if (!car.ok()) return car.status();
    car_ = std::move(car).take();
    return {};
  }

  Status drain() {
    const double daemon_before = processor_seconds(stage_->daemon().pid());
    const double room_before = processor_seconds(stage_->room().pid());
    FirstEntry first(stage_->room_url(), backlog_);
    if (Status restored = stage_->link().restore(); !restored.ok()) return restored;
    const Stopwatch watch;
    while (!stage_->link().first_accept_ns()) {
      if (watch.seconds() > kDrainPatienceS) return {Code::kFatal, "the daemon does not dial"};
      std::this_thread::sleep_for(milliseconds(1));
    }
    const std::int64_t accepted_ns = *stage_->link().first_accept_ns();
    LatencyReader live(stage_->room_url(), live_, accepted_ns + kLiveAgainNs);
    while (!is_complete()) {
      if (watch.seconds() > kDrainPatienceS) return {Code::kRejected, "the backlog does not drain"};
      if (!stage_->daemon().is_running()) return {Code::kFatal, "the daemon ended"};
      std::array<char, 64> text{};
      std::snprintf(text.data(), text.size(), "%.0f of %.0f MB drained",
                    static_cast<double>(stage_->link().bytes_up()) / 1e6,
                    static_cast<double>(figures_.backlog_bytes) / 1e6);
      if (Status told = tell(text.data()); !told.ok()) return told;
      std::this_thread::sleep_for(kLinkLook);
    }
    figures_.drain_s = static_cast<double>(system_clock().boot_now() - accepted_ns) / 1e9;
    figures_.daemon_cpu_s = processor_seconds(stage_->daemon().pid()) - daemon_before;
    figures_.room_cpu_s = processor_seconds(stage_->room().pid()) - room_before;
    // A backlog that is gone at once says little of the live edge.
    while (system_clock().boot_now() < accepted_ns + kLiveAtLeastNs) {
      std::this_thread::sleep_for(kLinkLook);
    }
    figures_.live = live.stop();
    car_.stop(milliseconds(2000));
    if (first.arrived_ns() == 0) return {Code::kRejected, "the room shows nothing of the backlog"};
    figures_.first_entry_s = static_cast<double>(first.arrived_ns() - accepted_ns) / 1e9;
    if (figures_.live.rows() == 0) return {Code::kRejected, "no live row arrived meanwhile"};
    return {};
  }

  bool is_complete() const {
    const auto found = find_session(stage_->state_directory(), backlog_.text());
    return found.ok() && found.value().complete;
  }

  const LinkBenchOptions& options_;
  std::unique_ptr<Stage> stage_;
  ChildProcess car_;
  Uuid backlog_;
  Uuid live_;
  LinkFigures figures_;
};

}  // namespace

Result<LinkFigures> measure_link(const LinkBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  return LinkRun(options).run();
#endif
}

std::string to_json(const LinkFigures& figures) {
  const ordered_json json = {
      {"bytes", figures.backlog_bytes},
      {"seconds", figures.drain_s},
      {"mb_per_second", figures.mb_per_second()},
      {"of_websocket", figures.mb_per_second() / figures.websocket_mb_per_second},
      {"first_entry_s", figures.first_entry_s},
      {"live_ms",
       {{"p50", figures.live.at_ms(0.5)},
        {"p99", figures.live.at_ms(0.99)},
        {"rows", figures.live.rows()}}},
      {"cpu_s", {{"daemon", figures.daemon_cpu_s}, {"room", figures.room_cpu_s}}},
      {"limits", {{"websocket_mb_per_second", figures.websocket_mb_per_second}}}};
  return json.dump(2);
}

std::string to_table(const LinkFigures& figures) {
  std::array<char, 640> text{};
  std::snprintf(
      text.data(), text.size(),
      "backlog                %.0f MB in %.1f s: %.1f MB/s\n"
      "of a WebSocket         %.0f %% of %.0f MB/s\n"
      "first entry            %.0f ms after the link was back\n"
      "live edge meanwhile    p50 %.0f ms, p99 %.0f ms (%zu rows of a GT3 car)\n"
      "processor time         daemon %.1f s, room %.1f s\n",
      static_cast<double>(figures.backlog_bytes) / 1e6, figures.drain_s, figures.mb_per_second(),
      100 * figures.mb_per_second() / figures.websocket_mb_per_second,
      figures.websocket_mb_per_second, 1e3 * figures.first_entry_s, figures.live.at_ms(0.5),
      figures.live.at_ms(0.99), figures.live.rows(), figures.daemon_cpu_s, figures.room_cpu_s);
  return text.data();
}

}  // namespace pitbox
