// `pitbox ledger --sent FILE --session SESSION [--room URL]`: is every row that a sender says it
// sent in the journal, and in the room, exactly once and unchanged?

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "apps/ledger/room_side.h"
#include "apps/pitbox/command.h"
#include "apps/pitbox/room_options.h"
#include "export/ledger_file.h"
#include "export/row_ledger.h"

namespace pitbox {
namespace {

struct LedgerOptions {
  std::vector<std::filesystem::path> sent;
  std::string session = "latest";
  RoomArguments room;
  bool json = false;
};

struct Sent {
  std::vector<RowIdentity> rows;
  std::set<std::string> cars;
};

Result<Sent> read_sent(const std::vector<std::filesystem::path>& files) {
  Sent sent;
  for (const std::filesystem::path& file : files) {
    auto ledger = read_ledger(file);
    if (!ledger.ok()) return ledger.status();
    if (ledger.value().was_cut_off) {
      std::fprintf(stderr,
                   "pitbox: %s ends early: its sender did not stop by itself, and may have sent "
                   "more than it wrote down\n",
                   file.c_str());
    }
    const std::vector<RowIdentity>& rows = ledger.value().rows;
    sent.rows.insert(sent.rows.end(), rows.begin(), rows.end());
    for (const auto& [car, groups] : ledger.value().totals.cars) sent.cars.insert(car);
  }
  return sent;
}

void print_place(const char* name, const RowComparison& place) {
  std::printf("%-8s %14llu rows: missing %llu, duplicated %llu, different %llu\n", name,
              static_cast<unsigned long long>(place.actual),
              static_cast<unsigned long long>(place.missing),
              static_cast<unsigned long long>(place.duplicated),
              static_cast<unsigned long long>(place.different));
}

struct Report {
  std::uint64_t others = 0;  // Rows of cars that no ledger names, in the journal.
  RowComparison journal;
  RowComparison room;
  bool has_room = false;
};

void print_report(const Report& report, bool as_json) {
  if (!as_json) {
    std::printf("%-8s %14llu rows\n", "expected",
                static_cast<unsigned long long>(report.journal.expected));
    print_place("journal", report.journal);
    if (report.has_room) print_place("room", report.room);
    if (report.others > 0) {
      std::printf("%-8s %14llu rows of cars that no ledger names: not compared\n", "others",
                  static_cast<unsigned long long>(report.others));
    }
    return;
  }
  nlohmann::ordered_json json{{"expected", report.journal.expected},
                              {"journaled", report.journal.actual}};
  json["room"] = report.has_room ? nlohmann::ordered_json(report.room.actual) : nullptr;
  json["missing"] = report.journal.missing + report.room.missing;
  json["duplicated"] = report.journal.duplicated + report.room.duplicated;
  json["different"] = report.journal.different + report.room.different;
  json["others"] = report.others;
  std::printf("%s\n", json.dump(2).c_str());
}

Status compare(const LedgerOptions& options, const SessionFiles& session, Report& report) {
  auto sent = read_sent(options.sent);
  if (!sent.ok()) return sent.status();
  auto journaled = session_row_identities(session, sent.value().cars, &report.others);
  if (!journaled.ok()) return journaled.status();
  report.journal = compare_rows(sent.value().rows, journaled.value());
  if (options.room.url.empty()) return {};
  ProgressLine progress("read the room");
  auto room = read_room_side(
      options.room.reader_options(session.info.id),
      {.with_rows = true, .cars = sent.value().cars, .progress = [&](std::uint64_t entries) {
         progress.show(std::to_string(entries) + " entries");
       }});
  if (!room.ok()) return room.status();
  report.has_room = true;
  report.room = compare_rows(sent.value().rows, room.value().rows);
  return {};
}

void run_ledger(const LedgerOptions& options, CommandContext& context) {
  const auto session = session_of(context, options.session);
  if (!session.ok()) {
    context.exit_code = fail(session.status());
    return;
  }
  Report report;
  const Status status = compare(options, session.value(), report);
  if (!status.ok()) {
    context.exit_code = fail(status);
    return;
  }
  print_report(report, options.json);
  const bool is_same = report.journal.is_equal() && (!report.has_room || report.room.is_equal());
  if (!is_same) context.exit_code = kExitNo;
}

}  // namespace

void add_ledger_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LedgerOptions>();
  CLI::App* command = app.add_subcommand(
      "ledger", "Compare what the simulator says it sent with what was kept, row by row");
  command->footer(
      "Rows of all --sent files together are expected exactly once each, in the journal and, with\n"
      "--room, in the room; missing, duplicated and different are summed over both.\n"
      "Rows of cars that no --sent file names are another sender's, and are only counted.");
  command->add_option("--sent", options->sent, "Ledger files of `pitbox sim`")->required();
  command->add_option("--session", options->session, "Session to compare with")
      ->capture_default_str();
  options->room.add_to(command);
  command->add_flag("--json", options->json, "As a JSON object");
  command->callback([options, &context] { run_ledger(*options, context); });
}

}  // namespace pitbox
