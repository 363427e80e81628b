// `pitbox export SESSION --format csv --out DIR`.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/pitbox/command.h"
#include "export/csv_writer.h"

namespace pitbox {
namespace {

struct ExportOptions {
  std::string session = "latest";
  std::string format = "csv";
  std::filesystem::path directory;
  bool force = false;
  bool json = false;
};

void print_export(const CsvExportResult& result, bool as_json) {
  if (!as_json) {
    for (const auto& file : result.files) {
      std::printf("%12llu rows  %s\n", static_cast<unsigned long long>(file.rows),
                  file.path.c_str());
    }
    return;
  }
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const auto& file : result.files) {
    files.push_back({{"path", file.path.string()},
                     {"car", file.car},
                     {"group", file.group},
                     {"rows", file.rows}});
  }
  const nlohmann::ordered_json json{{"rows", result.rows}, {"files", files}};
  std::printf("%s\n", json.dump(2).c_str());
}

// What can be read is exported even if something cannot: the journal is all there is. The exit code
// says that it is not everything.
void run_export(const ExportOptions& options, CommandContext& context) {
  const auto session = session_of(context, options.session);
  if (!session.ok()) {
    context.exit_code = fail(session.status());
    return;
  }
  ProgressLine progress("export");
  bool is_damaged = false;
  CsvExportOptions csv{.directory = options.directory, .overwrite = options.force, .reading = {}};
  csv.reading.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.show_part(done, total);
  };
  csv.reading.damaged = [&](const std::filesystem::path& file, std::uint64_t sequence,
                            const Status& reason) {
    is_damaged = true;
    std::fprintf(stderr, "pitbox: left out: %s, sequence %llu: %s\n", file.c_str(),
                 static_cast<unsigned long long>(sequence), reason.message().c_str());
  };
  const auto result = export_csv(session.value(), csv);
  if (!result.ok()) {
    const bool can_force = result.status().code() == Code::kRejected && !options.force;
    context.exit_code = fail(result.status());
    if (can_force) std::fprintf(stderr, "pitbox: --force replaces files that are there\n");
    return;
  }
  print_export(result.value(), options.json);
  if (is_damaged) context.exit_code = kExitFailed;
}

}  // namespace

void add_export_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command =
      app.add_subcommand("export", "Write a session's values as files other programs read");
  command->footer(
      "csv: one file per car and channel group. t_s is the source's own time in seconds: since "
      "1970\n"
      "UTC where the source has UTC, else on the car's clock; groups without a source time have "
      "the\n"
      "time of receiving, since 1970 UTC. Values are physical, in full precision.");
  add_session_option(command, options->session);
  command->add_option("--format", options->format, "Format to write")
      ->check(CLI::IsMember({"csv"}))
      ->capture_default_str();
  command->add_option("--out", options->directory, "Folder for the files; made if absent")
      ->required();
  command->add_flag("--force", options->force, "Replace files that are there");
  command->add_flag("--json", options->json, "Print what was written as JSON");
  command->callback([options, &context] { run_export(*options, context); });
}

}  // namespace pitbox
