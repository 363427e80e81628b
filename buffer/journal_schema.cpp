#include "buffer/journal_schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "buffer/decoder.h"
#include "proto/text.h"

namespace pitbox {
namespace {

struct TableText {
  const char* name;
  const char* create;
  std::int64_t form = 1;  // The first that has it.
};

// These texts are never changed: check_journal_tables() compares them with what a file says. A
// migration appends columns, so that the text of a newer file begins like ours.
// Plain tables rather than STRICT ones: any sqlite3 since 3.8 (2013) reads the file.
constexpr std::array kTables = {
    TableText{"meta", "CREATE TABLE meta(key TEXT PRIMARY KEY, value NOT NULL)"},
    TableText{"definitions",
              "CREATE TABLE definitions(prefix INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, "
              "content BLOB NOT NULL)"},
    TableText{"batches",
              "CREATE TABLE batches(sequence INTEGER PRIMARY KEY, last_sequence INTEGER NOT NULL, "
              "car TEXT NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, "
              "rows INTEGER NOT NULL, samples INTEGER NOT NULL, total_batches INTEGER NOT NULL, "
              "total_rows INTEGER NOT NULL, total_samples INTEGER NOT NULL, "
              "total_bytes INTEGER NOT NULL, hash BLOB NOT NULL, definitions BLOB NOT NULL, "
              "blob BLOB NOT NULL)"},
    TableText{"events",
              "CREATE TABLE events(sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
              "car TEXT NOT NULL, time_ns INTEGER NOT NULL, total_events INTEGER NOT NULL, "
              "total_bytes INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL)"},
    TableText{"laps",
              "CREATE TABLE laps(sequence INTEGER PRIMARY KEY, car TEXT NOT NULL, "
              "lap INTEGER NOT NULL, kind TEXT NOT NULL, lap_time_ms INTEGER NOT NULL, "
              "sector_time_ms TEXT NOT NULL, started_at_ms INTEGER NOT NULL, "
              "evidence TEXT NOT NULL)"},
    TableText{"acknowledged",
              "CREATE TABLE acknowledged(first INTEGER PRIMARY KEY, last INTEGER NOT NULL)"},
    TableText{"positions",
              "CREATE TABLE positions(source TEXT PRIMARY KEY, ring_id INTEGER NOT NULL, "
              "position INTEGER NOT NULL, number INTEGER NOT NULL, connection INTEGER NOT NULL, "
              "kernel_drops INTEGER NOT NULL)"},
    TableText{"decoder_state",
              "CREATE TABLE decoder_state(source TEXT PRIMARY KEY, state BLOB NOT NULL)"},
    TableText{"lap_state", "CREATE TABLE lap_state(id INTEGER PRIMARY KEY, state BLOB NOT NULL)"},
    TableText{"counters", "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL)"},
    TableText{"removed", "CREATE TABLE removed(first INTEGER PRIMARY KEY, last INTEGER NOT NULL)",
              2},
    TableText{"evicted",
              "CREATE TABLE evicted(incarnation INTEGER NOT NULL, first INTEGER NOT NULL, "
              "last INTEGER NOT NULL, PRIMARY KEY(incarnation, first)) WITHOUT ROWID",
              2},
    TableText{"blocks",
              "CREATE TABLE blocks(block INTEGER PRIMARY KEY, first INTEGER NOT NULL, "
              "car TEXT NOT NULL, blob BLOB NOT NULL)",
              3},
};

// One row per name; `take` returns the refusal of a row that has not the right shape.
template <typename Take>
Status each_row(Database& database, std::string_view sql, std::size_t rows_max, Take take) {
  auto statement = database.prepare(sql);
  if (!statement.ok()) return statement.status();
  for (std::size_t rows = 0;; ++rows) {
    const auto stepped = statement.value().step();
    if (!stepped.ok()) return stepped.status();
    if (!stepped.value()) return {};
    if (rows == rows_max) {
      return Status::corrupt("more rows than there can be: " + std::string(sql));
    }
    Status taken = take(statement.value());
    if (!taken.ok()) return taken;
  }
}

// Values of `meta` by key, as text.
using MetaRows = std::map<std::string, std::string, std::less<>>;

std::string_view text_of(const MetaRows& rows, std::string_view key) {
  const auto found = rows.find(key);
  return found == rows.end() ? std::string_view() : found->second;
}

template <typename Number>
bool read_number(const MetaRows& rows, std::string_view key, Number& out) {
  const std::string_view text = text_of(rows, key);
  if (text.empty()) return true;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

bool read_id(const MetaRows& rows, std::string_view key, std::uint64_t& out) {
  const std::string_view text = text_of(rows, key);
  if (text.empty()) return true;
  const auto parsed = parse_hex_id(text);
  if (parsed.ok()) out = parsed.value();
  return parsed.ok();
}

bool read_flag(const MetaRows& rows, std::string_view key, bool& out) {
  int value = 0;
  if (!read_number(rows, key, value)) return false;
  out = value != 0;
  return value == 0 || value == 1;
}

bool read_uuid(const MetaRows& rows, std::string_view key, Uuid& out) {
  const auto parsed = Uuid::parse(text_of(rows, key));
  if (parsed.ok()) out = parsed.value();
  return parsed.ok();
}

bool read_text(const MetaRows& rows, std::string_view key, std::string& out) {
  const std::string_view text = text_of(rows, key);
  out = text;
  return text.size() <= 1024 && is_plain_text(text);
}

}  // namespace

Status create_journal_tables(Database& database) {
  for (const TableText& table : kTables) {
    Status created = database.exec(table.create);
    if (!created.ok()) return created;
  }
  const std::string marks = "PRAGMA application_id = " + std::to_string(kJournalApplicationId) +
                            "; PRAGMA user_version = " + std::to_string(kJournalFormat);
  return database.exec(marks.c_str());
}

Status check_journal_tables(Database& database) {
  const auto application = database.integer("PRAGMA application_id");
  if (!application.ok()) return application.status();
  if (application.value() != kJournalApplicationId) {
    return Status::corrupt("not a journal of Pitbox");
  }
  const auto format = database.integer("PRAGMA user_version");
  if (!format.ok()) return format.status();
  if (format.value() < 1 || format.value() > kJournalFormat + 1) {
    return Status::corrupt("journal format " + std::to_string(format.value()) +
                           "; this program reads 1 to " + std::to_string(kJournalFormat + 1));
  }
  auto look_up =
      database.prepare("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (!look_up.ok()) return look_up.status();
  for (const TableText& table : kTables) {
    if (table.form > format.value()) continue;
    Statement& statement = look_up.value();
    const auto found = statement.bind_text(1, table.name).step();
    if (!found.ok()) return found.status();
    // Without the closing parenthesis: a newer form has more columns there.
    const std::string_view ours(table.create, std::string_view(table.create).size() - 1);
    if (!found.value() || !statement.text(0).starts_with(ours)) {
      return Status::corrupt(std::string("table ") + table.name +
                             " is not the one of docs/journal.md");
    }
    statement.reset();
  }
  return {};
}

Status migrate_journal(Database& database) {
  const auto format = database.integer("PRAGMA user_version");
  if (!format.ok()) return format.status();
  // Each step so far only adds tables. A newer form is left as it is.
  if (format.value() >= kJournalFormat) return {};
  for (const TableText& table : kTables) {
    if (table.form <= format.value()) continue;
    Status created = database.exec(table.create);
    if (!created.ok()) return created;
  }
  return database.exec(("PRAGMA user_version = " + std::to_string(kJournalFormat)).c_str());
}

Status put_meta(Database& database, std::string_view key, std::string_view value) {
  auto statement = database.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)");
  if (!statement.ok()) return statement.status();
  return statement.value().bind_text(1, key).bind_text(2, value).run();
}

Status put_meta(Database& database, std::string_view key, std::int64_t value) {
  auto statement = database.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)");
  if (!statement.ok()) return statement.status();
  return statement.value().bind_text(1, key).bind(2, value).run();
}

Status put_journal_meta(Database& database, const JournalMeta& meta) {
  Status status;
  const auto put = [&](std::string_view key, const auto& value) {
    if (status.ok()) status = put_meta(database, key, value);
  };
  put("box_id", std::string_view(meta.box_id.text()));
  put("session_id", std::string_view(meta.session.id.text()));
  put("session_name", std::string_view(meta.session.name));
  put("session_type", std::string_view(meta.session.type));
  put("platform_id", std::string_view(meta.session.platform_id));
  put("started_at_ms", meta.session.started_at_ms);
  put("session_ordinal", static_cast<std::int64_t>(meta.session.ordinal));
  put("incarnation", std::string_view(hex_id(meta.incarnation)));
  put("number", static_cast<std::int64_t>(meta.number));
  put("token", std::string_view(hex_id(meta.token)));
  if (meta.rekeyed_from != 0) {
    put("rekeyed_from", std::string_view(hex_id(meta.rekeyed_from)));
  }
  if (meta.cut_incarnation != 0) {
    put("cut_incarnation", std::string_view(hex_id(meta.cut_incarnation)));
    put("cut_sequence", static_cast<std::int64_t>(meta.cut_sequence));
  }
  put("sealed", std::int64_t{meta.sealed ? 1 : 0});
  put("session_ended", std::int64_t{meta.session_ended ? 1 : 0});
  put("created_by", std::string_view("pitbox " PITBOX_VERSION));
  return status;
}

Result<JournalMeta> read_journal_meta(Database& database) {
  MetaRows rows;
  Status read =
      each_row(database, "SELECT key, value FROM meta", 1024, [&](Statement& row) -> Status {
        if (row.text(0).size() > 256 || row.text(1).size() > 1024) {
          return Status::corrupt("a value too long");
        }
        rows.emplace(row.text(0), row.text(1));
        return {};
      });
  if (!read.ok()) return std::move(read).within("meta");
  return parse_journal_meta(rows);
}

Result<JournalMeta> parse_journal_meta(const MetaRows& rows) {
  JournalMeta meta;
  const bool understood =
      read_uuid(rows, "box_id", meta.box_id) && read_uuid(rows, "session_id", meta.session.id) &&
      read_text(rows, "session_name", meta.session.name) &&
      read_text(rows, "session_type", meta.session.type) &&
      read_text(rows, "platform_id", meta.session.platform_id) &&
      read_number(rows, "started_at_ms", meta.session.started_at_ms) &&
      read_number(rows, "session_ordinal", meta.session.ordinal) &&
      read_id(rows, "incarnation", meta.incarnation) && meta.incarnation != 0 &&
      read_id(rows, "rekeyed_from", meta.rekeyed_from) &&
      read_number(rows, "number", meta.number) && read_id(rows, "token", meta.token) &&
      read_id(rows, "cut_incarnation", meta.cut_incarnation) &&
      read_number(rows, "cut_sequence", meta.cut_sequence) &&
      read_flag(rows, "sealed", meta.sealed) &&
      read_flag(rows, "session_ended", meta.session_ended);
  if (!understood) return Status::corrupt("meta does not say what docs/journal.md asks for");
  return meta;
}

Result<Range> read_extent(Database& database) {
  const auto edge = [&](const char* sql) { return database.integer(sql); };
  // The subqueries are look-ups at the ends of the b-trees: they cost the same whatever the size.
  const auto last = edge(
      "SELECT max(coalesce((SELECT max(sequence) FROM events), 0), coalesce((SELECT last_sequence "
      "FROM batches ORDER BY sequence DESC LIMIT 1), 0))");
  if (!last.ok()) return last.status();
  if (last.value() < 0) return Status::corrupt("the last sequence is negative");
  if (last.value() == 0) return Range{1, 0};
  const auto first = edge(
      "SELECT min(coalesce((SELECT min(sequence) FROM events), 9223372036854775807), "
      "coalesce((SELECT min(sequence) FROM batches), 9223372036854775807))");
  if (!first.ok()) return first.status();
  // A sequence below 1 is a corrupt row, reported when it is read.
  const std::int64_t begin = std::max<std::int64_t>(first.value(), 1);
  return Range{static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(last.value())};
}

Result<Counters> read_counters(Database& database) {
  Counters counters;
  Status read = each_row(database, "SELECT name, value FROM counters", kMaxNamedRows,
                         [&](Statement& row) -> Status {
                           if (!is_row_name(row.text(0))) {
                             return Status::corrupt("a counter's name");
                           }
                           counters.emplace(row.text(0), row.u64(1));
                           return {};
                         });
  if (!read.ok()) return std::move(read).within("counters");
  return counters;
}

Result<std::map<std::string, ConsumedPosition>> read_positions(Database& database) {
  std::map<std::string, ConsumedPosition> positions;
  Status read = each_row(
      database, "SELECT source, ring_id, position, number, connection, kernel_drops FROM positions",
      kMaxNamedRows, [&](Statement& row) -> Status {
        if (!is_row_name(row.text(0))) return Status::corrupt("a source's name");
        const std::uint64_t drops = row.u64(5);
        if (drops > std::numeric_limits<std::uint32_t>::max()) {
          return Status::corrupt("kernel_drops");
        }
        positions.emplace(row.text(0),
                          ConsumedPosition{.ring_id = row.u64(1),
                                           .position = row.u64(2),
                                           .number = row.u64(3),
                                           .connection = row.u64(4),
                                           .kernel_drops = static_cast<std::uint32_t>(drops)});
        return {};
      });
  if (!read.ok()) return std::move(read).within("positions");
  return positions;
}

Result<std::map<std::string, std::string>> read_decoder_states(Database& database) {
  std::map<std::string, std::string> states;
  Status read = each_row(database, "SELECT source, state FROM decoder_state", kMaxSourceRows,
                         [&](Statement& row) -> Status {
                           if (!is_row_name(row.text(0))) return Status::corrupt("a source's name");
                           const std::string_view state = row.blob(1);
                           if (state.size() > kMaxDecoderStateBytes) {
                             return Status::corrupt("too long");
                           }
                           states.emplace(row.text(0), state);
                           return {};
                         });
  if (!read.ok()) return std::move(read).within("decoder_state");
  return states;
}

Result<std::string> read_lap_state(Database& database) {
  std::string state;
  Status read = each_row(database, "SELECT state FROM lap_state WHERE id = 1", 1,
                         [&](Statement& row) -> Status {
                           if (row.blob(0).size() > kMaxLapStateBytes) {
                             return Status::corrupt("too long");
                           }
                           state = row.blob(0);
                           return {};
                         });
  if (!read.ok()) return std::move(read).within("lap_state");
  return state;
}

namespace {

// A table of sorted, disjoint ranges. In a file of an earlier form it is not there: none.
Result<RangeSet> read_ranges(Database& database, const std::string& table) {
  const auto is_there = database.integer(
      "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '" + table + "'");
  if (!is_there.ok()) return is_there.status();
  RangeSet ranges;
  if (is_there.value() == 0) return ranges;
  std::int64_t end = 0;
  Status read = each_row(database, "SELECT first, last FROM " + table + " ORDER BY first",
                         kMaxRangeRows, [&](Statement& row) -> Status {
                           const Range range{row.u64(0), row.u64(1)};
                           if (row.integer(0) <= end || row.integer(1) < row.integer(0)) {
                             return Status::corrupt("ranges out of order");
                           }
                           end = row.integer(1);
                           ranges.add(range);
                           return {};
                         });
  if (!read.ok()) return std::move(read).within(table);
  return ranges;
}

}  // namespace

Result<RangeSet> read_acknowledged(Database& database) {
  return read_ranges(database, "acknowledged");
}

Result<RangeSet> read_removed(Database& database) {
  return read_ranges(database, "removed");
}

Result<EvictedRanges> read_evicted(Database& database) {
  const auto form = database.integer("PRAGMA user_version");
  if (!form.ok()) return form.status();
  EvictedRanges evicted;
  if (form.value() < 2) return evicted;
  Status read = each_row(database, "SELECT incarnation, first, last FROM evicted", kMaxRangeRows,
                         [&](Statement& row) -> Status {
                           if (row.integer(1) < 1 || row.integer(2) < row.integer(1)) {
                             return Status::corrupt("a range that is none");
                           }
                           evicted[row.u64(0)].add(Range{row.u64(1), row.u64(2)});
                           return {};
                         });
  if (!read.ok()) return std::move(read).within("evicted");
  return evicted;
}

Result<JournalTotals> read_totals(Database& database) {
  JournalTotals totals;
  Status read =
      each_row(database,
               "SELECT total_batches, total_rows, total_samples, total_bytes FROM batches "
               "ORDER BY sequence DESC LIMIT 1",
               1, [&](Statement& row) {
                 totals.batches = row.u64(0);
                 totals.rows = row.u64(1);
                 totals.samples = row.u64(2);
                 totals.batch_bytes = row.u64(3);
                 return Status();
               });
  if (!read.ok()) return std::move(read).within("batches");
  read = each_row(database,
                  "SELECT total_events, total_bytes FROM events ORDER BY sequence DESC LIMIT 1", 1,
                  [&](Statement& row) {
                    totals.events = row.u64(0);
                    totals.event_bytes = row.u64(1);
                    return Status();
                  });
  if (!read.ok()) return std::move(read).within("events");
  return totals;
}

std::string pack_prefixes(std::span<const std::uint64_t> prefixes) {
  std::string packed;
  packed.reserve(prefixes.size() * 8);
  for (const std::uint64_t prefix : prefixes) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      packed.push_back(static_cast<char>(prefix >> shift & 0xFF));
    }
  }
  return packed;
}

