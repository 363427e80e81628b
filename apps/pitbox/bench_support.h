// What the commands of `pitbox bench` share: how a load is asked for, where a bench writes, and how
// figures become output and an exit code. One thread.

#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/load.h"
#include "apps/pitbox/command.h"
#include "proto/status.h"

namespace pitbox {

// bench_line_commands.cpp: generator, daemon and room together.
void add_ingest_command(CLI::App* bench, CommandContext& context);
void add_link_command(CLI::App* bench, CommandContext& context);
void add_latency_command(CLI::App* bench, CommandContext& context);
void add_start_command(CLI::App* bench, CommandContext& context);
void add_soak_command(CLI::App* bench, CommandContext& context);
// bench_part_commands.cpp: one part alone.
void add_codec_command(CLI::App* bench, CommandContext& context);
void add_disk_command(CLI::App* bench, CommandContext& context);
// bench_load_commands.cpp: what others are measured with.
void add_load_command(CLI::App* bench, CommandContext& context);
void add_make_journal_command(CLI::App* bench, CommandContext& context);

struct LoadArguments {
  std::string car = name_of(LoadCar::kSynthetic);
  std::size_t cars = 20;
  std::string rate = "22e6";
  double seconds = 60;
  bool gso = false;
  std::string json;

  // `both`: "both" is a kind, too, and the default.
  void add_to(CLI::App* command, bool both = false) {
    std::vector<std::string> kinds = {name_of(LoadCar::kSynthetic), name_of(LoadCar::kSimulated)};
    if (both) kinds.push_back(car = "both");
    command
        ->add_option("--car", car,
                     both ? "synthetic (floats), simulated (integers), or one after the other"
                          : "synthetic (floats) or simulated (integers)")
        ->check(CLI::IsMember(kinds))
        ->capture_default_str();
    command->add_option("--cars", cars, "How many")
        ->check(CLI::Range(std::size_t{1}, Load::kCarsMax))
        ->capture_default_str();
    command->add_option("--rate", rate, "Samples/s of all cars together, or 'max'")
        ->capture_default_str();
    command->add_option("--seconds", seconds, "How long to send")
        ->check(CLI::Range(0.1, 86'400.0))
        ->capture_default_str();
    command->add_flag("--gso", gso,
                      "Let the kernel cut one send into many datagrams; synthetic cars only");
    command->add_option("--json", json, "Write the figures to this file too");
  }
};

// kRejected if the kind of car cannot be sent so, or not so many.
Status check_load(const LoadArguments& arguments);

// "22e6", or 0 for "max". kRejected for anything else.
Result<double> parse_rate(const std::string& text);

CLI::Option* add_json_option(CLI::App* command, std::string& file);
Status write_file(const std::string& file, const std::string& text);

// Where a bench writes: a folder of its own under the one asked for, or under $TMPDIR.
struct FolderArguments {
  std::string root;
  bool keep = false;

  void add_to(CLI::App* command);
};
class BenchFolder {
 public:
  explicit BenchFolder(const FolderArguments& arguments);
  // Removes it, unless it is to be kept: then it says where it is.
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
  const bool is_kept_;
};

// For daemons that are started: its bytes are not the journal's.
void turn_live_view_off();

// Of this program: pitboxd and pitbox-room lie beside it.
std::filesystem::path programs_folder();

// Prints the table, writes the JSON if a file is named. Exit code 1 where the bench refused to give
// a figure.
template <typename Figures>
int print_figures(const Result<Figures>& figures, const std::string& json_file) {
  if (!figures.ok()) {
    fail(figures.status());
    return figures.status().code() == Code::kRejected ? kExitNo : kExitFailed;
  }
  std::fputs(to_table(figures.value()).c_str(), stdout);
  if (json_file.empty()) return kExitDone;
  const Status written = write_file(json_file, to_json(figures.value()));
  return written.ok() ? kExitDone : fail(written);
}

// One bench in a folder of its own: progress, Ctrl-C, output, exit code. `options` as the bench has
// them, without folders and what is said meanwhile.
template <typename Options, typename Measure>
int run_bench(const char* name, const FolderArguments& folder_arguments,
              const std::string& json_file, Options options, Measure measure) {
  const BenchFolder folder(folder_arguments);
  options.folder = folder.path();
  if constexpr (requires { options.programs; }) options.programs = programs_folder();
  auto progress = std::make_unique<ProgressLine>(name);
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  catch_interrupts();
  const auto figures = measure(options);
  progress.reset();
  return print_figures(figures, json_file);
}

}  // namespace pitbox
