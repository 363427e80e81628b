// pitbox-torture: real processes under real faults, at length (kill_run.h).
//
//   pitbox-torture kills --daemon 1000 --room 200     exit 0: nothing lost, duplicated or different
//                                                     1: something was; 2: could not be played

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <random>

#include "apps/command_line.h"
#include "tests/torture/kill_run.h"

namespace {

namespace fs = std::filesystem;
using Count = unsigned long long;

constexpr int kExitFault = 1;
constexpr int kExitNotPlayed = 2;

void print_progress(const pitbox::KillProgress& now) {
  std::printf(
      "killed: daemon %4d, room %4d; sent %9llu records; kernel holds %6llu KiB, dropped %llu\n",
      now.daemon_kills, now.room_kills, static_cast<Count>(now.sent),
      static_cast<Count>(now.queued_bytes / 1024), static_cast<Count>(now.kernel_drops));
  std::fflush(stdout);
}

void print_place(const char* name, const pitbox::RowComparison& place) {
  std::printf("%-8s %10llu records: lost %llu, duplicated %llu, different %llu\n", name,
              static_cast<Count>(place.actual), static_cast<Count>(place.missing),
              static_cast<Count>(place.duplicated), static_cast<Count>(place.different));
}

void print_report(const pitbox::KillReport& report) {
  const auto& after = report.receives_after_ms;
  if (!after.empty()) {
    const auto percentile = [&](std::size_t percent) {
      return static_cast<long long>(after[(after.size() - 1) * percent / 100]);
    };
    std::printf(
        "receives again after exec: %zu lives, p50 %lld ms, p90 %lld ms, p99 %lld ms, "
        "most %lld ms; killed before: %zu\n",
        after.size(), percentile(50), percentile(90), percentile(99), percentile(100),
        static_cast<std::size_t>(report.end.daemon_kills) - after.size());
  }
  std::printf("when the kills ended: %llu batches journaled, %llu entries not yet acknowledged\n",
              static_cast<Count>(report.batches_then), static_cast<Count>(report.pending_then));
  std::printf("journal files %zu; kernel dropped %llu datagrams; pitbox verify: %s\n",
              report.kept.journal_files, static_cast<Count>(report.kept.kernel_drops),
              report.kept.is_verified ? "the same" : "NOT the same");
  std::printf("%-8s %10llu records\n", "sent", static_cast<Count>(report.kept.journal.expected));
  print_place("journal", report.kept.journal);
  print_place("room", report.kept.room);
}

int kill(pitbox::KillRunOptions& options) {
  options.programs = fs::canonical("/proc/self/exe").parent_path();
  options.folder = fs::temp_directory_path() / ("pitbox-torture-" + std::to_string(getpid()));
  options.progress = print_progress;
  std::printf("seed %llu, %llu samples/s\n", static_cast<Count>(options.seed),
              static_cast<Count>(options.samples_per_second));
  const auto report = pitbox::run_kills(options);
  if (!report.ok()) {
    std::fprintf(stderr, "pitbox-torture: %s\nlogs and journals are in %s\n",
                 report.status().message().c_str(), options.folder.c_str());
    return kExitNotPlayed;
  }
  print_report(report.value());
  if (!report.value().kept.is_clean()) {
    std::printf("FAULT; logs and journals are in %s\n", options.folder.c_str());
    return kExitFault;
  }
  std::printf("nothing lost, nothing duplicated, nothing different\n");
  std::error_code ignored;
  fs::remove_all(options.folder, ignored);
  return 0;
}

int run_program(int argc, char** argv) {
  CLI::App app{"Real processes under real faults, at length."};
  app.require_subcommand(1);
  pitbox::KillRunOptions options;
  int life_ms = 400;
  options.daemon_kills = 1000;
  options.room_kills = 200;
  options.seed = std::random_device{}();
  CLI::App* kills = app.add_subcommand(
      "kills", "SIGKILLs of daemon and room at random moments, while numbered records are sent");
  kills->footer(
      "Exit codes: 0 nothing lost, duplicated or different, and the kernel dropped nothing;\n"
      "1 something was; 2 the run could not be played to its end.");
  kills->add_option("--daemon", options.daemon_kills, "Kills of the daemon")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  kills->add_option("--room", options.room_kills, "Kills of the room")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  kills->add_option("--rate", options.samples_per_second, "Samples per second")
      ->check(CLI::Range(200, 5'000'000))
      ->capture_default_str();
  kills
      ->add_option("--life", life_ms,
                   "Milliseconds from one kill of the daemon to the next, on average")
      ->check(CLI::Range(20, 60'000))
      ->capture_default_str();
  kills->add_option("--seed", options.seed, "Of the moments (default: random)");
  if (const auto code = pitbox::end_after_parsing(app, argc, argv)) return *code;
  options.daemon_lives = std::chrono::milliseconds(life_ms);
  return kill(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitbox-torture: %s\n", error.what());
    return kExitNotPlayed;
  }
}
