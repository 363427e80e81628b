// JournalWriter: the statements that put a Commit into the tables, prepared once and kept for the
// life of the file, and what the next commit must know: the last sequence, the running totals, the
// definitions the file has, the acknowledged ranges, the counters.
//
// Threads: the Journal's. Must not outlive the Database.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "buffer/journal.h"
#include "buffer/journal_inserts.h"
#include "buffer/journal_schema.h"
#include "proto/ranges.h"
#include "proto/sqlite.h"
#include "proto/status.h"

namespace pitbox {

class JournalWriter {
 public:
  // Reads where the file stands; no batch is looked at but the last.
  static Result<JournalWriter> prepare(Database& database);

  // kRejected with the reason if the commit breaks a limit, or uses a definition whose prefix the
  // file has under another name. Writes nothing.
  Status check(const Commit& commit) const;
  // REQUIRES: check() was ok; a transaction is open. What it changed here counts only after
  // adopt(), which the caller calls when the transaction is durable.
  Result<Journal::Committed> write(const Commit& commit);
  void adopt();

  std::uint64_t last_sequence() const { return now_.last; }
  const RangeSet& acknowledged() const { return now_.acknowledged; }
  const RangeSet& removed() const { return now_.removed; }
  const EvictedRanges& evicted() const { return now_.evicted; }
  const Counters& counters() const { return counters_; }

 private:
  explicit JournalWriter(JournalInserts inserts) : inserts_(std::move(inserts)) {}
  Status load(Database& database);
  Status check_definitions(const Commit& commit) const;
  Status write_event(const NewEvent& event);
  Status write_batch(const NewBatch& batch);
  Status write_laps(const Commit& commit, std::uint64_t first_event);
  Status write_states(const Commit& commit);
  Status write_counters(const Counters& counters);
  Status write_acknowledged(const Commit& commit);
  Status write_removed(const Commit& commit);
  Status write_evicted(const Commit& commit);
  Status write_blocks(const Commit& commit);
  Result<std::set<std::uint64_t>> blocks_of(const Range& range);
  // Those of them of which no batch is left.
  Status drop_empty(const std::set<std::uint64_t>& blocks);
  Result<bool> is_empty(std::uint64_t block);

  struct Standing {
    std::uint64_t last = 0;
    JournalTotals totals;
    RangeSet acknowledged;
    RangeSet removed;
    EvictedRanges evicted;
  };
  Standing now_;
  Standing next_;  // While a transaction is open.
  std::map<std::uint64_t, DefinitionName> definitions_;
  std::vector<DefinitionPtr> new_definitions_;  // Of the open transaction.
  Counters counters_;
  Counters new_counters_;  // Of the open transaction: those that changed.

  JournalInserts inserts_;
  Statement put_position_;
  Statement put_decoder_state_;
  Statement put_lap_state_;
  Statement put_counter_;
  Statement forget_acknowledged_;
  Statement drop_acknowledged_;
  Statement put_acknowledged_;
  Statement remove_batches_;
  Statement drop_removed_;
  Statement put_removed_;
  Statement drop_evicted_;
  Statement put_evicted_;
  Statement put_block_;
  Statement put_reference_;
  Statement references_;
  Statement references_of_block_;
  Statement drop_block_;
};

}  // namespace pitbox
