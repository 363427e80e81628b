// Comparing a session's journal with what its room holds, entry by entry: `pitbox verify`.
//
// What counts is content: hashes recomputed from the bytes on both sides, never those that are
// stored beside them. The key (incarnation and sequences) only says what to call a difference.
//
// Plain functions; any thread.

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "proto/content_hash.h"
#include "proto/ranges.h"

namespace pitbox {

struct EntryIdentity {
  std::uint64_t incarnation = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  ContentHash hash;
  bool is_copy = false;  // Journal: carried again by a file that took over.
};

struct EntryComparison {
  std::uint64_t missing = 0;     // In the journal and not in the room, under any key.
  std::uint64_t duplicated = 0;  // In the room more often than in the journal.
  std::uint64_t different = 0;   // In the room with a content the journal does not have.
  std::uint64_t newer = 0;       // In the room, from after the journal was read: not compared.
  std::uint64_t removed = 0;     // In the room, and deleted here to make room: not compared.
};

// By incarnation: the last sequence the journal had when it was read, and what was deleted from it
// or given up. REQUIRES: of that nothing is among the journal's entries.
struct JournalExtent {
  std::uint64_t last = 0;
  RangeSet removed;
};
EntryComparison compare_entries(const std::vector<EntryIdentity>& journal,
                                const std::vector<EntryIdentity>& room,
                                const std::map<std::uint64_t, JournalExtent>& extents);

}  // namespace pitbox
