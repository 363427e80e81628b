// `pitbox bench codec` and `pitbox bench disk`: one part of the line alone.

#include <memory>
#include <string>
#include <utility>

#include "apps/bench/car_recording.h"
#include "apps/bench/codec_bench.h"
#include "apps/bench/disk_bench.h"
#include "apps/pitbox/bench_support.h"

namespace pitbox {
namespace {

struct CodecArguments {
  std::string car = "synthetic";
  std::string log;
  double seconds = 60;
  std::string json;
};

int run_codec(const CodecArguments& arguments) {
  auto progress = std::make_unique<ProgressLine>("bench codec");
  catch_interrupts();
  progress->show("making the recording");
  CarRecording recording;
  if (!arguments.log.empty()) {
    auto read = read_motec_log(arguments.log);
    if (!read.ok()) {
      progress.reset();
      return fail(read.status());
    }
    recording = std::move(read).take();
  } else {
    recording = arguments.car == "synthetic" ? record_synthetic_car(arguments.seconds)
                                             : record_simulated_car(arguments.seconds);
  }
  CodecBenchOptions options;
  options.folder = std::filesystem::temp_directory_path();
  options.progress = [&](std::string_view what) { progress->show(what); };
  options.should_stop = was_interrupted;
  const auto figures = measure_codec(recording, options);
  progress.reset();
  return print_figures(figures, arguments.json);
}

struct DiskArguments {
  FolderArguments folder;
  std::string json;
};

int run_disk(const DiskArguments& arguments) {
  return run_bench("bench disk", arguments.folder, arguments.json, DiskBenchOptions(),
                   measure_disk);
}

}  // namespace

void add_codec_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<CodecArguments>();
  CLI::App* command =
      bench->add_subcommand("codec", "The codec alone: speed and bytes per sample by batch length");
  command->footer(
      "The bound is what `xz -9e` makes of the whole recording in its most favourable order.");
  command->add_option("--car", arguments->car, "synthetic (floats) or simulated (integers)")
      ->check(CLI::IsMember({"synthetic", "simulated"}))
      ->capture_default_str();
  command->add_option("--log", arguments->log, "A MoTeC log (.ld) instead of a car");
  command->add_option("--seconds", arguments->seconds, "Of the car's time")
      ->check(CLI::Range(1.0, 60.0))
      ->capture_default_str();
  add_json_option(command, arguments->json);
  command->callback([arguments, &context] { context.exit_code = run_codec(*arguments); });
}

void add_disk_command(CLI::App* bench, CommandContext& context) {
  auto arguments = std::make_shared<DiskArguments>();
  CLI::App* command =
      bench->add_subcommand("disk", "What the disk can take, and what the journal makes of it");
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->callback([arguments, &context] { context.exit_code = run_disk(*arguments); });
}

}  // namespace pitbox
