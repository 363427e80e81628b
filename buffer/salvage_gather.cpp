#include "buffer/salvage_gather.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "buffer/journal_schema.h"
#include "proto/content_hash.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint64_t kPagesPerReport = 256;
constexpr std::size_t kMaxLapRows = std::size_t{1} << 20;

// The keys of `meta`; a row with another key and a number is a counter.
constexpr std::array<std::string_view, 17> kMetaKeys = {
    "box_id",          "session_id",    "session_ordinal", "session_name",  "session_type",
    "platform_id",     "started_at_ms", "incarnation",     "number",        "rekeyed_from",
    "cut_incarnation", "cut_sequence",  "sealed",          "session_ended", "token",
    "created_by",      "salvaged_by"};

bool is_table_page(std::string_view page, bool is_first) {
  const std::size_t at = is_first ? 100 : 0;
  if (page.size() <= at) return false;
  const char type = page[at];
  return type == 2 || type == 5 || type == 10 || type == 13;
}

class RowGatherer {
 public:
  RowGatherer(const SalvagePages& pages, Gathered& out)
      : pages_(pages),
        out_(out),
        chain_reads_left_(8 * (std::uint64_t{pages.pages()} + pages.newest() + 1024)) {}

  void look_at(std::uint32_t page, std::uint32_t version, std::string_view bytes);

 private:
  using Columns = std::vector<RecordColumn>;
  bool take(const LeafCell& cell, std::uint16_t index);
  void take_entry(const LeafCell& cell, std::uint16_t index, const Columns& columns, bool is_event);
  void take_definition(const LeafCell& cell, const Columns& columns);
  void take_named(const LeafCell& cell, const Columns& columns);
  void take_lap(const LeafCell& cell, const Columns& columns);
  std::optional<std::string> whole(const LeafCell& cell);
  // Whether what this page says of a thing is to replace what another one said.
  bool is_newer(const std::string& thing);

  const SalvagePages& pages_;
  Gathered& out_;
  std::uint32_t page_ = 0;
  std::uint32_t version_ = 0;
  bool is_newest_ = false;
  std::uint64_t chain_reads_left_;  // A hostile file's chains come to an end.
  std::map<std::string, std::pair<bool, std::uint32_t>> said_;
};

void RowGatherer::look_at(std::uint32_t page, std::uint32_t version, std::string_view bytes) {
  page_ = page;
  version_ = version;
  is_newest_ = version == pages_.version(page, pages_.newest());
  const LeafPage leaf = parse_leaf(bytes, page == 1);
  bool is_damaged = false;
  for (std::size_t i = 0; i < leaf.cells.size(); ++i) {
    const bool is_sound = leaf.cells[i] && take(*leaf.cells[i], static_cast<std::uint16_t>(i));
    if (!is_sound) is_damaged = true;
  }
  if (version != 0) return;
  if (is_damaged) ++out_.damaged_pages;
  if (!leaf.is_leaf && !is_table_page(bytes, page == 1)) out_.unclaimed.push_back(page);
}

bool RowGatherer::take(const LeafCell& cell, std::uint16_t index) {
  const auto columns = parse_record(cell.local, cell.payload_bytes);
  if (!columns) return false;
  switch (kind_of(*columns)) {
    case RowKind::kBatch:
    case RowKind::kEvent:
      take_entry(cell, index, *columns, kind_of(*columns) == RowKind::kEvent);
      break;
    case RowKind::kDefinition:
      take_definition(cell, *columns);
      break;
    case RowKind::kLap:
      take_lap(cell, *columns);
      break;
    case RowKind::kAcknowledged: {
      const std::int64_t last = integer_of((*columns)[1], cell.local);
      if (is_newest_ && cell.rowid >= 1 && last >= cell.rowid &&
          out_.acknowledged.size() < kMaxRangeRows) {
        out_.acknowledged.push_back(
            {static_cast<std::uint64_t>(cell.rowid), static_cast<std::uint64_t>(last)});
      }
      break;
    }
    case RowKind::kNamed:
      take_named(cell, *columns);
      break;
    case RowKind::kBlock:
      if (cell.rowid >= 1 && out_.blocks.size() < kMaxCandidates) {
        out_.blocks.emplace(static_cast<std::uint64_t>(cell.rowid),
                            BlockCandidate{.page = page_, .version = version_, .cell = index});
      }
      if (cell.overflow != 0) static_cast<void>(whole(cell));
      break;
    case RowKind::kOther:
      if (cell.overflow != 0) static_cast<void>(whole(cell));
      break;
  }
  return true;
}

