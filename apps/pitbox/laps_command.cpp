// `pitbox laps SESSION`: the lap grid, as the journal files have it.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <vector>

#include "apps/pitbox/command.h"
#include "buffer/journal_reader.h"
#include "proto/text.h"

namespace pitbox {
namespace {

struct LapsOptions {
  std::string session = "latest";
  bool json = false;
};

// All laps in order of their start. A file that took over from another may carry its laps again:
// the same lap in two files is one lap, and a later file's is the better informed.
Result<std::vector<StoredLap>> laps_of(const SessionFiles& session) {
  std::vector<StoredLap> all;
  std::set<std::tuple<std::string, std::uint32_t, std::int64_t, std::int64_t>> known;
  for (const std::filesystem::path& path : session.files) {
    auto reader = JournalReader::open(path);
    if (!reader.ok()) return Status(reader.status()).within("read " + path.string());
    auto laps = reader.value()->laps();
    if (!laps.ok()) return Status(laps.status()).within("read " + path.string());
    for (StoredLap& lap : laps.value()) {
      const auto what = std::tuple(lap.car, lap.lap, lap.started_at_ms, lap.lap_time_ms);
      if (known.insert(what).second) all.push_back(std::move(lap));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const StoredLap& left, const StoredLap& right) {
    return std::tie(left.started_at_ms, left.car, left.lap) <
           std::tie(right.started_at_ms, right.car, right.lap);
  });
  return all;
}

void print_laps_json(const std::vector<StoredLap>& laps) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StoredLap& lap : laps) {
    list.push_back({{"car", lap.car},
                    {"lap", lap.lap},
                    {"lapTimeMs", lap.lap_time_ms},
                    {"sectorTimeMs", lap.sector_time_ms},
                    {"startedAt", utc_text(lap.started_at_ms)},
                    {"kind", lap.kind},
                    {"evidence", lap.evidence}});
  }
  std::printf("%s\n", list.dump(2).c_str());
}

void print_laps_table(const std::vector<StoredLap>& laps) {
  std::printf("%-6s %5s  %-6s  %11s  %-24s  %s\n", "car", "lap", "kind", "time", "started",
              "sectors");
  for (const StoredLap& lap : laps) {
    std::string sectors;
    for (const std::int64_t sector : lap.sector_time_ms) {
      if (!sectors.empty()) sectors += "  ";
      sectors += lap_time_text(sector);
    }
    std::printf("%-6s %5u  %-6s  %11s  %-24s  %s\n", lap.car.c_str(), lap.lap, lap.kind.c_str(),
                lap_time_text(lap.lap_time_ms).c_str(), utc_text(lap.started_at_ms).c_str(),
                sectors.c_str());
  }
}

void run_laps(const LapsOptions& options, CommandContext& context) {
  const auto session = session_of(context, options.session);
  if (!session.ok()) {
    context.exit_code = fail(session.status());
    return;
  }
  const auto laps = laps_of(session.value());
  if (!laps.ok()) {
    context.exit_code = fail(laps.status());
    return;
  }
  if (options.json) return print_laps_json(laps.value());
  print_laps_table(laps.value());
}

}  // namespace

void add_laps_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LapsOptions>();
  CLI::App* command = app.add_subcommand("laps", "Print a session's laps");
  add_session_option(command, options->session);
  command->add_flag("--json", options->json, "As a JSON array; times in milliseconds");
  command->callback([options, &context] { run_laps(*options, context); });
}

}  // namespace pitbox