Result<std::vector<std::uint64_t>> unpack_prefixes(std::string_view packed) {
  if (packed.size() % 8 != 0) return Status::corrupt("definitions are not of 8 bytes each");
  std::vector<std::uint64_t> prefixes(packed.size() / 8);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    std::uint64_t& prefix = prefixes[i / 8];
    prefix = prefix << 8 | static_cast<std::uint8_t>(packed[i]);
  }
  return prefixes;
}

std::string sectors_json(std::span<const std::int64_t> times) {
  std::string json = "[";
  for (const std::int64_t time : times) {
    if (json.size() > 1) json += ',';
    json += std::to_string(time);
  }
  return json + ']';
}

Result<std::vector<std::int64_t>> parse_sectors(std::string_view json) {
  const auto refuse = [] { return Status::corrupt("sector times are not an array of integers"); };
  if (json.size() < 2 || json.front() != '[' || json.back() != ']') return refuse();
  std::vector<std::int64_t> times;
  const char* at = json.data() + 1;
  const char* const end = json.data() + json.size() - 1;
  while (at != end) {
    std::int64_t time = 0;
    const auto parsed = std::from_chars(at, end, time);
    if (parsed.ec != std::errc() || times.size() == kMaxLapSectors) return refuse();
    times.push_back(time);
    at = parsed.ptr;
    if (at == end) break;
    if (*at != ',' || at + 1 == end) return refuse();
    ++at;
  }
  return times;
}

