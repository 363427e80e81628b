// RoomStore: one session's room on disk, one SQLite file. Its tables are described in README.md and
// can be read with `sqlite3` alone.
//
// Threads: one thread uses a RoomStore.
//
// Durability: every write belongs to one open transaction, begun by the first of them; commit()
// makes all of it durable (WAL, synchronous=FULL) or none. What held(), last_committed() and
// totals() say is what was committed, never what is waiting; match() and definition() also see what
// is waiting.
//
// After any write or commit that failed the object is of no more use: what it remembers may be more
// than the disk has. The owner drops it and opens the file again (crash-only: the way back is the
// same as after SIGKILL, and is tested as that).
//
// Limits: kMaxRoomDefinitions, kMaxRoomDefinitionBytes, kMaxRoomFiles; else the disk is the limit.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/content_hash.h"
#include "proto/definition.h"
#include "proto/event.pb.h"
#include "proto/ranges.h"
#include "proto/sqlite.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

inline constexpr std::size_t kMaxRoomDefinitions = 4096;
inline constexpr std::size_t kMaxRoomDefinitionBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxRoomFiles = 4096;  // Incarnations, of all boxes together.

// A batch or an event as the room keeps it.
struct RoomEntry {
  std::int64_t id = 0;    // Order of arrival: 1, 2, 3 ... without holes.
  std::int64_t file = 0;  // RoomFile::id
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::string kind;    // "batch", or what event_kind() says ("unknown" for a newer one).
  std::string car;     // Empty if not one car's.
  std::string hashes;  // 16 bytes per sequence.
  std::vector<std::uint64_t> definitions;  // Prefixes; empty for an event.
  std::string bytes;

  bool is_batch() const { return kind == "batch"; }
};

// A journal file of a box, as far as the room has it.
struct RoomFile {
  std::int64_t id = 0;
  Uuid box;
  std::uint64_t incarnation = 0;
  std::optional<std::uint64_t> final_sequence;  // Once its box has finished the session.
  RangeSet held;                                // Durable, or answered by a tombstone.
};

struct RoomTotals {
  std::uint64_t entries = 0;
  std::uint64_t batches = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::uint64_t laps = 0;
  std::uint64_t conflicts = 0;
};

struct RoomSummary {
  Uuid session;
  std::string name;
  std::string type;
  std::int64_t created_at_ms = 0;
  bool is_complete = false;
  RoomTotals totals;
};

class RoomStore {
 public:
  struct Options {
    std::filesystem::path file;
    Uuid session;
    bool create = false;  // Make the file if it is not there.
    std::int64_t created_at_ms = 0;
    std::uint32_t page_bytes = 16 * 1024;
    int wal_pages_target = 1024;  // Checkpoint beyond this: 16 MiB.
    std::string vfs;              // For tests with a faulty disk.
  };
  // kRejected if there is no such room; kCorrupt if the file is not this session's room.
  static Result<std::unique_ptr<RoomStore>> open(const Options& options);
  // What a list of rooms shows, without opening the room as a whole.
  static Result<RoomSummary> summarise(const std::filesystem::path& file);

  // Writes; they wait for commit().
  Status set_session(const std::string& name, const std::string& type);
  // kRejected beyond the limits, or if another definition has its prefix.
  Status put_definition(const DefinitionPtr& definition);
  // The number of a box's journal file here, a new one if need be. kRejected beyond kMaxRoomFiles.
  Result<std::int64_t> file(const Uuid& box, std::uint64_t incarnation);
  // Gives the entry its id. REQUIRES: match() said kNew.
  Status put(RoomEntry& entry);
  Status put_lap(const words::Lap& lap);
  // A tombstone's answer for a range.
  Status answer(std::int64_t file, Range range);
  Status set_finals(const Uuid& box, const std::map<std::uint64_t, std::uint64_t>& finals);
  Status count_conflict();

