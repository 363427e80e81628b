// Journal: one SQLite file of a session, written by one thread. Tables and their meaning are a
// public format: docs/journal.md.
//
// Threads: one thread uses a Journal. Readers in other threads or processes open the file with
// JournalReader (journal_reader.h); WAL lets them read while this one writes.
//
// Durability: commit() returns after the transaction is on disk (WAL, synchronous=FULL). All of it
// is there after a power cut, or none. After a commit that failed nothing is retried: the caller
// closes the file, sets it aside and starts a new one (a new incarnation) that begins with a cut.
// So a Journal whose commit, bind or checkpoint failed is broken: it refuses every later call, and
// only says what its last good commit was. A request that breaks a limit is refused (kRejected)
// before anything is begun, and breaks nothing.
//
// Limits: those of batches (proto/batch.h), events (proto/event.h) and decoder states (decoder.h);
// a car's name is 1..kMaxNameBytes bytes of plain text, an event's kind 1..kMaxEventKindBytes.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/content_hash.h"
#include "proto/definition.h"
#include "proto/event.h"
#include "proto/ranges.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

inline constexpr std::size_t kMaxEventKindBytes = 64;
inline constexpr std::size_t kMaxLapStateBytes = 64 * 1024;

struct SessionInfo {
  Uuid id;
  std::string name;
  std::string type = "test";       // practice, qualifying, race, warmup, test
  std::string platform_id;         // Empty until bound.
  std::int64_t started_at_ms = 0;  // Wall clock.
  // The box's first session is 1, its next one 2 ...: wall clocks jump. 0: a file of an older form.
  std::uint64_t ordinal{};
};
// The order in which a box began its sessions.
bool began_before(const SessionInfo& a, const SessionInfo& b);

// How far a source's ring was consumed.
struct ConsumedPosition {
  std::uint64_t ring_id = 0;
  std::uint64_t position = 0;
  std::uint64_t number = 0;        // Of the last data message before `position`.
  std::uint64_t connection = 0;    // Socket of the last data message...
  std::uint32_t kernel_drops = 0;  // ...and its drop count then.
};

// Ranges of sequences by incarnation, of whatever file of the session, that tombstones answer for.
using EvictedRanges = std::map<std::uint64_t, RangeSet>;

// Named counters, as in docs/journal.md ("Counters"), e.g. "messages.decoded".
using Counters = std::map<std::string, std::uint64_t>;
inline std::uint64_t value_or(const Counters& counters, const std::string& name,
                              std::uint64_t otherwise) {
  const auto found = counters.find(name);
  return found == counters.end() ? otherwise : found->second;
}
// The recorder's mark: which store of the room acknowledged what a file says is acknowledged.
inline constexpr const char* kAcknowledgedBy = "room.store";

struct NewBatch {
  std::string car;
  EncodedBatch batch;
};
struct NewEvent {
  std::string car;   // Empty if not one car's.
  std::string kind;  // As in docs/journal.md: "lap", "gap", "session_start", ...
  std::int64_t time_ns = 0;
  std::string bytes;  // Serialised words::Event.
};
struct NewLap {  // A row of the `laps` table; travels as the event `event_index` of the commit.
  std::size_t event_index = 0;
  std::string car;
  std::uint32_t lap = 0;
  std::string kind;
  std::int64_t lap_time_ms = 0;
  std::vector<std::int64_t> sector_time_ms;
  std::int64_t started_at_ms = 0;
  std::string evidence;
};

// Batches of one car that are coded together from now on (block.h).
struct NewBlock {
  struct Member {
    std::uint64_t sequence = 0;
    std::string reference;  // In place of its blob.
  };
  std::uint64_t block = 0;  // Its number: the last of the sequences.
  std::uint64_t first = 0;  // The first of them.
  std::string car;
  std::string blob;
  std::vector<Member> members;  // In order of sequence.
};

