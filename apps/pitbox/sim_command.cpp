// `pitbox sim`: simulated cars, sent in the native format (docs/sim.md).

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/pitbox/command.h"
#include "apps/sim/sender.h"
#include "apps/sim/simulator.h"
#include "apps/sim/transmitter.h"
#include "buffer/clock.h"
#include "export/ledger_file.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

constexpr std::int64_t kFlushNs = 1000 * kNsPerMs;
constexpr std::size_t kFirstAnnouncements = 32;  // At a time: a default socket buffer holds 92.
constexpr std::int64_t kFirstAnnouncementsNs = 2 * kNsPerMs;

struct SimOptions {
  SimulatorOptions simulator;
  std::string to;
  std::string speed = "1";
  std::string announce = "5";
  std::string ledger = "-";
  double seconds = 0;
  std::uint32_t sender = 0;
  bool live = false;
  bool print_track = false;
  bool json = false;
};

struct Pace {
  double speed = 1;              // 0: as fast as it goes.
  std::int64_t announce_ms = 0;  // 0: once.
  std::int64_t end_ms = 0;       // 0: until stopped.
};

std::optional<double> parse_positive(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(value > 0) || value > 1e6) return std::nullopt;
  return value;
}

Result<Pace> parse_pace(const SimOptions& options) {
  Pace pace;
  if (options.speed == "max") {
    pace.speed = 0;
  } else if (const auto speed = parse_positive(options.speed)) {
    pace.speed = *speed;
  } else {
    return Status(Code::kRejected,
                  "--speed must be a number above 0, or 'max'; not '" + options.speed + "'");
  }
  if (options.announce != "once") {
    const auto seconds = parse_positive(options.announce);
    if (!seconds) {
      return Status(Code::kRejected,
                    "--announce must be a number of seconds above 0, or 'once'; "
                    "not '" +
                        options.announce + "'");
    }
    pace.announce_ms = std::max<std::int64_t>(kTickMs, static_cast<std::int64_t>(*seconds * 1000));
  }
  if (!(options.seconds >= 0) || options.seconds > 1e7) {
    return Status(Code::kRejected, "--seconds must be 0 (until stopped) to 10000000");
  }
  pace.end_ms = static_cast<std::int64_t>(options.seconds * 1000);
  if (options.seconds > 0 && pace.end_ms == 0) pace.end_ms = 1;
  return pace;
}

// Sends until the end, a signal, or an error; the ledger is flushed every second and at the end.
class Run {
 public:
  Run(const Pace& pace, Transmitter& transmitter, LedgerWriter* ledger)
      : pace_(pace), transmitter_(transmitter), ledger_(ledger) {}

  Status run() {
    Status status = drive();
    // The books are closed whatever happened; the first error is the one to report.
    Status flushed = flush();
    if (!status.ok() && !was_interrupted()) return status;
    return flushed;
  }

 private:
  Status announce_all() {
    for (std::size_t left = transmitter_.definition_count(); left > 0;) {
      const std::size_t count = std::min(left, kFirstAnnouncements);
      Status status = transmitter_.announce(count);
      if (!status.ok()) return status;
      left -= count;
      if (!sleep_until_ns(steady_now_ns() + kFirstAnnouncementsNs, was_interrupted)) break;
    }
    return {};
  }

  // So many that each definition has its turn once per interval.
  Status announce_due(std::int64_t at_ms) {
    if (pace_.announce_ms == 0) return {};
    const auto all = static_cast<double>(transmitter_.definition_count());
    const double due = static_cast<double>(at_ms) * all / static_cast<double>(pace_.announce_ms);
    const auto count = static_cast<std::uint64_t>(due);
    if (count <= announced_) return {};
    const std::uint64_t now =
        std::min<std::uint64_t>(count - announced_, transmitter_.definition_count());
    announced_ = count;
    return transmitter_.announce(now);
  }

  Status drive() {
    Status status = announce_all();
    if (!status.ok()) return status;
    const std::int64_t start = steady_now_ns();
    ProgressLine progress("sim");
    for (std::int64_t at_ms = kTickMs;; at_ms += kTickMs) {
      if (pace_.end_ms > 0) at_ms = std::min(at_ms, pace_.end_ms);
      if (pace_.speed > 0) {
        const auto due = static_cast<double>(at_ms * kNsPerMs) / pace_.speed;
        if (!sleep_until_ns(start + static_cast<std::int64_t>(due), was_interrupted)) return {};
      }
      status = announce_due(at_ms);
      if (status.ok()) status = transmitter_.run_to(at_ms);
      if (status.ok() && steady_now_ns() - flushed_ns_ >= kFlushNs) status = flush();
      if (!status.ok()) return status;
      if (at_ms == pace_.end_ms || was_interrupted()) return {};
      show(progress, at_ms);
    }
  }

  Status flush() {
    flushed_ns_ = steady_now_ns();
    return ledger_ == nullptr ? Status() : ledger_->flush(transmitter_.totals());
  }

