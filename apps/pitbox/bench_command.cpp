// `pitbox bench ...`: what this machine can do (docs/bench.md).

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/bench/ingest_bench.h"
#include "apps/bench/load.h"
#include "apps/bench/load_sender.h"
#include "apps/pitbox/command.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

struct LoadArguments {
  std::size_t cars = 20;
  std::string rate = "22e6";
  double seconds = 60;
  bool gso = false;
  std::string json;

  void add_to(CLI::App* command) {
    command->add_option("--cars", cars, "Synthetic cars")
        ->check(CLI::Range(std::size_t{1}, Load::kCarsMax))
        ->capture_default_str();
    command->add_option("--rate", rate, "Samples/s of all cars together, or 'max'")
        ->capture_default_str();
    command->add_option("--seconds", seconds, "How long to send")
        ->check(CLI::Range(0.1, 86'400.0))
        ->capture_default_str();
    command->add_flag("--gso", gso, "Let the kernel cut one send into many datagrams");
    command->add_option("--json", json, "Write the figures to this file too");
  }
};

Result<double> parse_rate(const std::string& text) {
  if (text == "max") return 0.0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 1e12) {
    return value;
  }
  return Status(Code::kRejected, "--rate must be samples/s, as 22e6, or 'max'; not '" + text + "'");
}

Status write_file(const std::string& file, const std::string& text) {
  std::FILE* const out = std::fopen(file.c_str(), "wb");
  const bool is_written =
      out != nullptr && std::fputs(text.c_str(), out) >= 0 && std::fputc('\n', out) == '\n';
  const bool is_closed = out != nullptr && std::fclose(out) == 0;
  if (is_written && is_closed) return {};
  return {Code::kFatal, "cannot write " + file};
}

struct LoadOptions {
  LoadArguments load;
  std::string to;
};

int run_load(const LoadOptions& options) {
  const auto rate = parse_rate(options.load.rate);
  if (!rate.ok()) return fail(rate.status());
  auto load = Load::make(options.load.cars, static_cast<std::uint32_t>(random_id() >> 32U));
  if (!load.ok()) return fail(load.status());
  catch_interrupts();
  const auto sent = send_load(options.to, load.value(),
                              {.samples_per_second = rate.value(),
                               .seconds = options.load.seconds,
                               .with_gso = options.load.gso},
                              was_interrupted);
  if (!sent.ok()) return fail(sent.status());
  const std::uint64_t samples = sent.value().datagrams * SyntheticCar::kSamplesPerDatagram;
  const double per_second = static_cast<double>(samples) / sent.value().seconds;
  std::printf(
      "sent %llu samples in %llu datagrams in %.2f s: %.2f M samples/s, at most %.1f ms late\n",
      static_cast<unsigned long long>(samples),
      static_cast<unsigned long long>(sent.value().datagrams), sent.value().seconds,
      per_second / 1e6, sent.value().late_ms);
  if (options.load.json.empty()) return kExitDone;
  const nlohmann::ordered_json json = {
      {"datagrams", sent.value().datagrams}, {"samples", samples},
      {"seconds", sent.value().seconds},     {"samples_per_second", per_second},
      {"first_ns", sent.value().first_ns},   {"late_ms", sent.value().late_ms}};
  const Status written = write_file(options.load.json, json.dump(2));
  return written.ok() ? kExitDone : fail(written);
}

void add_load_command(CLI::App* bench, CommandContext& context) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App* command =
      bench->add_subcommand("load", "Send the synthetic cars' datagrams to any receiver");
  options->load.add_to(command);
  command->add_option("--to", options->to, "Where to send: udp://ADDRESS:PORT")->required();
  command->callback([options, &context] { context.exit_code = run_load(*options); });
}

struct IngestArguments {
  LoadArguments load;
  std::string folder;
  bool keep = false;
};

int run_ingest(const IngestArguments& arguments) {
  const auto rate = parse_rate(arguments.load.rate);
  if (!rate.ok()) return fail(rate.status());
  const fs::path root =
      arguments.folder.empty() ? fs::temp_directory_path() : fs::path(arguments.folder);
  IngestBenchOptions options;
  options.programs = fs::canonical("/proc/self/exe").parent_path();
  options.folder = root / ("pitbox-bench-" + std::to_string(getpid()));
  options.cars = arguments.load.cars;
  options.samples_per_second = rate.value();
  options.seconds = arguments.load.seconds;
  options.with_gso = arguments.load.gso;
  auto progress = std::make_unique<ProgressLine>("bench ingest");
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  catch_interrupts();
  ::setenv("PITBOX_LIVE_VIEW_HZ", "0", 1);
  const auto figures = measure_ingest(options);
  progress.reset();
  if (arguments.keep) {
    std::fprintf(stderr, "kept: %s\n", options.folder.c_str());
  } else {
    std::error_code ignored;
    fs::remove_all(options.folder, ignored);
  }
  if (!figures.ok()) {
    fail(figures.status());
    return figures.status().code() == Code::kRejected ? kExitNo : kExitFailed;
  }
  std::fputs(to_table(figures.value()).c_str(), stdout);
  if (arguments.load.json.empty()) return kExitDone;
  const Status written = write_file(arguments.load.json, to_json(figures.value()));
  return written.ok() ? kExitDone : fail(written);
}

void add_ingest_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<IngestArguments>();
  CLI::App* command =
      bench->add_subcommand("ingest", "The whole line: generator, daemon and room on this machine");
  command->footer(
      "Starts a daemon and a room of its own, on loopback; touches no running ones. Prints no\n"
      "figure, and ends with 1, if a datagram was dropped or the room's rows are not those sent.");
  arguments->load.add_to(command);
  command->add_option("--folder", arguments->folder,
                      "Where journal and room are written, and removed (default: $TMPDIR)");
  command->add_flag("--keep", arguments->keep, "Leave journal, room and logs where they are");
  command->callback([arguments, &context] { context.exit_code = run_ingest(*arguments); });
}

}  // namespace

void add_bench_command(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("bench", "Measure what this machine can do");
  command->require_subcommand(1);
  add_ingest_command(command, context);
  add_load_command(command, context);
}

}  // namespace pitbox
