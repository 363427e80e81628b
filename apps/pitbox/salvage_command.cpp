// `pitbox salvage DAMAGED -o NEW`: what is undamaged of a damaged journal, as a journal.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "apps/pitbox/command.h"
#include "buffer/salvage.h"

namespace pitbox {
namespace {

// As many lines of losses as a terminal holds; --json and NEW have them all.
constexpr std::size_t kLossesShown = 20;

struct SalvageArguments {
  std::filesystem::path damaged;
  std::filesystem::path output;
  bool json = false;
};

unsigned long long count_of(std::uint64_t value) {
  return value;
}

std::string range_text(const Range& range) {
  if (range.first == range.last) return std::to_string(range.first);
  return std::to_string(range.first) + "-" + std::to_string(range.last);
}

nlohmann::ordered_json ids_json(const std::vector<std::uint64_t>& ids) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const std::uint64_t id : ids) list.push_back(hex_id(id));
  return list;
}

nlohmann::ordered_json wal_json(const WalState& wal) {
  return {{"there", wal.is_there},      {"frames", wal.frames},
          {"usableFrames", wal.usable}, {"usableCommits", wal.commits},
          {"laterFrames", wal.later},   {"laterCommit", wal.later_commit},
          {"refusal", wal.refusal}};
}

nlohmann::ordered_json losses_json(const SalvageReport& report) {
  nlohmann::ordered_json lost = nlohmann::ordered_json::array();
  for (const LostRange& loss : report.lost) {
    lost.push_back({{"first", loss.range.first},
                    {"last", loss.range.last},
                    {"reason", to_string(loss.reason)},
                    {"car", loss.car}});
  }
  nlohmann::ordered_json laps = nlohmann::ordered_json::array();
  for (const StoredLap& lap : report.lost_laps) {
    laps.push_back({{"sequence", lap.sequence},
                    {"car", lap.car},
                    {"lap", lap.lap},
                    {"lapTimeMs", lap.lap_time_ms}});
  }
  return {{"sequences", report.lost_sequences},
          {"acknowledged", report.lost_but_acknowledged},
          {"ranges", lost},
          {"definitions", ids_json(report.lost_definitions)},
          {"laps", laps},
          {"doubtfulRows", report.doubtful},
          {"identity", report.unknown}};
}

nlohmann::ordered_json report_json(const SalvageReport& report) {
  nlohmann::ordered_json cars = nlohmann::ordered_json::object();
  for (const auto& [name, car] : report.cars) {
    cars[name] = {{"batches", car.batches},
                  {"records", car.rows},
                  {"samples", car.samples},
                  {"lostBatches", car.lost_batches}};
  }
  return {{"file", report.file.string()},
          {"output", report.output.string()},
          {"complete", report.is_complete()},
          {"session", report.meta.session.id.text()},
          {"incarnation", hex_id(report.meta.incarnation)},
          {"pages",
           {{"bytes", report.page_bytes},
            {"there", report.pages},
            {"missing", report.missing_pages},
            {"unreadable", report.unreadable_pages},
            {"damaged", report.damaged_pages}}},
          {"wal", wal_json(report.wal)},
          {"recovered",
           {{"batches", report.batches},
            {"events", report.events},
            {"laps", report.laps},
            {"bytes", report.bytes},
            {"cars", cars},
            {"definitionsFromElsewhere", ids_json(report.found_definitions)},
            {"counters", report.keeps_counters}}},
          {"lastSequence", report.last_sequence},
          {"lost", losses_json(report)}};
}

void print_wal(const WalState& wal) {
  if (!wal.is_there) {
    std::printf("  WAL: none beside it; what only that held is lost without a trace\n");
    return;
  }
  std::printf("  WAL: %llu of %llu frames usable, %llu commits", count_of(wal.usable),
              count_of(wal.frames), count_of(wal.commits));
  if (wal.later > 0) std::printf("; %llu frames behind the last one", count_of(wal.later));
  if (wal.later_commit) std::printf(", among them the end of a commit that is lost");
  if (!wal.refusal.empty()) std::printf("; not used: %s", wal.refusal.c_str());
  std::printf("\n");
}

void print_losses(const SalvageReport& report) {
  const std::size_t shown = std::min(report.lost.size(), kLossesShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const LostRange& loss = report.lost[i];
    std::printf("  lost: %s (%s)%s%s\n", range_text(loss.range).c_str(),
                std::string(to_string(loss.reason)).c_str(), loss.car.empty() ? "" : ", car ",
                loss.car.c_str());
  }
  if (shown < report.lost.size()) {
    std::printf("  lost: and %zu more ranges; --json names them\n", report.lost.size() - shown);
  }
  for (const std::uint64_t prefix : report.lost_definitions) {
    std::printf("  lost: definition %s, and with it every batch that uses it\n",
                hex_id(prefix).c_str());
  }
  for (const StoredLap& lap : report.lost_laps) {
    std::printf("  lost: lap %u of car %s; its row, which nothing verifies, says %s\n", lap.lap,
                lap.car.c_str(), lap_time_text(lap.lap_time_ms).c_str());
  }
  for (const std::string& key : report.unknown) {
    std::printf("  lost: %s; nothing says it any more\n", key.c_str());
  }
}

