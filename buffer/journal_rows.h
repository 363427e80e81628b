// Rows of a journal file as values: each is checked for what docs/journal.md says of it, so that
// nothing of another shape leaves this file. Statements are prepared once and reset after each
// call; nothing stays open between calls.
//
// Threads: the JournalReader's. Must not outlive the Database.

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

  static Result<JournalRows> prepare(Database& database);

  // kRejected if there is no such row, kCorrupt if it has another shape.
  Result<StoredEntry> event(std::uint64_t sequence);
  Result<StoredEntry> batch(std::uint64_t sequence);
  // The batch that holds `sequence`: its own, or a block's that begins before it.
  Result<StoredEntry> batch_holding(std::uint64_t sequence);
  Result<StoredLap> lap(std::uint64_t sequence);

  // The first kRowsPerStep sequences of a table within `range`, rising. What was found before
  // a failure is in `out`.
  enum class Table : std::uint8_t { kEvents, kBatches, kLaps };
  Status sequences(Table table, Range range, std::vector<std::uint64_t>& out);

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
  JournalRows() = default;

  Statement event_;
  Statement batch_;
  Statement batch_holding_;
  Statement lap_;
  Statement event_keys_;
  Statement batch_keys_;
  Statement lap_keys_;
  Statement outline_;
  Statement first_event_;
  Statement last_event_;
  Statement first_batch_;
  Statement last_batch_;
};

}  // namespace pitbox