  // What became durable, by file; empty if nothing waited.
  Result<std::map<std::int64_t, RangeSet>> commit();
  bool has_waiting() const { return transaction_.has_value(); }
  // Moves WAL pages into the database when there are many. Call between commits.
  Status checkpoint_if_due();
  // Empties the WAL: leaves one plain file. For an orderly end.
  Status checkpoint_all();

  // Whether an entry is there: all of it with the same hashes, any of it with another one, or not.
  struct Match {
    enum class Kind { kNew, kDuplicate, kConflict } kind = Kind::kNew;
    std::string held_hash;  // Of the first sequence that differs.
  };
  Result<Match> match(std::int64_t file, Range range, std::string_view hashes);
  // What is stored (not merely answered) of `file` within `range`, the greatest sequence first; at
  // most `limit`.
  struct Content {
    std::uint64_t sequence = 0;
    std::uint64_t hash = 0;  // short_hash()
  };
  Result<std::vector<Content>> contents(std::int64_t file, Range range, std::size_t limit);
  DefinitionPtr definition(std::uint64_t prefix) const;
  const std::map<std::uint64_t, DefinitionPtr>& definitions() const { return definitions_; }

  const Uuid& session() const { return options_.session; }
  const std::map<std::int64_t, RoomFile>& files() const { return files_; }
  std::int64_t last_committed() const { return last_committed_; }  // Greatest entry id.
  // True once `box` has finished the session and every final sequence is held.
  bool is_complete(const Uuid& box) const;
  RoomSummary summary() const;

  enum class Which { kAll, kEvents, kLaps };
  // Entries with `after` < id <= `through`, oldest first, until `limit` entries or `bytes` bytes
  // are reached (at least one). `cursor` becomes the id of the last row looked at, `through` when
  // there are no more. A call looks at no more than 256 rows, whatever the filter lets through.
  struct Page {
    std::vector<RoomEntry> entries;
    std::int64_t cursor = 0;
  };
  struct PageRequest {
    Which which = Which::kAll;
    std::string car;  // Only its entries and those of no car; empty for all.
    std::int64_t after = 0;
    std::int64_t through = 0;
    std::size_t limit = 64;
    std::size_t bytes = std::size_t{1} << 20;
  };
  Result<Page> page(const PageRequest& request);
  // Every lap as last corrected, by car and number. Committed ones and those that wait.
  Result<std::vector<words::Lap>> laps();

 private:
  struct Statements {
    Statement put_file, put_definition, put_entry, match, contents, put_lap, drop_held, put_held,
        put_meta;
    Statement put_counter, clear_finals, put_final, put_finished, page_all, page_events;
  };

  RoomStore(const Options& options, Database database);
  Status prepare();
  Status create_tables();
  Status load();
  Status load_files();
  Status load_definitions();
  Status begin();
  Status put_meta(std::string_view key, std::string_view value);
  Status write_waiting();

  // Constant after construction.
  Options options_;

  Database database_;
  std::optional<Transaction> transaction_;  // After database_: ends before it.
  Statements statements_;

  // As of the last commit, but for definitions_ and the mere existence of files_.
  std::map<std::int64_t, RoomFile> files_;
  std::map<std::pair<Uuid, std::uint64_t>, std::int64_t> file_ids_;
  std::map<std::uint64_t, DefinitionPtr> definitions_;
  std::size_t definition_bytes_ = 0;
  std::map<Uuid, bool> finished_;
  std::map<std::string, std::string, std::less<>> meta_;
  RoomTotals totals_;
  std::int64_t last_committed_ = 0;

  // Of the open transaction.
  std::map<std::int64_t, RangeSet> waiting_;
  RoomTotals waiting_totals_;
  std::int64_t last_id_ = 0;
};

// The totals' names in the `counters` table.
void each_total(RoomTotals& totals, const auto& visit) {
  visit("entries", totals.entries);
  visit("batches", totals.batches);
  visit("events", totals.events);
  visit("bytes", totals.bytes);
  visit("laps", totals.laps);
  visit("conflicts", totals.conflicts);
}

}  // namespace pitbox
