#include "apps/bench/latency_bench.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "apps/bench/stopwatch.h"
#include "apps/launch/process_stats.h"
#include "apps/launch/stage.h"
#include "apps/launch/status_view.h"
#include "buffer/clock.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr auto kLatencyLook = milliseconds(50);
constexpr double kRoomPatienceS = 5;
// The first rows wait for the link to open and for the session to be known in the room.
constexpr std::int64_t kWarmUpNs = 1'000 * kNsPerMs;

class LatencyRun {
 public:
  LatencyRun(const LatencyBenchOptions& options, int flush_ms) : options_(options) {
    figures_.flush_ms = flush_ms;
  }

  Result<LatencyFigures> run() {
    Stage::Options stage;
    stage.programs = options_.programs;
    stage.folder = options_.folder / ("flush-" + std::to_string(figures_.flush_ms));
    stage.flush_ms = figures_.flush_ms;
    auto set = Stage::set(stage);
    // What could not be run says nothing of what it would have measured.
    if (!set.ok()) return Status(Code::kFatal, set.status().message());
    stage_ = std::move(set).take();
    auto disk = DiskProbe::measure(stage.folder);
    if (!disk.ok()) return Status(Code::kFatal, disk.status().message());
    figures_.disk = disk.value();
    if (Status driven = drive(); !driven.ok()) return driven;
    const auto drops = stage_->source().kernel_drops();
    if (!drops.ok()) return drops.status();
    if (drops.value() > 0) {
      return Status(Code::kRejected, "the kernel dropped datagrams: no figure");
    }
    if (figures_.latencies.rows() == 0) {
      return Status(Code::kRejected, "no row arrived at the subscriber: no figure");
    }
    return std::move(figures_);
  }

 private:
  Status drive() {
    const Uuid session = Uuid::mint();
    const ordered_json start = {{"command", "session_start"}, {"id", session.text()}};
    if (auto started = stage_->ask(start.dump()); !started.ok()) return started.status();
    LatencyReader reader(stage_->room_url(), session, system_clock().boot_now() + kWarmUpNs);
    std::array<char, 32> seconds{};
    std::snprintf(seconds.data(), seconds.size(), "%.1f", options_.seconds);
    const pid_t daemon = stage_->daemon().pid();
    const double processor_before = processor_seconds(daemon);
    const Stopwatch watch;
    auto started =
        stage_->start_command({"sim", "--cars", std::to_string(options_.cars), "--gt3", "--seconds",
                               seconds.data(), "--to", stage_->source().address()},
                              "sim.log");
    if (!started.ok()) return {Code::kFatal, started.status().message()};
    ChildProcess car = std::move(started).take();
    std::optional<int> code;
    while (!(code = car.wait(kLatencyLook))) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      tell(watch.seconds());
    }
    if (*code != 0) return {Code::kFatal, "the simulator failed"};
    figures_.cpu_percent = 100 * (processor_seconds(daemon) - processor_before) / watch.seconds();
    figures_.resident_mib = static_cast<double>(memory_kib(daemon, "VmHWM")) / 1024;
    if (Status whole = wait_for_room(); !whole.ok()) return whole;
    figures_.latencies = reader.stop();
    return {};
  }

  // Rows that never come are not late: the room must have all of them.
  Status wait_for_room() const {
    const Stopwatch watch;
    std::uint64_t pending = 0;
    while (watch.seconds() < kRoomPatienceS) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      const auto answer = stage_->ask(R"({"command":"status"})");
      if (!answer.ok()) return answer.status();
      const auto status = StatusView::parse(answer.value());
      if (!status.ok()) return status.status();
      pending = status.value().pending;
      if (pending == 0) return {};
      std::this_thread::sleep_for(kLatencyLook);
    }
    return {Code::kRejected, "the room lacks " + std::to_string(pending) +
                                 " entries five seconds after the last row: no figure"};
  }

  void tell(double passed) const {
    if (!options_.progress) return;
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "flush %d ms: %.0f of %.0f s", figures_.flush_ms,
                  passed, options_.seconds);
    options_.progress(text.data());
  }

  const LatencyBenchOptions& options_;
  std::unique_ptr<Stage> stage_;
  LatencyFigures figures_;
};

}  // namespace

Result<std::vector<LatencyFigures>> measure_latency(const LatencyBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  std::vector<LatencyFigures> all;
  for (const int flush_ms : options.flush_ms) {
    auto figures = LatencyRun(options, flush_ms).run();
    if (!figures.ok()) return figures.status();
    all.push_back(std::move(figures).take());
  }
  return all;
#endif
}

std::string to_json(const std::vector<LatencyFigures>& figures) {
  ordered_json runs = ordered_json::array();
  for (const LatencyFigures& each : figures) {
    runs.push_back(
        {{"flush_ms", each.flush_ms},
         {"latency_ms", {{"p50", each.latencies.at_ms(0.5)}, {"p99", each.latencies.at_ms(0.99)}}},
         {"rows", each.latencies.rows()},
         {"cpu_percent", each.cpu_percent},
         {"resident_mib", each.resident_mib},
         {"fdatasync_ms", {{"p50", each.disk.p50_ms}, {"p99", each.disk.p99_ms}}}});
  }
  return ordered_json{{"runs", runs}}.dump(2);
}

std::string to_table(const std::vector<LatencyFigures>& figures) {
  std::string text = "a GT3 car, datagram in the kernel to rows at a subscriber of the room\n";
  for (const LatencyFigures& each : figures) {
    std::array<char, 240> line{};
    std::snprintf(line.data(), line.size(),
                  "flush %3d ms           p50 %.0f ms, p99 %.0f ms (%zu rows); %.1f %% of a core, "
                  "%.0f MiB; fdatasync p50 %.2f ms, p99 %.2f ms\n",
                  each.flush_ms, each.latencies.at_ms(0.5), each.latencies.at_ms(0.99),
                  each.latencies.rows(), each.cpu_percent, each.resident_mib, each.disk.p50_ms,
                  each.disk.p99_ms);
    text += line.data();
  }
  return text;
}

}  // namespace pitbox
