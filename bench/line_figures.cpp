// The figures of the whole line: real daemon, real room, real link, one simulated load each.
//
//   throughput   full-rate cars as fast as the simulator makes them: what the daemon kept per
//                second, and per second of its processor time; one burst
//   sustained    the same at a fixed rate of 8.5 M samples/s, for the whole duration
//   full-rate    full-rate cars in real time: bytes on the room's socket, both ways, per sample;
//                live view off
//   latency      from the kernel's receive stamp of a datagram to the moment a subscriber of the
//                room has the decoded row, durability at both ends included
//   gt3          processor time and memory at a GT3 car's 4,000 samples/s
//
// What a durable write costs on this disk is measured before each run and printed with it: two of
// them (the journal's, the room's) are part of every latency.
//
// No figure is printed from a run in which the kernel dropped a datagram, or in which the journal
// does not hold as many samples as the simulator sent, or from a build with assertions of the
// standard library or a sanitizer. Results and commands: RESULTS.md.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "apps/bench/disk_probe.h"
#include "apps/bench/latency_reader.h"
#include "apps/launch/process_stats.h"
#include "apps/launch/stage.h"
#include "apps/sim/track.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "export/ledger_file.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

double seconds_since(steady_clock::time_point then) {
  return std::chrono::duration<double>(steady_clock::now() - then).count();
}

struct Run {
  std::vector<std::string> cars;  // Arguments of `pitbox sim`.
  bool measures_latency = false;
};

struct Figures {
  double elapsed_s = 0;
  double processor_s = 0;
  std::uint64_t samples = 0;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t resident_kib = 0;
  std::uint64_t resident_most_kib = 0;
  Latencies latencies;
  DiskProbe disk;
};

std::uint64_t samples_in(const fs::path& state, const Uuid& session) {
  const auto found = find_session(state, session.text());
  std::uint64_t samples = 0;
  if (!found.ok()) return 0;
  for (const auto& file : found.value().files) {
    auto reader = JournalReader::open(file);
    if (!reader.ok()) continue;
    const auto totals = reader.value()->totals();
    if (totals.ok()) samples += totals.value().samples;
  }
  return samples;
}

bool is_complete(const fs::path& state, const Uuid& session) {
  const auto found = find_session(state, session.text());
  return found.ok() && found.value().complete;
}

// One run on a stage of its own. kRejected if its figures would be a lie.
Result<Figures> measure(const fs::path& programs, const Run& run) {
  const fs::path folder =
      fs::temp_directory_path() / ("pitbox-figures-" + std::to_string(getpid()));
  auto set = Stage::set({.programs = programs, .folder = folder, .track = SimTrack().toml()});
  if (!set.ok()) return set.status();
  Stage& stage = *set.value();
  const Uuid session = Uuid::mint();
  const auto started =
      stage.ask(ordered_json{{"command", "session_start"}, {"id", session.text()}}.dump());
  if (!started.ok()) return started.status();
  std::unique_ptr<LatencyReader> latency;
  if (run.measures_latency) latency = std::make_unique<LatencyReader>(stage.room_url(), session);

  Figures figures;
  auto disk = DiskProbe::measure(folder);
  if (!disk.ok()) return disk.status();
  figures.disk = disk.value();
  const pid_t daemon = stage.daemon().pid();
  const double processor_before = processor_seconds(daemon);
  const auto began = steady_clock::now();
  std::vector<std::string> arguments = {"sim"};
  arguments.insert(arguments.end(), run.cars.begin(), run.cars.end());
  const std::string ledger_file = (folder / "sent").string();
  arguments.insert(arguments.end(), {"--ledger", ledger_file, "--to", stage.source().address()});
  auto cars = stage.start_command(arguments, "sim.log");
  if (!cars.ok()) return cars.status();
  const auto code = cars.value().wait(std::chrono::minutes(10));
  if (code != 0) return Status(Code::kFatal, "the simulator failed");
  figures.resident_kib = memory_kib(daemon, "VmRSS");
  figures.resident_most_kib = memory_kib(daemon, "VmHWM");
  if (!stage.ask(R"({"command":"session_end"})").ok()) return Status(Code::kFatal, "session end");
  figures.elapsed_s = seconds_since(began);  // Everything sent is journaled now.
  const auto patience = steady_clock::now() + seconds(120);
  while (!is_complete(stage.state_directory(), session)) {
    if (steady_clock::now() > patience) return Status(Code::kFatal, "the room is not complete");
    std::this_thread::sleep_for(milliseconds(20));
  }
  figures.processor_s = processor_seconds(daemon) - processor_before;
  figures.bytes_up = stage.link().bytes_up();
  figures.bytes_down = stage.link().bytes_down();
  if (latency) figures.latencies = latency->stop();
  figures.samples = samples_in(stage.state_directory(), session);
  const auto drops = stage.source().kernel_drops();
  if (!drops.ok() || drops.value() > 0) {
    return Status(Code::kRejected, "the kernel dropped datagrams: no figure");
  }
  const auto ledger = read_ledger(ledger_file);
  if (!ledger.ok()) return ledger.status();
  if (ledger.value().totals.samples != figures.samples) {
    return Status(Code::kRejected, "journaled samples differ from those sent: no figure");
  }
  std::error_code ignored;
  set.value().reset();
  fs::remove_all(folder, ignored);
  return figures;
}

