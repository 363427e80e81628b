// `pitbox bench load` and `pitbox bench make-journal`: what others are measured with.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/bench/journal_maker.h"
#include "apps/bench/load_sender.h"
#include "apps/pitbox/bench_support.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

struct LoadOptions {
  LoadArguments load;
  std::string to;
};

int run_load(const LoadOptions& options) {
  const auto rate = parse_rate(options.load.rate);
  if (!rate.ok()) return fail(rate.status());
  if (const Status fits = check_load(options.load); !fits.ok()) return fail(fits);
  auto load = Load::make(options.load.cars, static_cast<std::uint32_t>(random_id() >> 32U),
                         *load_car(options.load.car));
  if (!load.ok()) return fail(load.status());
  catch_interrupts();
  const auto sent = send_load(options.to, load.value(),
                              {.samples_per_second = rate.value(),
                               .seconds = options.load.seconds,
                               .with_gso = options.load.gso},
                              was_interrupted);
  if (!sent.ok()) return fail(sent.status());
  const std::uint64_t samples = load.value().samples(sent.value().datagrams);
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

struct MakeJournalArguments {
  std::string state;
  std::uint64_t bytes = std::uint64_t{2} << 30;
  std::size_t cars = 20;
  bool end = false;
};

int run_make_journal(const MakeJournalArguments& arguments) {
  auto progress = std::make_unique<ProgressLine>("make-journal");
  catch_interrupts();
  JournalMakerOptions options;
  options.state_directory = arguments.state;
  options.bytes = arguments.bytes;
  options.cars = arguments.cars;
  options.ends_session = arguments.end;
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  const auto made = make_journal(options);
  progress.reset();
  if (!made.ok()) return fail(made.status());
  std::printf("session %s: %llu batches, %.0f MB, %llu samples, %.0f s of %zu cars%s\n",
              made.value().session.text().c_str(),
              static_cast<unsigned long long>(made.value().batches),
              static_cast<double>(made.value().bytes) / 1e6,
              static_cast<unsigned long long>(made.value().samples), made.value().recorded_s,
              arguments.cars, arguments.end ? "" : "; left open");
  return kExitDone;
}

}  // namespace

void add_load_command(CLI::App* bench, CommandContext& context) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App* command =
      bench->add_subcommand("load", "Send the synthetic cars' datagrams to any receiver");
  options->load.add_to(command);
  command->add_option("--to", options->to, "Where to send: udp://ADDRESS:PORT")->required();
  command->callback([options, &context] { context.exit_code = run_load(*options); });
}

void add_make_journal_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<MakeJournalArguments>();
  CLI::App* command = bench->add_subcommand(
      "make-journal", "A journal of any size, as if it had been recorded, for tests of backlogs");
  command->footer(
      "The synthetic cars at their own rates, through the daemon's decoder, batch builder and\n"
      "journal. The session is left open, as a daemon that was stopped leaves it.");
  command->add_option("--state", arguments->state, "State directory; no daemon may have it")
      ->required();
  command->add_option("--bytes", arguments->bytes, "Of batches, at least; 500M, 2G, ... [2G]")
      ->transform(CLI::AsSizeValue(false));
  command->add_option("--cars", arguments->cars, "Synthetic cars")
      ->check(CLI::Range(std::size_t{1}, Load::kCarsMax))
      ->capture_default_str();
  command->add_flag("--end", arguments->end, "End the session");
  command->callback([arguments, &context] { context.exit_code = run_make_journal(*arguments); });
}

}  // namespace pitbox
