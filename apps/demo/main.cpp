// pitbox-demo: what `./dev run` starts.

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include "apps/command_line.h"
#include "apps/demo/live_run.h"
#include "apps/demo/script.h"

namespace {

namespace fs = std::filesystem;

int complain(const pitbox::Status& status) {
  std::fprintf(stderr, "\npitbox-demo: %s\n", status.message().c_str());
  return 2;
}

// Exit code: 0 if the ledger is clean, 1 if it is not, 2 if the script could not be played.
int demo(const fs::path& programs, const fs::path& json_file, std::uint64_t seed) {
  const fs::path folder = fs::temp_directory_path() / ("pitbox-demo-" + std::to_string(getpid()));
  const auto ledger = pitbox::play_demo({.programs = programs, .folder = folder, .seed = seed});
  if (!ledger.ok()) {
    std::fprintf(stderr, "logs and journals are in %s\n", folder.c_str());
    return complain(ledger.status());
  }
  std::fputs(pitbox::to_table(ledger.value()).c_str(), stdout);
  if (!json_file.empty()) {
    std::ofstream file(json_file);
    file << pitbox::to_json(ledger.value()) << "\n";
    file.close();
    if (!file) return complain({pitbox::Code::kRejected, json_file.string() + ": cannot write"});
  }
  const auto faults = ledger.value().faults();
  for (const std::string& fault : faults) std::printf("FAULT: %s\n", fault.c_str());
  if (!faults.empty()) {
    std::printf("logs and journals are in %s\n", folder.c_str());
    return 1;
  }
  std::printf("nothing missing, nothing duplicated, nothing different\n");
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return 0;
}

int run_program(int argc, char** argv) {
  CLI::App app{"Room, daemon and cars on this machine: to look at, or to be proven right."};
  bool is_demo = false;
  fs::path json_file;
  std::uint64_t seed = 7;
  pitbox::LiveRunOptions live;
  live.folder = "run";
  CLI::Option* demo_flag =
      app.add_flag("--demo", is_demo, "play the script of about 90 s and compare the books");
  app.add_option("--json", json_file, "with --demo: write the ledger there")->needs(demo_flag);
  app.add_option("--seed", seed, "with --demo: of the simulated cars")
      ->needs(demo_flag)
      ->capture_default_str();
  CLI::Option* input =
      app.add_option("--input", live.input, "play this recording (NMEA) instead of simulated cars")
          ->check(CLI::ExistingFile)
          ->excludes(demo_flag);
  app.add_option("--track", live.track_file,
                 "with --input: file with a [track] table alone (default: Orlando Kart Center)")
      ->check(CLI::ExistingFile)
      ->needs(input);
  app.add_option("--folder", live.folder, "where journals and logs go")->capture_default_str();
  app.add_option("--room-port", live.room_port, "of room and page")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--source-port", live.source_port, "UDP port of the cars")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  if (const auto code = pitbox::end_after_parsing(app, argc, argv)) return *code;

  const fs::path programs = fs::canonical("/proc/self/exe").parent_path();
  if (is_demo) return demo(programs, json_file, seed);
  live.programs = programs;
  live.folder = fs::absolute(live.folder);
  const pitbox::Status ran = pitbox::run_live(live);
  return ran.ok() ? 0 : complain(ran);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitbox-demo: %s\n", error.what());
    return 2;
  }
}
