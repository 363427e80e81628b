// The tables of a journal file (docs/journal.md) and the parts of reading them that the Journal and
// the JournalReader share. Nothing outside buffer/ needs this header.
//
// Forms: kJournalFormat is the one this program writes (SQLite's user_version). A program opens its
// own form, older ones after migration, and one step newer: a migration first only adds (tables,
// columns with a default, appended), and takes away what is unused one step later.
//
// Threads: none; plain functions of a Database.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/journal.h"
#include "proto/ranges.h"
#include "proto/sqlite.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::int64_t kJournalApplicationId = 0x50424A31;  // "PBJ1"
// 2: what was removed, and what tombstones answer for. 3: blocks.
inline constexpr std::int64_t kJournalFormat = 3;

// The longest value any table may hold, for SQLite's own limit when reading.
inline constexpr int kMaxJournalValueBytes = static_cast<int>(kMaxBatchBytes) + (1 << 20);
inline constexpr std::size_t kMaxNamedRows = 65'536;       // Counters.
inline constexpr std::size_t kMaxSourceRows = 1024;        // Of `positions` and `decoder_state`.
inline constexpr std::size_t kMaxRangeRows = 1'048'576;    // Of each table of ranges.
inline constexpr std::size_t kMaxDefinitionRows = 65'536;  // Definitions in one file.

// The rows of `meta`.
struct JournalMeta {
  Uuid box_id;
  SessionInfo session;
  std::uint64_t incarnation = 0;
  std::uint64_t rekeyed_from = 0;
  std::uint64_t number = 1;
  std::uint64_t token = 0;
  std::uint64_t cut_incarnation = 0;
  std::uint64_t cut_sequence = 0;
  bool sealed = false;
  bool session_ended = false;
};

// Makes the tables of an empty file. Call inside a transaction.
Status create_journal_tables(Database& database);
// Whether the file is a journal this program understands, and its tables are plain tables with our
// columns. kCorrupt if not.
Status check_journal_tables(Database& database);
// Brings an older form up to kJournalFormat. Call inside a transaction, after the check.
Status migrate_journal(Database& database);

Status put_meta(Database& database, std::string_view key, std::string_view value);
Status put_meta(Database& database, std::string_view key, std::int64_t value);
Status put_journal_meta(Database& database, const JournalMeta& meta);
Result<JournalMeta> read_journal_meta(Database& database);
// From the rows themselves, values as text. kCorrupt unless they say what docs/journal.md asks for.
Result<JournalMeta> parse_journal_meta(const std::map<std::string, std::string, std::less<>>& rows);

// Sequences of the first and the last entry there is; first is last + 1 and last 0 if there is
// none.
Result<Range> read_extent(Database& database);

Result<Counters> read_counters(Database& database);
Result<std::map<std::string, ConsumedPosition>> read_positions(Database& database);
Result<std::map<std::string, std::string>> read_decoder_states(Database& database);
Result<std::string> read_lap_state(Database& database);
Result<RangeSet> read_acknowledged(Database& database);
// Empty in a file of form 1.
Result<RangeSet> read_removed(Database& database);
Result<EvictedRanges> read_evicted(Database& database);

// Running totals as the last row of each table has them.
struct JournalTotals {
  std::uint64_t batches = 0;
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
  std::uint64_t batch_bytes = 0;
  std::uint64_t events = 0;
  std::uint64_t event_bytes = 0;
};
Result<JournalTotals> read_totals(Database& database);

// Prefixes as the `definitions` column of a batch holds them, and back. kCorrupt unless the length
// is a multiple of 8.
std::string pack_prefixes(std::span<const std::uint64_t> prefixes);
Result<std::vector<std::uint64_t>> unpack_prefixes(std::string_view packed);
// Sector times as a JSON array of integers, and back. kCorrupt for anything else.
std::string sectors_json(std::span<const std::int64_t> times);
Result<std::vector<std::int64_t>> parse_sectors(std::string_view json);

// What a source or a counter may be called: 1..256 bytes of plain text.
bool is_row_name(std::string_view name);
// 1..kMaxNameBytes bytes of plain text; `may_be_empty` for entries that are not one car's.
bool is_car_name(std::string_view name, bool may_be_empty);
bool is_session_type(std::string_view type);

// A journal's file name is `<number>-<incarnation as 16 hex digits>.db`.
struct JournalFileName {
  std::uint64_t number = 0;
  std::uint64_t incarnation = 0;
};
std::string journal_file_name(const JournalFileName& name);
Result<JournalFileName> parse_journal_file_name(std::string_view name);

}  // namespace pitbox
