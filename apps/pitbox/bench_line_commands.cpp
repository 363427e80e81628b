// `pitbox bench ingest`, `link` and `latency`: generator, daemon and room together.

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/ingest_bench.h"
#include "apps/bench/latency_bench.h"
#include "apps/bench/link_bench.h"
#include "apps/pitbox/bench_support.h"

namespace pitbox {
namespace {

struct IngestArguments {
  LoadArguments load;
  FolderArguments folder;
};

// The live view's bytes are not the journal's.
void turn_live_view_off() {
  ::setenv("PITBOX_LIVE_VIEW_HZ", "0", 1);
}

int run_ingest(const IngestArguments& arguments) {
  const auto rate = parse_rate(arguments.load.rate);
  if (!rate.ok()) return fail(rate.status());
  const BenchFolder folder(arguments.folder);
  IngestBenchOptions options;
  options.programs = programs_folder();
  options.folder = folder.path();
  options.cars = arguments.load.cars;
  options.samples_per_second = rate.value();
  options.seconds = arguments.load.seconds;
  options.with_gso = arguments.load.gso;
  auto progress = std::make_unique<ProgressLine>("bench ingest");
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  catch_interrupts();
  turn_live_view_off();
  const auto figures = measure_ingest(options);
  progress.reset();
  return print_figures(figures, arguments.load.json);
}

struct LinkArguments {
  FolderArguments folder;
  std::uint64_t bytes = std::uint64_t{2} << 30;
  std::string json;
};

int run_link(const LinkArguments& arguments) {
  const BenchFolder folder(arguments.folder);
  LinkBenchOptions options;
  options.programs = programs_folder();
  options.folder = folder.path();
  options.bytes = arguments.bytes;
  auto progress = std::make_unique<ProgressLine>("bench link");
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  catch_interrupts();
  turn_live_view_off();
  const auto figures = measure_link(options);
  progress.reset();
  return print_figures(figures, arguments.json);
}

struct LatencyArguments {
  FolderArguments folder;
  std::vector<int> flush_ms = {100, 5};
  double seconds = 20;
  std::string json;
};

int run_latency(const LatencyArguments& arguments) {
  const BenchFolder folder(arguments.folder);
  LatencyBenchOptions options;
  options.programs = programs_folder();
  options.folder = folder.path();
  options.flush_ms = arguments.flush_ms;
  options.seconds = arguments.seconds;
  auto progress = std::make_unique<ProgressLine>("bench latency");
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  catch_interrupts();
  turn_live_view_off();
  const auto figures = measure_latency(options);
  progress.reset();
  return print_figures(figures, arguments.json);
}

}  // namespace

void add_ingest_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<IngestArguments>();
  CLI::App* command =
      bench->add_subcommand("ingest", "The whole line: generator, daemon and room on this machine");
  command->footer(
      "Starts a daemon and a room of its own, on loopback; touches no running ones. Prints no\n"
      "figure, and ends with 1, if a datagram was dropped or the room's rows are not those sent.");
  arguments->load.add_to(command);
  arguments->folder.add_to(command);
  command->callback([arguments, &context] { context.exit_code = run_ingest(*arguments); });
}

void add_link_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<LinkArguments>();
  CLI::App* command = bench->add_subcommand(
      "link", "A backlog that drains once the link is back, and the live edge");
  command->add_option("--bytes", arguments->bytes, "Of the backlog, at least; 2G, 500M, ...")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->callback([arguments, &context] { context.exit_code = run_link(*arguments); });
}

void add_latency_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<LatencyArguments>();
  CLI::App* command = bench->add_subcommand(
      "latency", "Datagram to subscriber of the room, and what a GT3 car costs");
  command->add_option("--flush", arguments->flush_ms, "Flush intervals in ms, one run each")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--seconds", arguments->seconds, "How long the car sends, each run")
      ->check(CLI::Range(3.0, 3600.0))
      ->capture_default_str();
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->callback([arguments, &context] { context.exit_code = run_latency(*arguments); });
}

}  // namespace pitbox
