// First pass of a salvage: every page, in every version there is, is looked at once, and each row
// that has the shape of a journal's is noted: small ones with what they say, entries with
// where they lie. Nothing is verified here but definitions, which their names verify.
//
// Threads: plain values. Limits: kMaxCandidates entries (noted ones, about 48 bytes each), as many
// blocks, and those of each table (journal_schema.h); what is beyond is not looked at, and said.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/journal_reader.h"
#include "buffer/salvage_cells.h"
#include "buffer/salvage_pages.h"
#include "proto/definition.h"
#include "proto/ranges.h"

namespace pitbox {

inline constexpr std::size_t kMaxCandidates = std::size_t{1} << 23;

// A row of `batches` or `events` somewhere in the pages.
struct EntryCandidate {
  std::uint64_t sequence = 0;
  std::uint64_t total = 0;  // Rows of its table up to it, as it says itself.
  std::uint64_t hash = 0;   // The first 8 bytes of the stored one.
  std::uint32_t page = 0;
  std::uint32_t version = 0;
  std::uint16_t cell = 0;
  bool is_event = false;
  // Set by mark_in_order():
  bool is_in_order = false;
  bool is_rival = false;
};

// A row of `blocks` somewhere in the pages.
struct BlockCandidate {
  std::uint32_t page = 0;
  std::uint32_t version = 0;
  std::uint16_t cell = 0;
};
using BlockMap = std::multimap<std::uint64_t, BlockCandidate>;  // By its number.

using DefinitionMap = std::map<std::uint64_t, DefinitionPtr>;

struct Gathered {
  DefinitionMap definitions;
  std::vector<EntryCandidate> entries;
  BlockMap blocks;
  std::map<std::string, std::string, std::less<>> meta;  // The newest of each key.
  Counters counters;                                     // Likewise.
  std::vector<Range> acknowledged;                       // Of the newest view alone; in no order.
  std::map<std::uint64_t, StoredLap> laps;               // By sequence; not verified.
  std::set<std::string> incarnations_in_database;
  std::set<std::string> incarnations_in_wal;
  std::uint64_t unreadable_pages = 0;
  std::uint64_t damaged_pages = 0;       // Leaves of which a row does not add up.
  std::vector<std::uint32_t> unclaimed;  // Pages of the database that are of no b-tree...
  std::set<std::uint32_t> claimed;       // ...and those that a row of another table runs on over.
  bool is_too_much = false;
};

// Called now and then with what is done; false stops.
using SalvageProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

// kTryAgain if `progress` stopped it.
Status gather_rows(const SalvagePages& pages, const SalvageProgress& progress, Gathered& out);
// Definitions alone, until all `wanted` ones are there.
void gather_definitions(const SalvagePages& pages, const std::set<std::uint64_t>& wanted,
                        DefinitionMap& out);

// Sequences rise with the running totals, and by no less than these do. Marks the longest part of
// the candidates of which that is true: a row that does not fit there has a damaged sequence or
// total. A rival is a row that would fit as well in place of the marked one with the same total: if
// both are good, one of them comes from elsewhere, and nothing says which.
void mark_in_order(std::vector<EntryCandidate>& entries);

}  // namespace pitbox
