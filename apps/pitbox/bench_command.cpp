// `pitbox bench ...`: what this machine can do (docs/bench.md).

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "apps/bench/laptop_check.h"
#include "apps/pitbox/bench_support.h"

namespace pitbox {

namespace fs = std::filesystem;

Result<double> parse_rate(const std::string& text) {
  if (text == "max") return 0.0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 1e12) {
    return value;
  }
  return Status(Code::kRejected, "--rate must be samples/s, as 22e6, or 'max'; not '" + text + "'");
}

Status check_load(const LoadArguments& arguments) {
  const auto only = load_car(arguments.car);
  if (only == LoadCar::kSimulated && arguments.gso) {
    return {Code::kRejected,
            "--gso cuts into datagrams of one length, and those of simulated cars differ"};
  }
  const std::size_t most = most_cars(only.value_or(LoadCar::kSimulated));
  if (arguments.cars <= most || (!only && arguments.gso)) return {};
  return {Code::kRejected, "--cars: of simulated cars " + std::to_string(most) + " at most"};
}

Status write_file(const std::string& file, const std::string& text) {
  std::FILE* const out = std::fopen(file.c_str(), "wb");
  const bool is_written =
      out != nullptr && std::fputs(text.c_str(), out) >= 0 && std::fputc('\n', out) == '\n';
  const bool is_closed = out != nullptr && std::fclose(out) == 0;
  if (is_written && is_closed) return {};
  return {Code::kFatal, "cannot write " + file};
}

CLI::Option* add_json_option(CLI::App* command, std::string& file) {
  return command->add_option("--json", file, "Write the figures to this file too");
}

void FolderArguments::add_to(CLI::App* command) {
  command->add_option("--folder", root,
                      "Where journal and room are written, and removed (default: $TMPDIR)");
  command->add_flag("--keep", keep, "Leave journal, room and logs where they are");
}

BenchFolder::BenchFolder(const FolderArguments& arguments)
    : path_((arguments.root.empty() ? fs::temp_directory_path() : fs::path(arguments.root)) /
            ("pitbox-bench-" + std::to_string(getpid()))),
      is_kept_(arguments.keep) {}

BenchFolder::~BenchFolder() {
  if (is_kept_) {
    std::fprintf(stderr, "kept: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void turn_live_view_off() {
  ::setenv("PITBOX_LIVE_VIEW_HZ", "0", 1);
}

fs::path programs_folder() {
  return fs::canonical("/proc/self/exe").parent_path();
}

namespace {

struct LaptopArguments {
  bool is_asked_for = false;
  FolderArguments folder;
  std::string json;
};

int run_laptop(const LaptopArguments& arguments) {
  turn_live_view_off();
  bool holds_none = false;
  const int code = run_bench("bench --laptop", arguments.folder, arguments.json,
                             LaptopCheckOptions(), [&](const LaptopCheckOptions& options) {
                               auto figures = check_laptop(options);
                               holds_none = figures.ok() && figures.value().gt3_cars == 0;
                               return figures;
                             });
  return code == kExitDone && holds_none ? kExitNo : code;
}

}  // namespace

void add_bench_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<LaptopArguments>();
  CLI::App* command = app.add_subcommand("bench", "Measure what this machine can do");
  command->require_subcommand(0, 1);
  command->add_flag("--laptop", arguments->is_asked_for,
                    "How many cars this machine can take: about five minutes");
  arguments->folder.add_to(command);
  add_json_option(command, arguments->json);
  command->callback([command, arguments, &context] {
    if (!command->get_subcommands().empty()) return;
    if (!arguments->is_asked_for) {
      throw CLI::ValidationError("bench", "name one bench, or --laptop; `pitbox bench --help`");
    }
    context.exit_code = run_laptop(*arguments);
  });
  add_ingest_command(command, context);
  add_codec_command(command, context);
  add_disk_command(command, context);
  add_link_command(command, context);
  add_latency_command(command, context);
  add_start_command(command, context);
  add_soak_command(command, context);
  add_load_command(command, context);
  add_make_journal_command(command, context);
  // What stands before a bench's name is --laptop's, and would mean nothing to it.
  for (CLI::App* bench : command->get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (option != command->get_help_ptr()) bench->excludes(option);
    }
  }
}

}  // namespace pitbox