void print_salvage(const SalvageReport& report) {
  const char* verdict = report.is_empty()      ? "nothing could be recovered"
                        : report.is_complete() ? "everything was recovered"
                                               : "a part was recovered";
  std::printf("%s: %s\n", report.file.c_str(), verdict);
  if (!report.output.empty()) std::printf("  in %s\n", report.output.c_str());
  std::printf("  recovered: %llu batches, %llu events, %llu laps; %llu bytes\n",
              count_of(report.batches), count_of(report.events), count_of(report.laps),
              count_of(report.bytes));
  for (const auto& [name, car] : report.cars) {
    std::printf("  car %s: %llu batches, %llu records, %llu samples", name.c_str(),
                count_of(car.batches), count_of(car.rows), count_of(car.samples));
    if (car.lost_batches > 0) std::printf("; %llu batches lost", count_of(car.lost_batches));
    std::printf("\n");
  }
  std::printf("  sequences: %llu of %llu lost", count_of(report.lost_sequences),
              count_of(report.last_sequence));
  if (report.lost_but_acknowledged > 0) {
    std::printf("; the room has said that it holds %llu of these",
                count_of(report.lost_but_acknowledged));
  }
  std::printf("\n  pages: %llu of %u bytes; missing %llu, unreadable %llu, damaged %llu\n",
              count_of(report.pages), report.page_bytes, count_of(report.missing_pages),
              count_of(report.unreadable_pages), count_of(report.damaged_pages));
  print_wal(report.wal);
  print_losses(report);
}

Result<SalvageReport> salvage_one(const std::filesystem::path& damaged,
                                  const std::filesystem::path& output) {
  ProgressLine progress("salvage " + damaged.filename().string());
  return salvage_journal({.damaged = damaged,
                          .output = output,
                          .progress = [&](std::uint64_t done, std::uint64_t total) {
                            progress.show_part(done, total);
                            return !was_interrupted();
                          }});
}

// A folder's files one by one, each under its own name in the new folder.
Result<std::vector<SalvageReport>> salvage_folder(const SalvageArguments& arguments) {
  const auto files = files_to_salvage(arguments.damaged);
  if (files.empty()) return Status::rejected("no journal in " + arguments.damaged.string());
  std::error_code error;
  if (!std::filesystem::create_directory(arguments.output, error)) {
    return Status::rejected(arguments.output.string() + ": " +
                            (error ? error.message() : std::string("it is there already")));
  }
  std::vector<SalvageReport> reports;
  for (const std::filesystem::path& file : files) {
    std::filesystem::path output = arguments.output / salvaged_name(file);
    // One that was set aside, and a copy of it that was not.
    for (int i = 2; std::filesystem::exists(output, error); ++i) {
      output = arguments.output / (salvaged_name(file) + "." + std::to_string(i) + ".db");
    }
    auto report = salvage_one(file, output);
    if (!report.ok()) return report.status();
    reports.push_back(std::move(report).take());
  }
  return reports;
}

Result<std::vector<SalvageReport>> salvage_all(const SalvageArguments& arguments) {
  std::error_code error;
  if (std::filesystem::is_directory(arguments.damaged, error)) return salvage_folder(arguments);
  auto report = salvage_one(arguments.damaged, arguments.output);
  if (!report.ok()) return report.status();
  std::vector<SalvageReport> reports;
  reports.push_back(std::move(report).take());
  return reports;
}

void run_salvage(const SalvageArguments& arguments, CommandContext& context) {
  catch_interrupts();
  const auto reports = salvage_all(arguments);
  if (!reports.ok()) {
    context.exit_code = fail(reports.status());
    return;
  }
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  bool is_empty = true;
  bool is_complete = true;
  for (const SalvageReport& report : reports.value()) {
    is_empty = is_empty && report.is_empty();
    is_complete = is_complete && report.is_complete();
    if (arguments.json) {
      list.push_back(report_json(report));
    } else {
      print_salvage(report);
    }
  }
  if (arguments.json) std::printf("%s\n", list.dump(2).c_str());
  if (!is_complete) context.exit_code = is_empty ? kExitFailed : kExitNo;
}

}  // namespace

void add_salvage_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SalvageArguments>();
  CLI::App* command =
      app.add_subcommand("salvage", "Recover what is undamaged of a damaged journal");
  command->footer(
      "DAMAGED is read and never written, nor is a file made beside it; its -wal is used if it is\n"
      "there. NEW is a journal for `pitbox export`, `laps`, `verify` and sqlite3; of a folder, a\n"
      "folder of journals. Nothing is in it whose content hash is not right.\n"
      "Exit codes: 0 everything was recovered; 1 a part, and what is lost is said;\n"
      "2 nothing, or wrong usage, or it could not be tried.");
  command
      ->add_option("DAMAGED", options->damaged,
                   "A journal file, whatever its name, or a session's folder")
      ->required();
  command->add_option("-o,--output", options->output, "NEW: where to; must not be there")
      ->required();
  command->add_flag("--json", options->json, "As a JSON array, one object for each file");
  command->callback([options, &context] { run_salvage(*options, context); });
}

}  // namespace pitbox
