// EntrySource: where the link reads what it sends. The one edge between sync and the disk; the
// simulation and the tests put their own here.
//
// Threads: called by the link's thread only. Calls may read a disk, never wait for a network.

#pragma once

#include <cstdint>
#include <vector>

#include "buffer/handover.h"
#include "buffer/journal_reader.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

class EntrySource {
 public:
  virtual ~EntrySource() = default;

  // Which files there are now. What is read later belongs to one of them.
  virtual void update(const JournalHeads& heads) = 0;
  // The entry that holds `sequence`. kTryAgain: later; kRejected or kCorrupt: never; anything else:
  // the file cannot be read for the time being.
  virtual Result<StoredEntry> entry(std::uint64_t incarnation, std::uint64_t sequence) = 0;
  virtual Result<DefinitionPtr> definition(std::uint64_t incarnation, std::uint64_t prefix) = 0;
  // Sequences of the lap events, rising. A hint for the order of backfill; may be empty.
  virtual Result<std::vector<std::uint64_t>> laps(std::uint64_t incarnation) = 0;
};

}  // namespace pitbox
