#include "apps/bench/ingest_bench.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "apps/bench/stopwatch.h"
#include "apps/launch/process_stats.h"
#include "apps/launch/stage.h"
#include "buffer/session_store.h"
#include "proto/uuid.h"
#include "sync/room_reader.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr auto kLook = milliseconds(20);

Status no_figure(const std::string& why) {
  return {Code::kRejected, why + ": no figure"};
}

// One run on a stage of its own.
class IngestRun {
 public:
  // `limits`: already measured; null if not.
  IngestRun(const IngestBenchOptions& options, LoadCar kind, const Limits* limits)
      : options_(options), folder_(options.folder / name_of(kind)) {
    figures_.kind = kind;
    if (limits != nullptr) figures_.limits = *limits;
    measures_limits_ = options.with_limits && limits == nullptr;
  }

  Result<IngestFigures> run() {
    for (const auto step : {&IngestRun::prepare, &IngestRun::send}) {
      const Status status = (this->*step)();
      // What could not be run says nothing of what it would have measured.
      if (!status.ok()) return Status(Code::kFatal, status.message());
    }
    for (const auto step :
         {&IngestRun::drain, &IngestRun::check_counters, &IngestRun::check_room}) {
      if (Status status = (this->*step)(); !status.ok()) return status;
    }
    return figures_;
  }

 private:
  void tell(const std::string& what) const {
    if (options_.progress) options_.progress(name_of(figures_.kind) + (" cars: " + what));
  }

  Status prepare() {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return {Code::kRejected, folder_.string() + ": " + error.message()};
    if (measures_limits_) {
      tell("what the machine can do at all");
      auto limits = measure_limits(folder_, options_.with_gso);
      if (!limits.ok()) return limits.status();
      figures_.limits = limits.value();
    }
    if (options_.with_limits) {
      const auto zstd = measure_zstd(figures_.kind);
      if (!zstd.ok()) return zstd.status();
      figures_.limits.zstd = zstd.value();
    }
    Stage::Options stage;
    stage.programs = options_.programs;
    stage.folder = folder_;
    if (options_.with_gso) stage.slot_bytes = 65536;
    auto set = Stage::set(stage);
    if (!set.ok()) return set.status();
    stage_ = std::move(set).take();
    session_ = Uuid::mint();
    const ordered_json start = {{"command", "session_start"}, {"id", session_.text()}};
    return ask(start).status();
  }

  Result<ordered_json> ask(const ordered_json& request) const {
    const auto answer = stage_->ask(request.dump());
    if (!answer.ok()) return answer.status();
    auto json = ordered_json::parse(answer.value(), nullptr, false);
    if (json.is_discarded()) return Status(Code::kFatal, "the daemon's answer is no JSON");
    return json;
  }

