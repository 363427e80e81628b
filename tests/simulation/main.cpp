// pitbox-sim: runs simulated worlds (world.h) and says which seeds broke a promise.
//
//   pitbox-sim --seeds 1..2000        exit 0: none; 1: some, each with its seed and trace
//   pitbox-sim --seeds 4711 --trace   one run, told in full
//   pitbox-sim --minutes 60           as many as there is time for

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "proto/mutant.h"
#include "tests/simulation/world.h"

namespace pitbox::simulation {
namespace {

constexpr std::size_t kTraceLines = 60;  // Of a failure.
constexpr std::chrono::seconds kProgressEvery{30};

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
};

// "A..B" or "A"; false if it is neither.
bool parse_seeds(const std::string& text, Seeds& seeds) {
  const std::size_t dots = text.find("..");
  const std::string last = dots == std::string::npos ? text : text.substr(dots + 2);
  try {
    std::size_t used = 0;
    seeds.first = std::stoull(text.substr(0, dots), &used);
    if (used != std::min(dots, text.size())) return false;
    seeds.last = std::stoull(last, &used);
    return used == last.size() && seeds.first <= seeds.last;
  } catch (const std::exception&) {
    return false;
  }
}

void print_failure(std::uint64_t seed, const RunResult& result, std::size_t lines) {
  std::printf("seed %llu broke a promise:\n", static_cast<unsigned long long>(seed));
  for (const std::string& fault : result.faults) std::printf("  %s\n", fault.c_str());
  const std::size_t from = result.trace.size() > lines ? result.trace.size() - lines : 0;
  for (std::size_t i = from; i < result.trace.size(); ++i) {
    std::printf("%s\n", result.trace[i].c_str());
  }
}

struct Options {
  std::string range = "1..100";
  Seeds seeds;
  bool with_trace = false;
  bool twice = false;
  bool keeps_files = false;
  bool with_log = false;
  double minutes = 0;  // 0: all seeds.
  int failures_max = 3;
  std::string mutant = "none";
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--seeds", options.range, "A..B, or one")->capture_default_str();
  app.add_option("--minutes", options.minutes, "End after so long, whatever seeds are left");
  app.add_flag("--trace", options.with_trace, "Print what happened in each run");
  app.add_flag("--twice", options.twice, "Run each seed twice and compare: the same must happen");
  app.add_flag("--log", options.with_log, "Print what the daemon and the room log meanwhile");
  app.add_flag("--keep", options.keeps_files, "Leave the files of the last run if it failed");
  app.add_option("--failures", options.failures_max, "End after so many")->capture_default_str();
#ifdef PITBOX_MUTANTS
  std::vector<std::string> names;
  for (const auto& [name, value] : kMutants) names.emplace_back(name);
  app.add_option("--mutant", options.mutant, "The bug to have (proto/mutant.h); exit 0: noticed")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
#endif
}

// True if the program now has a deliberate bug.
bool choose_mutant([[maybe_unused]] const std::string& wanted) {
#ifdef PITBOX_MUTANTS
  for (const auto& [name, value] : kMutants) {
    if (name == wanted) chosen_mutant() = value;
  }
#endif
  return wanted != "none";
}

struct Sum {
  std::uint64_t runs = 0;
  int failures = 0;
  RunResult results;  // Added up; without texts.
};

void add(Sum& sum, const RunResult& result) {
  ++sum.runs;
  sum.failures += result.faults.empty() ? 0 : 1;
  sum.results.simulated_ns += result.simulated_ns;
  sum.results.rows += result.rows;
  sum.results.lost_rows += result.lost_rows;
  sum.results.kills += result.kills;
  sum.results.power_cuts += result.power_cuts;
  sum.results.given_up_rows += result.given_up_rows;
  sum.results.journaled_batches += result.journaled_batches;
  sum.results.merged_batches += result.merged_batches;
  const auto append = [](std::vector<std::int64_t>& all, const std::vector<std::int64_t>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  append(sum.results.plain_losses_ns, result.plain_losses_ns);
  append(sum.results.other_losses_ns, result.other_losses_ns);
}

void print_progress(const Sum& sum, std::uint64_t seed) {
  std::fprintf(stderr, "pitbox-sim: %llu runs, %d broke a promise; at seed %llu\n",
               static_cast<unsigned long long>(sum.runs), sum.failures,
               static_cast<unsigned long long>(seed));
}

Sum run_seeds(const Options& options, const std::filesystem::path& folder) {
  Sum sum;
  auto told = std::chrono::steady_clock::now();
  const auto ends = told + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                               std::chrono::duration<double, std::ratio<60>>(options.minutes));
  for (std::uint64_t seed = options.seeds.first;
       seed <= options.seeds.last && sum.failures < options.failures_max; ++seed) {
    const auto now = std::chrono::steady_clock::now();
    if (options.minutes > 0 && now >= ends) break;
    if (now - told >= kProgressEvery) {
      print_progress(sum, seed);
      told = now;
    }
    RunResult result = run_world({.seed = seed, .folder = folder});
    if (options.twice && run_world({.seed = seed, .folder = folder}).digest != result.digest) {
      result.faults.emplace_back("two runs of this seed differ");
    }
    add(sum, result);
    if (!result.faults.empty()) {
      print_failure(seed, result, options.with_trace ? result.trace.size() : kTraceLines);
    } else if (options.with_trace) {
      for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
    }
  }
  return sum;
}

void print_losses(const char* what, std::vector<std::int64_t> losses_ns) {
  if (losses_ns.empty()) return;
  std::sort(losses_ns.begin(), losses_ns.end());
  const auto at = [&](double part) {
    const auto index = static_cast<std::size_t>(part * static_cast<double>(losses_ns.size() - 1));
    return static_cast<double>(losses_ns[index]) / 1e6;
  };
  std::printf(
      "power cuts %s: %zu; lost, before the cut: p50 %.0f ms, p90 %.0f, p99 %.0f, most %.0f\n",
      what, losses_ns.size(), at(0.5), at(0.9), at(0.99), at(1));
}

void print_sum(const Sum& sum, double seconds) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu runs, %d broke a promise; %.1f simulated hours in %.1f s (%.1f ms a run)\n",
              number(sum.runs), sum.failures,
              static_cast<double>(sum.results.simulated_ns) / 3.6e12, seconds,
              1000 * seconds / static_cast<double>(std::max<std::uint64_t>(sum.runs, 1)));
  std::printf(
      "%llu rows in rooms; %llu kills; %llu power cuts with %llu rows lost; %llu rows given up on "
      "small disks\n",
      number(sum.results.rows), number(sum.results.kills), number(sum.results.power_cuts),
      number(sum.results.lost_rows), number(sum.results.given_up_rows));
  std::printf("%llu batches in journals at the end, %llu of them merged into blocks\n",
              number(sum.results.journaled_batches), number(sum.results.merged_batches));
  print_losses("with nothing else wrong", sum.results.plain_losses_ns);
  print_losses("amid other faults", sum.results.other_losses_ns);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Simulated runs of box, network and room, each under a seed.", "pitbox-sim");
  add_options(app, options);
  if (const auto code = end_after_parsing(app, argc, argv)) return *code;
  if (!parse_seeds(options.range, options.seeds)) {
    std::fprintf(stderr, "pitbox-sim: --seeds wants A..B, not '%s'\n", options.range.c_str());
    return kExitUsage;
  }
  const bool has_bug = choose_mutant(options.mutant);
  if (has_bug) options.failures_max = 1;
  spdlog::set_level(options.with_log ? spdlog::level::info : spdlog::level::off);
  const auto place = std::filesystem::path(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  const auto folder = place / ("pitbox-sim-" + std::to_string(getpid()));
  const auto begun = std::chrono::steady_clock::now();
  const Sum sum = run_seeds(options, folder);
  if (options.keeps_files && sum.failures != 0) {
    std::printf("files of the last run: %s\n", folder.c_str());
  } else {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  print_sum(sum, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return (sum.failures != 0) == has_bug ? 0 : 1;
}

}  // namespace
}  // namespace pitbox::simulation

int main(int argc, char** argv) {
  try {
    return pitbox::simulation::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitbox-sim: %s\n", error.what());
    return 2;
  }
}
