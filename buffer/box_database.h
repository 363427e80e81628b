// BoxDatabase: `box.db`, what a box remembers beside its journals: its id, its sessions, its
// journal files with their identities, what the room holds of files that are no longer live, and
// how far rings were consumed in earlier sessions (docs/journal.md, "box.db").
//
// All of it is read once at open() and kept in memory by the SessionStore; every change is written
// through. It is small (a few rows a session) and, but for the identities, rebuildable.
//
// Threads: one. Other processes read it with read_box().

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer/handover.h"
#include "buffer/journal.h"
#include "proto/ranges.h"
#include "proto/sqlite.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

enum class FileState : std::uint8_t {
  kLive,         // The one that is appended to, if its identity still holds.
  kAside,        // Read-only for ever.
  kQuarantined,  // Did not open; renamed.
  kMissing,      // Was not there, or could not be read, when last looked for.
};
std::string_view to_string(FileState state);

struct FileRecord {
  std::uint64_t incarnation = 0;
  Uuid session;
  std::uint64_t number = 0;
  std::filesystem::path file;  // Relative to the state directory.
  // Identity while live.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t token = 0;
  FileState state = FileState::kLive;
  // While not live:
  std::uint64_t first = 1;
  std::uint64_t last = 0;  // The cut: nothing beyond it counts.
  RangeSet acknowledged;
  std::uint64_t acknowledged_by = 0;  // FileHead::acknowledged_by
  RangeSet removed;                   // Batches that were deleted from it.
  RangeSet evicted;                   // What tombstones answer for, wherever those are.
  bool needs_plain = false;           // Sealed, but still with a WAL beside it.
  std::uint64_t rekeyed_from = 0;
  std::string reason;  // Why it is no longer live.
};

struct SessionRecord {
  SessionInfo info;
  bool open = false;
  bool ended = false;
  bool complete = false;
  RoomIdentity complete_in{};  // Whose word that is.
};

using RingPositions = std::map<std::pair<std::string, std::uint64_t>, ConsumedPosition>;

struct BoxContents {
  Uuid box_id;  // Nil in a box.db that was just made.
  std::map<Uuid, SessionRecord> sessions;
  std::map<std::uint64_t, FileRecord> files;  // By incarnation.
  RingPositions positions;                    // By source and ring id.
};

// Rows that replace those of the same key, in one transaction.
struct BoxChange {
  std::vector<SessionRecord> sessions;
  std::vector<FileRecord> files;
  RingPositions positions;
  // Incarnations of those `files` whose `removed` and `evicted` are to be written too: they are
  // long, and change seldom.
  std::vector<std::uint64_t> gone_of{};
  // False: a power cut may undo it (never a kill).
  bool is_durable = true;
};

class BoxDatabase {
 public:
  static constexpr std::int64_t kPositionsKept = 256;
  static constexpr int kWalPagesMax = 256;

  // Makes the file if it is not there. kCorrupt if it is damaged or not a box.db.
  static Result<BoxDatabase> open(const std::filesystem::path& file);
  Result<BoxContents> load();
  Status set_box_id(const Uuid& id);
  Status put(const BoxChange& change);

 private:
  BoxDatabase(std::filesystem::path file, Database database)
      : file_(std::move(file)), database_(std::move(database)) {}
  Status put_rows(const BoxChange& change);
  std::filesystem::path file_;
  Database database_;
  // A commit failed, and with it perhaps the sync of what earlier ones left in the WAL.
  bool has_failed_ = false;
};

// What a box.db says, without changing anything; for other processes.
Result<BoxContents> read_box(const std::filesystem::path& file);

}  // namespace pitbox
