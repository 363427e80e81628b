// `pitbox sessions`: what was recorded here.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/pitbox/command.h"
#include "buffer/journal_reader.h"
#include "proto/text.h"

namespace pitbox {
namespace {

struct Summary {
  JournalReader::Totals totals;
  std::size_t laps = 0;
  std::vector<std::string> unreadable;  // "FILE: reason"
};

Summary summarise(const SessionFiles& session) {
  Summary summary;
  for (const std::filesystem::path& path : session.files) {
    auto reader = JournalReader::open(path);
    if (!reader.ok()) {
      summary.unreadable.push_back(path.string() + ": " + reader.status().message());
      continue;
    }
    const auto totals = reader.value()->totals();
    const auto laps = reader.value()->laps();
    if (!totals.ok() || !laps.ok()) {
      const Status& reason = totals.ok() ? laps.status() : totals.status();
      summary.unreadable.push_back(path.string() + ": " + reason.message());
      continue;
    }
    summary.totals.batches += totals.value().batches;
    summary.totals.events += totals.value().events;
    summary.totals.records += totals.value().records;
    summary.totals.samples += totals.value().samples;
    summary.totals.bytes += totals.value().bytes;
    summary.laps += laps.value().size();
  }
  return summary;
}

nlohmann::ordered_json to_json(const SessionFiles& session, const Summary& summary) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const auto& path : session.files) files.push_back(path.string());
  return {{"id", session.info.id.text()},
          {"name", session.info.name},
          {"type", session.info.type},
          {"platformId", session.info.platform_id},
          {"startedAt", utc_text(session.info.started_at_ms)},
          {"open", session.open},
          {"complete", session.complete},
          {"batches", summary.totals.batches},
          {"events", summary.totals.events},
          {"records", summary.totals.records},
          {"samples", summary.totals.samples},
          {"bytes", summary.totals.bytes},
          {"laps", summary.laps},
          {"files", files},
          {"unreadable", summary.unreadable}};
}

}  // namespace

void list_sessions_to_stdout(CommandContext& context, bool as_json) {
  const auto sessions = list_sessions(context.state_directory);
  if (!sessions.ok()) {
    context.exit_code = fail(sessions.status());
    return;
  }
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (!as_json) {
    std::printf("%-36s  %-24s  %-10s  %-9s  %12s  %14s  %5s  %s\n", "id", "started", "type",
                "state", "records", "samples", "laps", "name");
  }
  for (const SessionFiles& session : sessions.value()) {
    const Summary summary = summarise(session);
    for (const std::string& text : summary.unreadable) {
      std::fprintf(stderr, "pitbox: cannot read %s\n", text.c_str());
    }
    if (!summary.unreadable.empty()) context.exit_code = kExitFailed;
    if (as_json) {
      list.push_back(to_json(session, summary));
      continue;
    }
    const char* state = session.open ? "open" : session.complete ? "complete" : "ended";
    std::printf("%-36s  %-24s  %-10s  %-9s  %12llu  %14llu  %5zu  %s\n",
                session.info.id.text().c_str(), utc_text(session.info.started_at_ms).c_str(),
                session.info.type.c_str(), state,
                static_cast<unsigned long long>(summary.totals.records),
                static_cast<unsigned long long>(summary.totals.samples), summary.laps,
                session.info.name.c_str());
  }
  if (as_json) std::printf("%s\n", list.dump(2).c_str());
}

void add_sessions_command(CLI::App& app, CommandContext& context) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("sessions", "List the sessions recorded here");
  command->add_flag("--json", *as_json, "As a JSON array");
  command->callback([as_json, &context] { list_sessions_to_stdout(context, *as_json); });
}

}  // namespace pitbox