  void show(ProgressLine& progress, std::int64_t at_ms) const {
    const LedgerTotals& totals = transmitter_.totals();
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%.1f s, %llu rows, %llu samples, %llu datagrams",
                  static_cast<double>(at_ms) / 1000, static_cast<unsigned long long>(totals.rows),
                  static_cast<unsigned long long>(totals.samples),
                  static_cast<unsigned long long>(totals.datagrams));
    progress.show(text.data());
  }

  const Pace pace_;
  Transmitter& transmitter_;
  LedgerWriter* ledger_;
  std::uint64_t announced_ = 0;
  std::int64_t flushed_ns_ = 0;
};

void print_totals(const LedgerTotals& totals, const Sender& sender, bool as_json) {
  if (as_json) {
    std::printf("%s\n", totals.json().c_str());
  } else {
    std::printf("sent %llu rows, %llu samples in %llu datagrams (%llu bytes), content %016llx\n",
                static_cast<unsigned long long>(totals.rows),
                static_cast<unsigned long long>(totals.samples),
                static_cast<unsigned long long>(totals.datagrams),
                static_cast<unsigned long long>(totals.bytes),
                static_cast<unsigned long long>(totals.content_hash));
  }
  if (sender.refused() > 0) {
    std::fprintf(stderr,
                 "pitbox: nobody was listening at %s for %llu datagrams or more; they are lost and "
                 "in the ledger\n",
                 sender.url().c_str(), static_cast<unsigned long long>(sender.refused()));
  }
}

int run_sim(const SimOptions& options) {
  if (options.print_track) {
    std::fputs(SimTrack().toml().c_str(), stdout);
    return kExitDone;
  }
  if (options.to.empty()) {
    return fail(Status(Code::kRejected, "say where to send: --to udp://HOST:PORT"));
  }
  const auto pace = parse_pace(options);
  if (!pace.ok()) return fail(pace.status());
  auto simulator = Simulator::make(options.simulator);
  if (!simulator.ok()) return fail(simulator.status());
  auto sender = Sender::open(options.to, was_interrupted);
  if (!sender.ok()) return fail(sender.status());
  if (sender.value()->is_stream()) {
    return fail(Status(Code::kRejected, "the simulator sends datagrams: --to udp://HOST:PORT"));
  }
  std::unique_ptr<LedgerWriter> ledger;
  if (options.ledger != "-") {
    auto created = LedgerWriter::create(options.ledger);
    if (!created.ok()) return fail(created.status());
    ledger = std::move(created).take();
  }
  catch_interrupts();
  const std::uint32_t number =
      options.sender != 0 ? options.sender : static_cast<std::uint32_t>(random_id() >> 32U);
  Transmitter transmitter(
      *simulator.value(), number,
      [&sender](std::string_view datagram) { return sender.value()->send(datagram); },
      ledger.get());
  const Status status = Run(pace.value(), transmitter, ledger.get()).run();
  print_totals(transmitter.totals(), *sender.value(), options.json);
  return status.ok() ? kExitDone : fail(status);
}

}  // namespace

void add_sim_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SimOptions>();
  CLI::App* command = app.add_subcommand("sim", "Send simulated cars, and keep a ledger of them");
  command->footer(
      "Runs until --seconds of car time are over, or SIGINT or SIGTERM; both end it cleanly.");
  SimulatorOptions& field = options->simulator;
  command->add_option("--cars", field.cars, "Number of cars, 1 to 46")->capture_default_str();
  command->add_option("--seed", field.seed, "Decides everything about the run")
      ->capture_default_str();
  command->add_option("--rate", field.rate_scale, "Multiplies all sampling rates but the GPS's")
      ->capture_default_str();
  command->add_flag("--gt3", field.gt3, "4,000 samples/s per car instead of 132,700");
  command->add_option("--seconds", options->seconds, "Car time to drive; 0: until stopped")
      ->capture_default_str();
  command->add_option("--speed", options->speed, "Times real time, or 'max'")
      ->capture_default_str();
  command->add_flag("--live", options->live, "In real time (the default)")->excludes("--speed");
  command
      ->add_option("--announce", options->announce,
                   "Repeat definitions every so many seconds, "
                   "or 'once'")
      ->capture_default_str();
  command->add_option("--ledger", options->ledger, "File for the ledger; '-' for none")
      ->capture_default_str();
  command->add_option("--sender", options->sender, "Number of this sender; 0: a random one")
      ->capture_default_str();
  command->add_option("--to", options->to, "Where to send: udp://HOST:PORT");
  command->add_flag("--print-track", options->print_track,
                    "Print the circuit's [track] table for pitboxd's configuration, and end");
  command->add_flag("--json", options->json, "Print the totals as JSON");
  command->callback([options, &context] { context.exit_code = run_sim(*options); });
}

}  // namespace pitbox