  Status send() {
    std::array<char, 32> rate{};
    std::snprintf(rate.data(), rate.size(), "%.0f", options_.samples_per_second);
    std::vector<std::string> arguments = {
        "bench",     "load",
        "--to",      stage_->source().address(),
        "--car",     name_of(figures_.kind),
        "--cars",    std::to_string(options_.cars),
        "--rate",    options_.samples_per_second == 0 ? "max" : rate.data(),
        "--seconds", std::to_string(options_.seconds),
        "--json",    (folder_ / "sent.json").string()};
    if (options_.with_gso) arguments.emplace_back("--gso");
    processor_before_ = processor_seconds(stage_->daemon().pid());
    watch_ = Stopwatch();
    auto started = stage_->start_command(arguments, "load.log");
    if (!started.ok()) return started.status();
    ChildProcess load = std::move(started).take();
    std::optional<int> code;
    while (!code) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      if (!stage_->daemon().is_running()) return {Code::kFatal, "the daemon ended"};
      code = load.wait(kLook);
      std::array<char, 64> text{};
      std::snprintf(text.data(), text.size(), "%.0f of %.0f s", watch_.seconds(), options_.seconds);
      tell(text.data());
    }
    if (*code != 0) {
      return {Code::kFatal, "the generator failed; run again with --keep and read log/load.log"};
    }
    return take_sent();
  }

  Status take_sent() {
    std::FILE* const file = std::fopen((folder_ / "sent.json").c_str(), "rb");
    if (file == nullptr) return {Code::kFatal, "the generator wrote no sent.json"};
    const auto json = ordered_json::parse(file, nullptr, false);
    std::fclose(file);
    if (json.is_discarded()) return {Code::kFatal, "sent.json is no JSON"};
    figures_.sent.datagrams = json.at("datagrams");
    figures_.offered_per_second = json.at("samples_per_second");
    figures_.late_ms = json.at("late_ms");
    first_ns_ = json.at("first_ns");
    return {};
  }

  Status drain() {
    const Stopwatch since_sent;
    tell("the room takes what is left");
    if (auto ended = ask({{"command", "session_end"}}); !ended.ok()) return ended.status();
    while (!is_complete()) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      if (since_sent.seconds() > options_.room_patience_s) {
        return no_figure("the room is not complete");
      }
      std::this_thread::sleep_for(kLook);
    }
    const pid_t daemon = stage_->daemon().pid();
    figures_.lag_s = since_sent.seconds();
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    figures_.seconds = static_cast<double>(std::chrono::nanoseconds(now).count() - first_ns_) / 1e9;
    figures_.processor_s = processor_seconds(daemon) - processor_before_;
    figures_.thread_s = thread_seconds(daemon);
    figures_.resident_mib = static_cast<double>(memory_kib(daemon, "VmHWM")) / 1024;
    figures_.wire_bytes = stage_->link().bytes_up() + stage_->link().bytes_down();
    return {};
  }

  bool is_complete() const {
    const auto found = find_session(stage_->state_directory(), session_.text());
    return found.ok() && found.value().complete;
  }

  Status check_counters() {
    const auto drops = stage_->source().kernel_drops();
    if (!drops.ok()) return drops.status();
    if (drops.value() > 0) {
      return no_figure("the kernel dropped " + std::to_string(drops.value()) + " datagrams");
    }
    const auto status = ask({{"command", "status"}});
    if (!status.ok()) return status.status();
    const ordered_json& commit = status.value().at("recorder").at("commit_ms");
    figures_.commit_p50_ms = commit.at("p50");
    figures_.commit_p99_ms = commit.at("p99");
    const auto session = find_session(stage_->state_directory(), session_.text());
    if (!session.ok()) return session.status();
    for (const fs::path& file : session.value().files) {
      std::error_code error;
      figures_.journal_bytes += fs::file_size(file, error);
    }
    return {};
  }

  Status check_room() {
    tell("reading the room");
    const auto load = Load::make(options_.cars, 0, figures_.kind);
    if (!load.ok()) return load.status();
    figures_.sent = load.value().totals(figures_.sent.datagrams);
    LoadTotals held;
    RoomReaderOptions reading;
    reading.url = stage_->room_url();
    reading.session = session_;
    Status read = read_room(reading, [&](const DownloadedEntry& entry) {
      if (options_.should_stop()) return Status(Code::kTryAgain, "stopped");
      return entry.is_event ? Status() : add(entry, held);
    });
    if (!read.ok()) return read;
    const LoadTotals& sent = figures_.sent;
    if (held.rows != sent.rows || held.samples != sent.samples ||
        held.content_hash != sent.content_hash) {
      return no_figure("the room holds " + std::to_string(held.rows) + " rows and " +
                       std::to_string(held.samples) + " samples, " + std::to_string(sent.rows) +
                       " and " + std::to_string(sent.samples) + " were sent; content " +
                       hex_id(held.content_hash) + ", sent " + hex_id(sent.content_hash));
    }
    return {};
  }

  static Status add(const DownloadedEntry& entry, LoadTotals& held) {
    const auto batch = entry.decode();
    if (!batch.ok()) return batch.status();
    held.samples += batch.value().samples;
    std::vector<RowIdentity> rows;
    for (const GroupColumns& group : batch.value().groups) identify_rows(entry.car, group, rows);
    for (const RowIdentity& row : rows) held.add(row);
    return {};
  }

  const IngestBenchOptions& options_;
  const fs::path folder_;
  bool measures_limits_ = false;
  std::unique_ptr<Stage> stage_;
  Uuid session_;
  Stopwatch watch_;  // Since the generator was started.
  double processor_before_ = 0;
  std::int64_t first_ns_ = 0;
  IngestFigures figures_;
};

}  // namespace

Result<IngestFigures> measure_ingest(const IngestBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return no_figure("this is not a release build");
#else
  std::vector<IngestFigures> all;
  for (const LoadCar kind : options.kinds) {
    auto figures = IngestRun(options, kind, all.empty() ? nullptr : &all.front().limits).run();
    if (!figures.ok()) return Status(figures.status()).within(std::string(name_of(kind)) + " cars");
    all.push_back(std::move(figures).take());
  }
  IngestFigures first = std::move(all.front());
  first.beside.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
  return first;
#endif
}

}  // namespace pitbox
