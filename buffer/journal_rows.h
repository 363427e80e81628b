// Rows of a journal file as values: each is checked for what docs/journal.md says of it, so that
// nothing of another shape leaves this file. Statements are compiled when they are first needed and
// reset after each call; nothing stays open between calls.
//
// Threads: the JournalReader's. Must not outlive the Database, which must not be moved meanwhile.

#pragma once

#include <cstdint>
#include <vector>

#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "proto/sqlite.h"
#include "proto/status.h"

namespace pitbox {

class JournalRows {
 public:
  static constexpr int kRowsPerStep = 64;

  explicit JournalRows(Database& database);

  // kRejected if there is no such row, kCorrupt if it has another shape.
  Result<StoredEntry> event(std::uint64_t sequence);
  Result<StoredEntry> batch(std::uint64_t sequence);
  // The batch that holds `sequence`: its own, or a block's that begins before it.
  Result<StoredEntry> batch_holding(std::uint64_t sequence);
  // The blob of that car's block. kRejected and kCorrupt as above.
  Result<std::string> block(std::uint64_t block, std::string_view car);
  Result<StoredLap> lap(std::uint64_t sequence);

  // The first kRowsPerStep sequences of a table within `range`, rising. What was found before
  // a failure is in `out`.
  enum class Table : std::uint8_t { kEvents, kBatches, kLaps };
  Status sequences(Table table, Range range, std::vector<std::uint64_t>& out);

  // The first kRowsPerStep batches within `range` that are on their own: not merged.
  Status unmerged(Range range, std::vector<std::uint64_t>& out);

  // The first kRowsPerStep batches that begin within `range`, without their content. What was found
  // before a failure is in `out`.
  Status outlines(Range range, std::vector<BatchOutline>& out);

  // Running totals at the edges of `range`.
  struct Edge {
    bool found = false;
    JournalTotals before;   // Up to the first entry in it...
    JournalTotals through;  // ...and up to the last one, that included.
  };
  Result<Edge> edges(Range range);

 private:
  LazyStatement event_;
  LazyStatement batch_;
  LazyStatement batch_holding_;
  LazyStatement block_;
  LazyStatement lap_;
  LazyStatement event_keys_;
  LazyStatement batch_keys_;
  LazyStatement lap_keys_;
  LazyStatement unmerged_;
  LazyStatement outline_;
  LazyStatement first_event_;
  LazyStatement last_event_;
  LazyStatement first_batch_;
  LazyStatement last_batch_;
};

}  // namespace pitbox