void RowGatherer::take_entry(const LeafCell& cell, std::uint16_t index, const Columns& columns,
                             bool is_event) {
  const RecordColumn& hash = columns[is_event ? 6 : 11];
  const RecordColumn& total = columns[is_event ? 4 : 7];
  // All but the last column of a journal's rows lies in the page itself.
  if (hash.bytes != sizeof(ContentHash::bytes) || hash.at + hash.bytes > cell.local.size()) return;
  if (cell.rowid < 1) return;
  if (out_.entries.size() == kMaxCandidates) {
    out_.is_too_much = true;
    return;
  }
  EntryCandidate entry;
  entry.sequence = static_cast<std::uint64_t>(cell.rowid);
  entry.total = static_cast<std::uint64_t>(integer_of(total, cell.local));
  for (const char byte : bytes_of(hash, cell.local).substr(0, 8)) {
    entry.hash = entry.hash << 8 | static_cast<std::uint8_t>(byte);
  }
  entry.page = page_;
  entry.version = version_;
  entry.cell = index;
  entry.is_event = is_event;
  out_.entries.push_back(entry);
}

// The payload; the pages it runs on over are its own.
std::optional<std::string> RowGatherer::whole(const LeafCell& cell) {
  for (const std::uint32_t view : {pages_.newest(), std::uint32_t{0}}) {
    auto payload =
        read_payload(cell, pages_.page_bytes(), [&](std::uint32_t page, std::string& out) {
          if (chain_reads_left_ == 0) return false;
          --chain_reads_left_;
          out_.claimed.insert(page);
          return pages_.read(page, pages_.version(page, view), out);
        });
    if (payload) return payload;
  }
  return std::nullopt;
}

void RowGatherer::take_definition(const LeafCell& cell, const Columns& columns) {
  const auto prefix = static_cast<std::uint64_t>(cell.rowid);
  const bool is_known = out_.definitions.contains(prefix);
  if (is_known && version_ != 0) return;
  const auto payload = whole(cell);
  if (!payload || is_known || out_.definitions.size() == kMaxDefinitionRows) return;
  auto parsed = Definition::parse(bytes_of(columns[2], *payload));
  // Its name is its hash: if that is not the one it is stored under, one of the two is damaged.
  if (!parsed.ok() || parsed.value()->prefix() != prefix) return;
  out_.definitions.emplace(prefix, parsed.value());
}

bool RowGatherer::is_newer(const std::string& thing) {
  const std::pair<bool, std::uint32_t> mine{is_newest_, version_};
  const auto [known, is_first] = said_.emplace(thing, mine);
  if (is_first) return true;
  if (mine < known->second) return false;
  known->second = mine;
  return true;
}

void RowGatherer::take_named(const LeafCell& cell, const Columns& columns) {
  if (cell.overflow != 0) return;  // None is so long.
  const std::string name(bytes_of(columns[0], cell.local));
  const bool is_number = columns[1].type == ValueType::kInteger;
  if (!is_row_name(name)) return;
  if (std::find(kMetaKeys.begin(), kMetaKeys.end(), name) != kMetaKeys.end()) {
    const std::string value = is_number ? std::to_string(integer_of(columns[1], cell.local))
                                        : std::string(bytes_of(columns[1], cell.local));
    if (name == "incarnation") {
      (version_ == 0 ? out_.incarnations_in_database : out_.incarnations_in_wal).insert(value);
    }
    if (value.size() <= 1024 && is_newer("meta " + name)) out_.meta[name] = value;
    return;
  }
  const bool has_room = out_.counters.size() < kMaxNamedRows || out_.counters.contains(name);
  if (is_number && has_room && is_newer("counter " + name)) {
    out_.counters[name] = static_cast<std::uint64_t>(integer_of(columns[1], cell.local));
  }
}

void RowGatherer::take_lap(const LeafCell& cell, const Columns& columns) {
  if (cell.overflow != 0 || cell.rowid < 1 || out_.laps.size() == kMaxLapRows) return;
  const auto text = [&](std::size_t column) {
    return std::string(bytes_of(columns[column], cell.local));
  };
  StoredLap lap;
  lap.sequence = static_cast<std::uint64_t>(cell.rowid);
  lap.car = text(1);
  lap.lap = static_cast<std::uint32_t>(integer_of(columns[2], cell.local));
  lap.kind = text(3);
  lap.lap_time_ms = integer_of(columns[4], cell.local);
  lap.started_at_ms = integer_of(columns[6], cell.local);
  lap.evidence = text(7);
  auto sectors = parse_sectors(text(5));
  if (!sectors.ok() || !is_car_name(lap.car, false)) return;
  if (!is_row_name(lap.kind) || !is_row_name(lap.evidence)) return;
  lap.sector_time_ms = std::move(sectors).take();
  if (is_newer("lap " + std::to_string(lap.sequence))) out_.laps[lap.sequence] = std::move(lap);
}

std::uint64_t ahead_of_total(const EntryCandidate& entry) {
  return entry.sequence - entry.total;
}

