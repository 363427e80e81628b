// `pitbox fsck [WHAT...]`: is what lies on the disk what docs/journal.md says of it?

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "apps/pitbox/command.h"
#include "buffer/fsck.h"

namespace pitbox {
namespace {

struct FsckArguments {
  std::vector<std::string> what;
  bool json = false;
};

std::string sequences_of(const FsckFinding& finding) {
  if (finding.range.last < finding.range.first) return {};
  std::string text = "sequence " + std::to_string(finding.range.first);
  if (finding.range.last > finding.range.first) text += "-" + std::to_string(finding.range.last);
  return text + ": ";
}

void print_fsck_json(const FsckReport& report) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const FsckFinding& finding : report.findings) {
    nlohmann::ordered_json json{{"file", finding.file.string()}};
    if (finding.range.first <= finding.range.last) {
      json["first"] = finding.range.first;
      json["last"] = finding.range.last;
    }
    json["what"] = finding.what;
    json["advice"] = finding.advice;
    findings.push_back(json);
  }
  nlohmann::ordered_json unchecked = nlohmann::ordered_json::array();
  for (const auto& [file, reason] : report.unchecked) {
    unchecked.push_back({{"file", file.string()}, {"reason", reason.message()}});
  }
  const nlohmann::ordered_json json{
      {"files", report.files},   {"batches", report.batches},
      {"events", report.events}, {"knownLost", report.known_lost},
      {"findings", findings},    {"moreFindings", report.more_findings},
      {"unchecked", unchecked}};
  std::printf("%s\n", json.dump(2).c_str());
}

void print_fsck(const FsckReport& report) {
  for (const FsckFinding& finding : report.findings) {
    std::printf("%s: %s%s\n    do: %s\n", finding.file.c_str(), sequences_of(finding).c_str(),
                finding.what.c_str(), finding.advice.c_str());
  }
  for (const auto& [file, reason] : report.unchecked) {
    std::printf("%s: not checked: %s\n", file.c_str(), reason.message().c_str());
  }
  const std::uint64_t found = report.findings.size() + report.more_findings;
  std::printf("%llu files, %llu batches and %llu events verified: ",
              static_cast<unsigned long long>(report.files),
              static_cast<unsigned long long>(report.batches),
              static_cast<unsigned long long>(report.events));
  if (report.known_lost > 0) {
    std::printf("%llu sequences are lost and said to be; ",
                static_cast<unsigned long long>(report.known_lost));
  }
  if (report.unchecked.empty() && found == 0) {
    std::printf("nothing found\n");
    return;
  }
  std::printf("%llu findings, %zu files not checked\n", static_cast<unsigned long long>(found),
              report.unchecked.size());
}

bool is_state_directory(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path / "sessions", error) ||
         std::filesystem::exists(path / "box.db", error);
}

// kRejected if it is nothing that can be checked.
Status check_one(const CommandContext& context, const std::string& what, Fsck& fsck) {
  std::error_code error;
  if (std::filesystem::is_regular_file(what, error)) {
    fsck.check_files({what});
  } else if (is_state_directory(what)) {
    fsck.check_state(what);
  } else if (std::filesystem::is_directory(what, error)) {
    fsck.check_folder(what);
  } else {
    const auto session = session_of(context, what);
    if (!session.ok()) return session.status();
    fsck.check_files(session.value().files);
  }
  return {};
}

void run_fsck(const FsckArguments& arguments, CommandContext& context) {
  catch_interrupts();
  ProgressLine progress("fsck");
  Fsck fsck([&](const std::filesystem::path& file, std::uint64_t entries) {
    progress.show(file.filename().string() + ", " + std::to_string(entries) + " entries");
    return !was_interrupted();
  });
  std::vector<std::string> all = arguments.what;
  if (all.empty()) {
    if (!is_state_directory(context.state_directory)) {
      context.exit_code =
          fail(Status::rejected("no state directory " + context.state_directory.string()));
      return;
    }
    all.push_back(context.state_directory.string());
  }
  for (const std::string& what : all) {
    const Status checked = check_one(context, what, fsck);
    if (checked.ok()) continue;
    context.exit_code = fail(checked);
    return;
  }
  if (fsck.is_stopped()) {
    context.exit_code = fail({Code::kTryAgain, "interrupted"});
    return;
  }
  const FsckReport& report = fsck.report();
  if (arguments.json) {
    print_fsck_json(report);
  } else {
    print_fsck(report);
  }
  if (!report.findings.empty()) {
    context.exit_code = kExitNo;
  } else if (!report.unchecked.empty()) {
    context.exit_code = kExitFailed;
  }
}

}  // namespace

void add_fsck_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<FsckArguments>();
  CLI::App* command =
      app.add_subcommand("fsck", "Check journals and state directory without changing anything");
  command->footer(
      "WHAT is a state directory, a session, a session's folder or a journal file; without it,\n"
      "all of --state. Works while the daemon runs.\n"
      "Exit codes: 0 nothing found; 1 damage found, each with what to do;\n"
      "2 wrong usage, or something could not be checked.");
  command->add_option("WHAT", options->what, "What to check");
  command->add_flag("--json", options->json, "As a JSON object");
  command->callback([options, &context] { run_fsck(*options, context); });
}

}  // namespace pitbox