bool is_row_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && is_plain_text(name);
}

bool is_car_name(std::string_view name, bool may_be_empty) {
  if (name.empty()) return may_be_empty;
  return name.size() <= kMaxNameBytes && is_plain_text(name);
}

bool is_session_type(std::string_view type) {
  for (const char* known : {"practice", "qualifying", "race", "warmup", "test"}) {
    if (type == known) return true;
  }
  return false;
}

std::string journal_file_name(const JournalFileName& name) {
  return std::to_string(name.number) + '-' + hex_id(name.incarnation) + ".db";
}

Result<JournalFileName> parse_journal_file_name(std::string_view name) {
  const auto refuse = [&] {
    return Status(Code::kRejected, "not the name of a journal file: " + std::string(name));
  };
  constexpr std::string_view kEnding = ".db";
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || !name.ends_with(kEnding)) return refuse();
  JournalFileName parsed;
  const auto number = std::from_chars(name.data(), name.data() + dash, parsed.number);
  if (number.ec != std::errc() || number.ptr != name.data() + dash) return refuse();
  const auto id = parse_hex_id(name.substr(dash + 1, name.size() - dash - 1 - kEnding.size()));
  if (!id.ok() || id.value() == 0 || parsed.number == 0) return refuse();
  parsed.incarnation = id.value();
  return parsed;
}

}  // namespace pitbox