// REQUIRES: in order of totals, and the longest run is marked.
void mark_rivals(std::span<EntryCandidate> entries) {
  // For each place, what the next marked row from there on is ahead.
  std::vector<std::uint64_t> ceiling(entries.size() + 1, ~std::uint64_t{0});
  for (std::size_t i = entries.size(); i-- > 0;) {
    ceiling[i] = entries[i].is_in_order ? ahead_of_total(entries[i]) : ceiling[i + 1];
  }
  std::uint64_t floor = 0;
  for (std::size_t begin = 0; begin < entries.size();) {
    std::size_t end = begin;
    std::uint64_t next_floor = floor;
    bool has_marked = false;
    for (; end < entries.size() && entries[end].total == entries[begin].total; ++end) {
      if (!entries[end].is_in_order) continue;
      has_marked = true;
      next_floor = ahead_of_total(entries[end]);
    }
    for (; begin < end; ++begin) {
      EntryCandidate& entry = entries[begin];
      if (!has_marked || entry.is_in_order || entry.sequence < entry.total) continue;
      entry.is_rival = ahead_of_total(entry) >= floor && ahead_of_total(entry) <= ceiling[end];
    }
    floor = next_floor;
  }
}

// Marks one table's candidates, which are [begin, end): the longest non-falling run of what the
// sequence is ahead of the total, in order of the totals.
void mark_table(std::span<EntryCandidate> entries) {
  std::sort(entries.begin(), entries.end(), [](const EntryCandidate& a, const EntryCandidate& b) {
    // Of one total at most one sequence can be right, so they stand the other way round.
    return std::tuple(a.total, ~a.sequence) < std::tuple(b.total, ~b.sequence);
  });
  const auto ahead = [&](std::size_t i) { return ahead_of_total(entries[i]); };
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> ends;  // Of the runs of each length: the one that ends lowest.
  std::vector<std::size_t> before(entries.size(), kNone);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].total < 1 || entries[i].sequence < entries[i].total) continue;
    const bool is_same = i > 0 && entries[i].total == entries[i - 1].total &&
                         entries[i].sequence == entries[i - 1].sequence;
    if (is_same) continue;  // Another version of the row before.
    const auto place =
        std::upper_bound(ends.begin(), ends.end(), ahead(i),
                         [&](std::uint64_t value, std::size_t end) { return value < ahead(end); });
    if (place != ends.begin()) before[i] = *std::prev(place);
    if (place == ends.end()) {
      ends.push_back(i);
    } else {
      *place = i;
    }
  }
  for (std::size_t at = ends.empty() ? kNone : ends.back(); at != kNone; at = before[at]) {
    entries[at].is_in_order = true;
  }
  for (std::size_t i = 1; i < entries.size(); ++i) {
    const EntryCandidate& first = entries[i - 1];
    if (first.total == entries[i].total && first.sequence == entries[i].sequence) {
      entries[i].is_in_order = first.is_in_order;
    }
  }
  mark_rivals(entries);
}

}  // namespace

Status gather_rows(const SalvagePages& pages, const SalvageProgress& progress, Gathered& out) {
  RowGatherer gatherer(pages, out);
  const std::uint64_t total = std::uint64_t{pages.pages()} + pages.newest();
  std::uint64_t done = 0;
  const auto goes_on = [&] {
    return ++done % kPagesPerReport != 0 || !progress || progress(done, total);
  };
  std::string bytes;
  for (std::uint32_t page = 1; page <= pages.pages(); ++page) {
    if (pages.read(page, 0, bytes)) {
      gatherer.look_at(page, 0, bytes);
    } else {
      ++out.unreadable_pages;
    }
    if (!goes_on()) return {Code::kTryAgain, "stopped"};
  }
  for (std::uint32_t frame = 1; frame <= pages.newest(); ++frame) {
    const std::uint32_t page = pages.frames()[frame - 1].page;
    if (pages.read(page, frame, bytes)) {
      gatherer.look_at(page, frame, bytes);
    } else {
      ++out.unreadable_pages;
    }
    if (!goes_on()) return {Code::kTryAgain, "stopped"};
  }
  return {};
}

void gather_definitions(const SalvagePages& pages, const std::set<std::uint64_t>& wanted,
                        DefinitionMap& out) {
  Gathered gathered;
  const auto has_all = [&] {
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](std::uint64_t prefix) { return gathered.definitions.contains(prefix); });
  };
  const SalvageProgress until_found = [&](std::uint64_t, std::uint64_t) {
    gathered.entries.clear();
    return !has_all();
  };
  static_cast<void>(gather_rows(pages, until_found, gathered).ok());
  for (const std::uint64_t prefix : wanted) {
    const auto found = gathered.definitions.find(prefix);
    if (found != gathered.definitions.end()) out.insert(*found);
  }
}

void mark_in_order(std::vector<EntryCandidate>& entries) {
  const auto events = std::partition(entries.begin(), entries.end(),
                                     [](const EntryCandidate& entry) { return !entry.is_event; });
  mark_table({entries.begin(), events});
  mark_table({events, entries.end()});
}

}  // namespace pitbox
