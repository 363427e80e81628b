// Rekeying: journaling the unacknowledged entries of a refused incarnation again, under the new
// one.
//
// A room that holds another content under some of a file's sequences (the file is a copy or was
// restored) will not have them. The file is then read-only, and those entries are copied from it,
// oldest first, in chunks of bounded size between live commits. A tombstone answers for each old
// range, in the chunk that copied it, so a kill between two chunks neither loses an entry nor
// copies one twice.
//
// Receive times belong to the boot that the clock anchor before them names. A chunk never spans two
// boots; it names the anchor its entries need if that is not the one in force.
//
// Threads: the recorder's.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "buffer/events.h"
#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "proto/ranges.h"

namespace pitbox {

class Rekeying {
 public:
  static constexpr std::size_t kEntriesPerChunk = 64;
  static constexpr std::size_t kBytesPerChunk = std::size_t{1} << 20;

  // Copies the sequences first..last of `file` that `held` does not contain.
  static Result<std::unique_ptr<Rekeying>> open(const std::filesystem::path& file,
                                                const RangeSet& held, Range range);

  struct Chunk {
    std::optional<ClockReading> anchor;  // That the entries need; nothing: none copied.
    std::vector<NewEvent> events;        // Tombstones last.
    std::vector<NewBatch> batches;
    std::vector<NewLap> laps;  // `event_index` counts from the chunk's first event.
    RangeSet answered;         // What the tombstones answer for, of incarnation().
    std::uint64_t bytes = 0;   // Of what was read of that.
    std::uint64_t entries = 0;
    std::uint64_t unreadable = 0;
    bool done = false;  // Nothing comes after this one.
  };
  // Puts a chunk behind what is in the commit already.
  static void append(Chunk chunk, Commit& commit);
  // Reads the next chunk. On an error the rest of the file cannot be read: see give_up().
  Result<Chunk> next_chunk(BootNs now);
  // Tombstones for all that was not copied.
  Chunk give_up(BootNs now);
  // The next chunk, or, where the rest cannot be read, that; logs which entries are lost.
  Chunk next_or_give_up(BootNs now);

  std::uint64_t incarnation() const { return reader_->incarnation(); }

 private:
  explicit Rekeying(std::unique_ptr<JournalReader> reader) : reader_(std::move(reader)) {}
  Status copy(const StoredEntry& entry, Chunk& chunk);
  void add_tombstones(const RangeSet& ranges, const char* reason, BootNs now, Chunk& chunk) const;

  std::unique_ptr<JournalReader> reader_;
  std::map<std::uint64_t, StoredLap> laps_;  // By sequence.
  RangeSet held_;
  Range range_;                  // Its first moves with the chunks.
  std::uint64_t scan_from_ = 1;  // From the start, for the anchors.
  std::optional<ClockReading> anchor_;
};

}  // namespace pitbox