ordered_json report(const std::string& name, const Figures& figures) {
  const auto samples = static_cast<double>(figures.samples);
  ordered_json json = {
      {"run", name},
      {"samples", figures.samples},
      {"seconds", figures.elapsed_s},
      {"samples_per_second", samples / figures.elapsed_s},
      {"samples_per_cpu_second", samples / std::max(figures.processor_s, 0.01)},
      {"cpu_percent", 100 * figures.processor_s / figures.elapsed_s},
      {"bytes_per_sample_up", static_cast<double>(figures.bytes_up) / samples},
      {"bytes_per_sample", static_cast<double>(figures.bytes_up + figures.bytes_down) / samples},
      {"resident_mib", static_cast<double>(figures.resident_kib) / 1024},
      {"resident_most_mib", static_cast<double>(figures.resident_most_kib) / 1024}};
  json["disk_write_ms"] = {{"p50", figures.disk.p50_ms}, {"p99", figures.disk.p99_ms}};
  const Latencies& latencies = figures.latencies;
  if (latencies.rows() > 0) {
    json["latency_ms"] = {
        {"p50", latencies.at_ms(0.5)}, {"p99", latencies.at_ms(0.99)}, {"rows", latencies.rows()}};
  }
  return json;
}

int run_all(const fs::path& programs, int duration_s, const std::string& only) {
  const std::string duration = std::to_string(duration_s);
  const std::string sixteen_fold = std::to_string(16 * duration_s);
  const std::vector<std::pair<std::string, Run>> runs = {
      {"throughput", {{"--cars", "4", "--seconds", duration, "--speed", "max"}}},
      {"sustained", {{"--cars", "4", "--seconds", sixteen_fold, "--speed", "16"}}},
      {"full-rate", {{"--cars", "2", "--seconds", duration}}},
      {"latency", {{"--cars", "2", "--gt3", "--seconds", duration}, true}},
      {"gt3", {{"--cars", "1", "--gt3", "--seconds", duration}}}};
  for (const auto& [name, run] : runs) {
    if (!only.empty() && name != only) continue;
    const auto figures = measure(programs, run);
    if (!figures.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), figures.status().message().c_str());
      return 1;
    }
    std::printf("%s\n", report(name, figures.value()).dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace pitbox

int main(int argc, char** argv) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::fprintf(stderr, "line_figures: not a release build: no figure\n");
  return 1;
#endif
  CLI::App app{"Figures of the whole line; one JSON object a run."};
  int duration_s = 30;
  std::string only;
  app.add_option("--seconds", duration_s, "of car time, each run")->capture_default_str();
  app.add_option("--only", only, "throughput, sustained, full-rate, latency or gt3");
  CLI11_PARSE(app, argc, argv);
  setenv("PITBOX_LIVE_VIEW_HZ", "0", 1);
  return pitbox::run_all(PITBOX_BIN_DIR, duration_s, only);
}