// Everything one commit makes durable.
struct Commit {
  std::vector<NewEvent> events;  // Get sequences before the batches, in order.
  std::vector<NewBatch> batches;
  std::vector<NewLap> laps;
  std::map<std::string, ConsumedPosition> positions;  // By source.
  std::map<std::string, std::string> decoder_states;  // By source; only those that changed.
  std::optional<std::string> lap_state;               // If it changed.
  std::optional<Counters> counters;
  // To be added. What lies beyond the last sequence issued is left out: nobody can hold it.
  std::vector<Range> acknowledged;
  // First forget what was acknowledged before (the room's Welcome wins).
  bool acknowledged_replaces = false;
  // What the tombstones among `events` answer for (or those of an earlier file did): to be added.
  EvictedRanges evicted;
  // Batches of this file to be deleted: they are acknowledged, or evicted. The newest batch stays,
  // because the next one's running totals follow from it.
  std::vector<Range> removed;
  std::vector<NewBlock> blocks;  // Of batches that are in the file.
};

class Journal {
 public:
  struct Options {
    std::filesystem::path file;
    SessionInfo session;
    Uuid box_id;
    std::uint64_t rekeyed_from = 0;
    std::uint32_t page_bytes = 16 * 1024;
    // What the WAL file is cut back to when SQLite begins it anew. The caller keeps wal_bytes()
    // near it by checkpoint().
    std::size_t wal_bytes_target = std::size_t{16} << 20;
    // Set by SessionStore:
    std::uint64_t number = 1;              // Place among the session's files.
    std::uint64_t token = 0;               // Written to the file at create() and open()...
    std::uint64_t expected_token = 0;      // ...if the file holds this one; 0: do not ask.
    std::uint64_t cut_incarnation = 0;     // The file this one takes over from; 0: none.
    std::uint64_t cut_sequence = 0;        // The last of its sequences that counts.
    std::filesystem::path high_water;      // Where the last sequence is noted; empty: nowhere.
    std::chrono::milliseconds busy{2000};  // Wait for a foreign lock at open and seal.
    std::string vfs;                       // Of SQLite; empty: the default one. For tests.
  };
  // A new file with a new incarnation, beginning with `first` in its first transaction. It gets its
  // name only when all that is durable: a file under its final name is complete. The caller chose
  // the name from `incarnation`. kRejected if the name is taken.
  static Result<std::unique_ptr<Journal>> create(const Options& options, std::uint64_t incarnation,
                                                 const Commit& first = {});
  // Carries on with a file that this box wrote last (see SessionStore for whether it may).
  // kRejected if the file is sealed or its token is not the expected one; kCorrupt if it is no
  // journal; kTryAgain if another process holds it. Costs the same whatever the file's size.
  static Result<std::unique_ptr<Journal>> open(const Options& options);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  struct Committed {
    std::uint64_t first = 0;  // Sequences given out; first > last if none.
    std::uint64_t last = 0;
    std::uint64_t bytes = 0;  // Of blobs and events.
  };
  Result<Committed> commit(const Commit& commit);
  // Moves WAL pages into the database, as far as no reader needs them, without waiting for anybody.
  // Call between commits, when wal_bytes() has grown beyond what recovery may cost.
  Status checkpoint();
  // Binds the session to the platform's id.
  Status bind(const std::string& platform_id);
  // No more batches: marks the session (or only this file) ended, checkpoints everything and leaves
  // one plain file without a WAL. The Journal is closed whatever the result. kTryAgain: it is
  // marked, but a reader that has the file open keeps it from becoming one plain file; see
  // make_plain().
  Status seal(bool session_ended);
  // Finishes that later. kTryAgain as above; nothing happens to a file that is plain already.
  static Status make_plain(const std::filesystem::path& file);

  bool is_broken() const;
  std::uint64_t incarnation() const;
  std::uint64_t number() const;
  std::uint64_t rekeyed_from() const;
  std::uint64_t last_sequence() const;
  const SessionInfo& session() const;
  const std::filesystem::path& file() const;
  std::uint64_t wal_bytes() const;
  // As of the last commit:
  const std::map<std::string, ConsumedPosition>& positions() const;
  const std::map<std::string, std::string>& decoder_states() const;
  const std::string& lap_state() const;
  const Counters& counters() const;
  const RangeSet& acknowledged() const;
  const RangeSet& removed() const;
  const EvictedRanges& evicted() const;
  // Space inside the file that the next batches will use: pages of removed ones. Costs a look-up.
  std::uint64_t reusable_bytes() const;

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
