// `pitbox bench ingest`, `link`, `latency`, `start` and `soak`: generator, daemon and room
// together.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/ingest_bench.h"
#include "apps/bench/latency_bench.h"
#include "apps/bench/link_bench.h"
#include "apps/bench/soak.h"
#include "apps/bench/start_bench.h"
#include "apps/pitbox/bench_support.h"
#include "apps/sim/simulator.h"

namespace pitbox {
namespace {

struct IngestArguments {
  LoadArguments load;
  FolderArguments folder;
};

int run_ingest(const IngestArguments& arguments) {
  const auto rate = parse_rate(arguments.load.rate);
  if (!rate.ok()) return fail(rate.status());
  IngestBenchOptions options;
  const bool is_both = arguments.load.car == "both";
  if (!is_both) options.kinds = {*load_car(arguments.load.car)};
  if (is_both && !arguments.load.gso) options.kinds.push_back(LoadCar::kSimulated);
  if (const Status fits = check_load(arguments.load); !fits.ok()) return fail(fits);
  options.cars = arguments.load.cars;
  options.samples_per_second = rate.value();
  options.seconds = arguments.load.seconds;
  options.with_gso = arguments.load.gso;
  turn_live_view_off();
  return run_bench("bench ingest", arguments.folder, arguments.load.json, options, measure_ingest);
}

struct LinkArguments {
  FolderArguments folder;
  std::uint64_t bytes = std::uint64_t{2} << 30;
  std::string json;
};

int run_link(const LinkArguments& arguments) {
  LinkBenchOptions options;
  options.bytes = arguments.bytes;
  turn_live_view_off();
  return run_bench("bench link", arguments.folder, arguments.json, options, measure_link);
}

struct LatencyArguments {
  FolderArguments folder;
  std::vector<int> flush_ms = {100, 5};
  double seconds = 20;
  std::string json;
};

int run_latency(const LatencyArguments& arguments) {
  LatencyBenchOptions options;
  options.flush_ms = arguments.flush_ms;
  options.seconds = arguments.seconds;
  turn_live_view_off();
  return run_bench("bench latency", arguments.folder, arguments.json, options, measure_latency);
}

struct StartArguments {
  FolderArguments folder;
  std::uint64_t bytes = std::uint64_t{10} << 30;
  int kills = 10;
  std::string json;
};

int run_start(const StartArguments& arguments) {
  StartBenchOptions options;
  options.bytes = arguments.bytes;
  options.kills = arguments.kills;
  return run_bench("bench start", arguments.folder, arguments.json, options, measure_start);
}

struct SoakArguments {
  FolderArguments folder;
  double hours = 2;
  std::size_t cars = 2;
  std::string json;
  std::string chart;
};

int run_soak(const SoakArguments& arguments) {
  SoakOptions options;
  options.hours = arguments.hours;
  options.cars = arguments.cars;
  bool holds = true;
  Status drawn;
  const int code = run_bench("bench soak", arguments.folder, arguments.json, options,
                             [&](const SoakOptions& complete) {
                               auto figures = soak(complete);
                               if (!figures.ok()) return figures;
                               holds = figures.value().why_not.empty();
                               if (!arguments.chart.empty()) {
                                 drawn = write_file(arguments.chart, to_chart(figures.value()));
                               }
                               return figures;
                             });
  if (code != kExitDone) return code;
  if (!drawn.ok()) return fail(drawn);
  return holds ? kExitDone : kExitNo;
}

}  // namespace

void add_ingest_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<IngestArguments>();
  CLI::App* command =
      bench->add_subcommand("ingest", "The whole line: generator, daemon and room on this machine");
  command->footer(
      "Starts a daemon and a room of its own, on loopback; touches no running ones. Prints no\n"
      "figure, and ends with 1, if a datagram was dropped or the room's rows are not those sent.");
  arguments->load.add_to(command, true);
  arguments->folder.add_to(command);
  command->callback([arguments, &context] { context.exit_code = run_ingest(*arguments); });
}

void add_link_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<LinkArguments>();
  CLI::App* command = bench->add_subcommand(
      "link", "A backlog that drains once the link is back, and the live edge");
  command->add_option("--bytes", arguments->bytes, "Of the backlog, at least; 500M, 2G, ... [2G]")
      ->transform(CLI::AsSizeValue(false));
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

void add_start_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<StartArguments>();
  CLI::App* command = bench->add_subcommand(
      "start", "Exec to the first journaled datagram, after SIGKILL with a large live file");
  command
      ->add_option("--bytes", arguments->bytes, "Of the live file, at least; 10G, 500M, ... [10G]")
      ->transform(CLI::AsSizeValue(false));
  command->add_option("--kills", arguments->kills, "How often it is killed and started")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->callback([arguments, &context] { context.exit_code = run_start(*arguments); });
}

void add_soak_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<SoakArguments>();
  CLI::App* command = bench->add_subcommand("soak", "What grows while everything runs for hours");
  command->add_option("--hours", arguments->hours, "How long")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
  command->add_option("--cars", arguments->cars, "Simulated cars, in real time")
      ->check(CLI::Range(std::size_t{1}, kMaxSimulatedCars))
      ->capture_default_str();
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->add_option("--chart", arguments->chart, "Draw it into this file, as SVG");
  command->footer("Ends with 1 if something was dropped, was not complete, or grew.");
  command->callback([arguments, &context] { context.exit_code = run_soak(*arguments); });
}

}  // namespace pitbox
