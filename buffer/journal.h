// Journal: one SQLite file of a session, written by one thread. Tables and their meaning are a
// public format: docs/journal.md.
//
// Threads: one thread uses a Journal. Readers in other threads or processes open the file with
// JournalReader (journal_reader.h); WAL lets them read while this one writes.
//
// Durability: commit() returns after the transaction is on disk (WAL, synchronous=FULL). All of it
// is there after a power cut, or none. After a commit that failed nothing is retried: the caller
// closes the file, sets it aside and starts a new one (a new incarnation) that begins with a cut.

#pragma once

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
#include "proto/ranges.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

struct SessionInfo {
  Uuid id;
  std::string name;
  std::string type = "test";       // practice, qualifying, race, warmup, test
  std::string platform_id;         // Empty until bound.
  std::int64_t started_at_ms = 0;  // Wall clock.
};

// How far a source's ring was consumed.
struct ConsumedPosition {
  std::uint64_t ring_id = 0;
  std::uint64_t position = 0;
  std::uint64_t number = 0;        // Of the last data message before `position`.
  std::uint64_t connection = 0;    // Socket of the last data message...
  std::uint32_t kernel_drops = 0;  // ...and its drop count then.
};

// Named counters, as in docs/journal.md ("Counters"), e.g. "messages.decoded".
using Counters = std::map<std::string, std::uint64_t>;

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

// Everything one commit makes durable.
struct Commit {
  std::vector<NewEvent> events;  // Get sequences before the batches, in order.
  std::vector<NewBatch> batches;
  std::vector<NewLap> laps;
  std::map<std::string, ConsumedPosition> positions;  // By source.
  std::map<std::string, std::string> decoder_states;  // By source; only those that changed.
  std::optional<std::string> lap_state;               // If it changed.
  std::optional<Counters> counters;
  std::vector<Range> acknowledged;  // To be added.
};

class Journal {
 public:
  struct Options {
    std::filesystem::path file;
    SessionInfo session;
    Uuid box_id;
    std::uint64_t rekeyed_from = 0;
    std::uint32_t page_bytes = 16 * 1024;
    std::size_t wal_bytes_target = std::size_t{16} << 20;  // Checkpoint beyond this.
  };
  // A new file with a new incarnation. Its file name is chosen by the caller from incarnation().
  static Result<std::unique_ptr<Journal>> create(const Options& options, std::uint64_t incarnation);
  // Carries on with a file that this box wrote last (see SessionStore for whether it may).
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
  // Moves WAL pages into the database, without waiting for readers. Call between commits.
  Status checkpoint();
  // Binds the session to the platform's id.
  Status bind(const std::string& platform_id);
  // No more batches: marks the session (or only this file) ended, checkpoints everything and leaves
  // one plain file without a WAL. The Journal is closed whatever the result.
  Status seal(bool session_ended);

  std::uint64_t incarnation() const;
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

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
