// `pitbox laps SESSION`: the lap grid, as the journal files have it.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "apps/pitbox/command.h"
#include "buffer/journal_reader.h"
#include "buffer/lap_engine.h"
#include "export/csv_writer.h"
#include "proto/text.h"

namespace pitbox {
namespace {

struct LapsOptions {
  std::string session = "latest";
  bool json = false;
  bool csv = false;
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

// What makes a lap or a sector stand out.
enum class Standing : std::uint8_t { kNone, kPersonalBest, kSessionBest };

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::kNone:
      return "";
    case Standing::kPersonalBest:
      return "personal";
    case Standing::kSessionBest:
      return "session";
  }
  return "";
}

// Of the timed laps: the fastest of all and of each car, laps and sectors alike.
class Bests {
 public:
  explicit Bests(const std::vector<StoredLap>& laps) {
    for (const StoredLap& lap : laps) {
      if (lap.kind != to_string(LapKind::kTimed)) continue;
      note(lap.car, kWhole, lap.lap_time_ms);
      for (std::size_t i = 0; i < lap.sector_time_ms.size(); ++i) {
        note(lap.car, i, lap.sector_time_ms[i]);
      }
    }
  }

  Standing of(const StoredLap& lap) const { return standing(lap, kWhole, lap.lap_time_ms); }
  Standing of_sector(const StoredLap& lap, std::size_t sector) const {
    return standing(lap, sector, lap.sector_time_ms[sector]);
  }
  // To the session's best lap; nothing of a lap that is not timed.
  std::optional<std::int64_t> gap_ms(const StoredLap& lap) const {
    if (lap.kind != to_string(LapKind::kTimed)) return std::nullopt;
    return lap.lap_time_ms - session_.at(kWhole);
  }

 private:
  static constexpr std::size_t kWhole = ~std::size_t{0};

  void note(const std::string& car, std::size_t part, std::int64_t ms) {
    const auto keep_least = [ms](auto& bests, const auto& key) {
      const auto [at, is_new] = bests.try_emplace(key, ms);
      if (!is_new) at->second = std::min(at->second, ms);
    };
    keep_least(session_, part);
    keep_least(personal_, std::pair(car, part));
  }
  Standing standing(const StoredLap& lap, std::size_t part, std::int64_t ms) const {
    if (lap.kind != to_string(LapKind::kTimed)) return Standing::kNone;
    if (ms == session_.at(part)) return Standing::kSessionBest;
    return ms == personal_.at({lap.car, part}) ? Standing::kPersonalBest : Standing::kNone;
  }

  std::map<std::size_t, std::int64_t> session_;  // By sector, or kWhole.
  std::map<std::pair<std::string, std::size_t>, std::int64_t> personal_;
};

void print_laps_json(const std::vector<StoredLap>& laps) {
  const Bests bests(laps);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StoredLap& lap : laps) {
    const auto gap = bests.gap_ms(lap);
    list.push_back({{"car", lap.car},
                    {"lap", lap.lap},
                    {"lapTimeMs", lap.lap_time_ms},
                    {"sectorTimeMs", lap.sector_time_ms},
                    {"startedAt", utc_text(lap.started_at_ms)},
                    {"kind", lap.kind},
                    {"evidence", lap.evidence},
                    {"best", to_string(bests.of(lap))},
                    {"gapMs", gap ? nlohmann::ordered_json(*gap) : nlohmann::ordered_json()}});
  }
  std::printf("%s\n", list.dump(2).c_str());
}

void print_laps_csv(const std::vector<StoredLap>& laps) {
  const Bests bests(laps);
  std::size_t sectors = 0;
  for (const StoredLap& lap : laps) sectors = std::max(sectors, lap.sector_time_ms.size());
  std::printf("car,lap,kind,lap_time_ms,gap_ms,best,started_at,evidence");
  for (std::size_t i = 0; i < sectors; ++i) std::printf(",sector_%zu_ms", i + 1);
  std::printf("\n");
  for (const StoredLap& lap : laps) {
    const auto gap = bests.gap_ms(lap);
    std::printf("%s,%u,%s,%lld,%s,%s,%s,%s", csv_text_cell(lap.car).c_str(), lap.lap,
                lap.kind.c_str(), static_cast<long long>(lap.lap_time_ms),
                gap ? std::to_string(*gap).c_str() : "",
                std::string(to_string(bests.of(lap))).c_str(), utc_text(lap.started_at_ms).c_str(),
                csv_text_cell(lap.evidence).c_str());
    for (std::size_t i = 0; i < sectors; ++i) {
      const bool has = i < lap.sector_time_ms.size();
      std::printf(",%s", has ? std::to_string(lap.sector_time_ms[i]).c_str() : "");
    }
    std::printf("\n");
  }
}

// Purple and green as the platform shows them; without colours a letter says it.
class LapPainter {
 public:
  LapPainter() : has_colours_(::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr) {}

  std::string painted(const std::string& time, Standing standing) const {
    if (standing == Standing::kNone) return time + ' ';
    const bool is_session = standing == Standing::kSessionBest;
    if (!has_colours_) return time + (is_session ? 'P' : 'G');
    const char* colour = is_session ? "\x1b[38;2;168;85;247m" : "\x1b[38;2;34;197;94m";
    return colour + time + "\x1b[0m ";
  }
  bool has_colours() const { return has_colours_; }

 private:
  const bool has_colours_;
};

std::string padded(const std::string& text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

void print_laps_table(const std::vector<StoredLap>& laps) {
  constexpr std::size_t kTimeWidth = 11;
  const Bests bests(laps);
  const LapPainter painter;
  std::printf("%-6s %5s  %-6s  %11s   %9s  %-24s  %-8s  %s\n", "car", "lap", "kind", "time", "gap",
              "started", "by", "sectors");
  for (const StoredLap& lap : laps) {
    std::string sectors;
    for (std::size_t i = 0; i < lap.sector_time_ms.size(); ++i) {
      sectors += painter.painted(lap_time_text(lap.sector_time_ms[i]), bests.of_sector(lap, i));
      sectors += ' ';
    }
    while (sectors.ends_with(' ')) sectors.pop_back();
    const auto gap = bests.gap_ms(lap);
    const std::string gap_text = gap && *gap > 0 ? "+" + lap_time_text(*gap) : "";
    std::printf(
        "%-6s %5u  %-6s  %s  %9s  %-24s  %-8s  %s\n", lap.car.c_str(), lap.lap, lap.kind.c_str(),
        painter.painted(padded(lap_time_text(lap.lap_time_ms), kTimeWidth), bests.of(lap)).c_str(),
        gap_text.c_str(), utc_text(lap.started_at_ms).c_str(), lap.evidence.c_str(),
        sectors.c_str());
  }
  if (!laps.empty() && !painter.has_colours()) {
    std::printf("P: fastest of the session, G: fastest of the car\n");
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
  if (options.csv) return print_laps_csv(laps.value());
  print_laps_table(laps.value());
}

}  // namespace

void add_laps_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LapsOptions>();
  CLI::App* command = app.add_subcommand("laps", "Print a session's laps");
  add_session_option(command, options->session);
  auto* json = command->add_flag("--json", options->json, "As a JSON array; times in milliseconds");
  command->add_flag("--csv", options->csv, "As comma-separated values; times in milliseconds")
      ->excludes(json);
  command->callback([options, &context] { run_laps(*options, context); });
}

}  // namespace pitbox
