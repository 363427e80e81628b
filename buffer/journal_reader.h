// JournalReader: reads a journal file that another thread or process may be writing, or a sealed
// one. The only reader of the tables; the link, the command line and the exporters use it.
//
// Threads: one thread uses a JournalReader. No statement stays open between calls, so a reader
// never holds the writer's WAL back; a call steps at most 64 rows before it resets.
//
// What a file shows beyond its cut (the last sequence that counted when another file took over) is
// never read: open() looks for the cut in the file that follows in the same folder.
//
// Bytes from the file are hostile: a row that is not what docs/journal.md says is kCorrupt, naming
// the file and the sequence; other rows stay readable.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "buffer/journal.h"
#include "proto/status.h"

namespace pitbox {

class Database;

struct StoredEntry {
  std::uint64_t first = 0;  // Sequences; equal unless compacted.
  std::uint64_t last = 0;
  bool is_event = false;
  std::string car;
  std::string kind;  // Of an event.
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
  std::int64_t first_ns = 0;  // CLOCK_BOOTTIME of the boot that the anchor before it names.
  std::int64_t last_ns = 0;
  std::vector<ContentHash> hashes;         // One per sequence.
  std::vector<std::uint64_t> definitions;  // Prefixes; empty for an event.
  std::string bytes;                       // Blob or serialised event.
};

struct StoredLap {
  std::uint64_t sequence = 0;
  std::string car;
  std::uint32_t lap = 0;
  std::string kind;
  std::int64_t lap_time_ms = 0;
  std::vector<std::int64_t> sector_time_ms;
  std::int64_t started_at_ms = 0;
  std::string evidence;
};

struct StoredMoment {  // An event without its content.
  std::uint64_t sequence = 0;
  std::string car;  // May be empty.
  std::int64_t time_ns = 0;
};

// A batch without its content.
struct BatchOutline {
  std::uint64_t first = 0;  // Sequences.
  std::uint64_t last = 0;
  std::string car;
  std::int64_t first_ns = 0;
  std::int64_t last_ns = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;   // As it was journaled...
  std::uint64_t stored = 0;  // ...and what it takes now: less once it is merged into a block.
};

// The file as a JournalReader opens it, for whoever asks what that does not answer: read-only, its
// tables checked, and as it is where no files can be made beside it. Errors are those of open().
Result<Database> open_journal_to_read(const std::filesystem::path& file);

class JournalReader {
 public:
  // kCorrupt if it is no journal, or of a format more than one step newer; kTryAgain if locked.
  static Result<std::unique_ptr<JournalReader>> open(const std::filesystem::path& file);
  ~JournalReader();
  JournalReader(const JournalReader&) = delete;
  JournalReader& operator=(const JournalReader&) = delete;

  // Constant for a file.
  std::uint64_t incarnation() const;
  std::uint64_t rekeyed_from() const;
  std::uint64_t number() const;  // Place among the session's files.
  // The file this one took over from, and the last of its sequences that counts; 0: none.
  std::uint64_t cut_incarnation() const;
  std::uint64_t cut_sequence() const;
  // Another file took over from this one: where the session stands is said there.
  bool is_cut() const;
  const Uuid& box_id() const;
  const std::filesystem::path& file() const;

  // As of now:
  Result<SessionInfo> session();
  Result<bool> session_ended();
  Result<bool> sealed();  // Nothing more will be appended.
  // The least sequence it still holds; last_sequence() + 1 if none.
  Result<std::uint64_t> first_sequence();
  Result<std::uint64_t> last_sequence();
  Result<RangeSet> acknowledged();
  Result<RangeSet> removed();       // Batches that were deleted from it.
  Result<EvictedRanges> evicted();  // What tombstones in it, or in earlier files, answer for.
  Result<Counters> counters();
  Result<std::map<std::string, ConsumedPosition>> positions();
  Result<std::map<std::string, std::string>> decoder_states();
  Result<std::string> lap_state();
  // In order of sequence. A corrupt row is left out and reported through `bad`; the lap event it
  // was made from is still among the entries.
  using Bad = std::function<void(std::uint64_t sequence, const Status& reason)>;
  Result<std::vector<StoredLap>> laps(const Bad& bad = {});
  // Those that are what their name says.
  Result<std::vector<DefinitionPtr>> definitions();
  // Null if the file has none with that prefix. Cached.
  Result<DefinitionPtr> definition(std::uint64_t prefix);

  // The events of a kind, in order of sequence; at most 65,536.
  Result<std::vector<StoredMoment>> moments(std::string_view kind);
  // Sequence of the newest batch; 0 if there is none.
  Result<std::uint64_t> newest_batch();
  // At most 64 batches that begin within `range`, in order.
  Result<std::vector<BatchOutline>> outlines(Range range);
  // The first sequences within `range` of batches that are in no block, rising; at most 64, and
  // fewer means that there are no more.
  Result<std::vector<std::uint64_t>> unmerged(Range range);
  // The entry that holds `sequence`; a batch in a block comes as it was (block.h). kRejected if the
  // file does not hold it.
  Result<StoredEntry> entry(std::uint64_t sequence);
  // Calls `visit` for each entry with first >= `from`, in order, until it returns false or all that
  // there were at the call were seen. A corrupt row is reported through `bad` (sequence, reason)
  // and skipped; where whole pages are damaged, `bad` gets the first sequence that cannot be found,
  // and the scan goes on after the damage.
  Status scan(std::uint64_t from, const std::function<bool(const StoredEntry&)>& visit,
              const Bad& bad = {});
  // Sum of blob and event bytes of sequences in `range`, from running totals: two look-ups a table,
  // whatever the range. What was evicted from the middle of `range` still counts.
  Result<std::uint64_t> bytes_in(Range range);
  // Totals over what the file holds, from running totals likewise.
  struct Totals {
    std::uint64_t batches = 0;
    std::uint64_t events = 0;
    std::uint64_t records = 0;
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
  };
  Result<Totals> totals();

 private:
  struct State;
  explicit JournalReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
