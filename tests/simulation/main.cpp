// pitbox-sim: runs simulated worlds (world.h) and says which seeds broke a promise.
//
//   pitbox-sim --seeds 1..2000        exit 0: none; 1: some, each with its seed and trace
//   pitbox-sim --seeds 4711 --trace   one run, told in full

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

int run(int argc, char** argv) {
  std::string range = "1..100";
  bool with_trace = false;
  bool twice = false;
  bool keeps_files = false;
  bool with_log = false;
  int failures_max = 3;
  CLI::App app("Simulated runs of box, network and room, each under a seed.", "pitbox-sim");
  app.add_option("--seeds", range, "A..B, or one")->capture_default_str();
  app.add_flag("--trace", with_trace, "Print what happened in each run");
  app.add_flag("--twice", twice, "Run each seed twice and compare: the runs must be the same");
  app.add_flag("--log", with_log, "Print what the daemon and the room log meanwhile");
  app.add_flag("--keep", keeps_files, "Leave the files of the last run if it failed");
#ifdef PITBOX_MUTANTS
  std::string mutant = "none";
  std::vector<std::string> names;
  for (const auto& [name, value] : kMutants) names.emplace_back(name);
  app.add_option("--mutant", mutant, "The deliberate bug to have (proto/mutant.h); exit 0: caught")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
#endif
  app.add_option("--failures", failures_max, "End after so many")->capture_default_str();
  if (const auto code = end_after_parsing(app, argc, argv)) return *code;
  Seeds seeds;
  if (!parse_seeds(range, seeds)) {
    std::fprintf(stderr, "pitbox-sim: --seeds wants A..B, not '%s'\n", range.c_str());
    return kExitUsage;
  }
#ifdef PITBOX_MUTANTS
  for (const auto& [name, value] : kMutants) {
    if (name == mutant) chosen_mutant() = value;
  }
  if (!has_mutant(Mutant::kNone)) failures_max = 1;
#endif
  spdlog::set_level(with_log ? spdlog::level::info : spdlog::level::off);
  const auto place = std::filesystem::path(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  const auto folder = place / ("pitbox-sim-" + std::to_string(getpid()));
  const auto begun = std::chrono::steady_clock::now();
  int failures = 0;
  RunResult sum;
  std::uint64_t runs = 0;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last && failures < failures_max; ++seed) {
    RunResult result = run_world({.seed = seed, .folder = folder});
    if (twice && run_world({.seed = seed, .folder = folder}).digest != result.digest) {
      result.faults.emplace_back("two runs of this seed differ");
    }
    ++runs;
    sum.simulated_ns += result.simulated_ns;
    sum.rows += result.rows;
    sum.lost_rows += result.lost_rows;
    sum.kills += result.kills;
    sum.power_cuts += result.power_cuts;
    sum.greatest_loss_ns = std::max(sum.greatest_loss_ns, result.greatest_loss_ns);
    if (!result.faults.empty()) {
      ++failures;
      print_failure(seed, result, with_trace ? result.trace.size() : 60);
    } else if (with_trace) {
      for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
    }
  }
  if (keeps_files && failures != 0) {
    std::printf("files of the last run: %s\n", folder.c_str());
  } else {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu runs, %d broke a promise; %.1f simulated hours in %.1f s (%.1f ms a run)\n",
              static_cast<unsigned long long>(runs), failures,
              static_cast<double>(sum.simulated_ns) / 3.6e12, seconds,
              1000 * seconds / static_cast<double>(std::max<std::uint64_t>(runs, 1)));
  std::printf(
      "%llu rows in rooms; %llu kills, %llu power cuts with %llu rows lost, at most %.0f ms "
      "before the cut\n",
      static_cast<unsigned long long>(sum.rows), static_cast<unsigned long long>(sum.kills),
      static_cast<unsigned long long>(sum.power_cuts),
      static_cast<unsigned long long>(sum.lost_rows),
      static_cast<double>(sum.greatest_loss_ns) / 1e6);
#ifdef PITBOX_MUTANTS
  if (!has_mutant(Mutant::kNone)) return failures == 0 ? 1 : 0;
#endif
  return failures == 0 ? 0 : 1;
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
