// RowVerifier: reads a row that was noted (salvage_gather.h) and says whether its content is what
// its hash says. What the hash does not cover is worked out from what it covers.
//
// A row and its overflow chain may be of different versions of the file. So a chain is followed in
// each view that may be the row's: its own commit's, the newest, the database alone.
//
// Threads: one. Limit: kReadsPerPage page reads for each page of the file, kRawBytesPerByte of
// merged batches for each byte; then no chain is followed and no batch taken out of a block any
// more, so that a hostile file cannot make work without end.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/block.h"
#include "buffer/journal_reader.h"
#include "buffer/salvage_cells.h"
#include "buffer/salvage_gather.h"
#include "buffer/salvage_pages.h"

namespace pitbox {

struct Verdict {
  std::optional<StoredEntry> entry;  // If it is good.
  std::uint32_t view = 0;            // In which it is.
  bool missing_definition = false;   // That alone keeps it from being judged.
  std::string car;                   // As the row says, if that is a name.
};

class RowVerifier {
 public:
  static constexpr std::uint64_t kReadsPerPage = 64;
  // Rows of a block's number that are tried, and bytes of blocks that are cut and coded again.
  static constexpr std::size_t kWaysPerBlock = 8;
  static constexpr std::uint64_t kLeastRawBytes = std::uint64_t{1} << 30;
  static constexpr std::uint64_t kRawBytesPerByte = 256;

  // All must outlive it.
  RowVerifier(const SalvagePages& pages, const DefinitionMap& definitions, const BlockMap& blocks);

  Verdict verify(const EntryCandidate& candidate);
  // The same row again, in the view it was good in. Nothing if the file has changed.
  std::optional<StoredEntry> read_again(const EntryCandidate& candidate, std::uint32_t view);

  const std::set<std::uint64_t>& missing_definitions() const { return missing_definitions_; }
  // Whether a row's chain runs over that page of the database.
  bool has_used(std::uint32_t page) const { return page < used_.size() && used_[page]; }

 private:
  struct Payload {
    std::string bytes;
    std::vector<RecordColumn> columns;
    std::vector<std::uint32_t> chain;     // Pages...
    std::vector<std::uint32_t> versions;  // ...and which ones of them.
  };
  // The last leaf that was looked at; neighbours in sequence mostly lie on one.
  struct Leaf {
    std::uint32_t page = 0;
    std::uint32_t version = 0;
    std::string bytes;
    LeafPage cells;  // Their bytes are in `bytes`.
  };
  // One way to read a block: a row of it, in a view.
  struct BlockWay {
    BlockCandidate row;
    std::uint32_t view = 0;
  };
  const LeafPage& leaf_of(Leaf& leaf, std::uint32_t page, std::uint32_t version);
  // The row in a cell, if it is of that kind.
  std::optional<Payload> read(const LeafPage& leaf, std::size_t cell, RowKind kind,
                              std::uint32_t view);
  std::optional<Payload> read(const EntryCandidate& candidate, std::uint32_t view);
  // What may have been the row's surroundings, the likeliest first.
  std::vector<std::uint32_t> views_of(std::uint32_t version) const;
  Result<std::string> load_block(std::uint64_t way, const std::string& car);
  bool expand(StoredEntry& entry);
  std::optional<StoredEntry> judge(const EntryCandidate& candidate, const Payload& payload,
                                   Verdict& verdict);
  std::optional<StoredEntry> judge_batch(StoredEntry entry, const Payload& payload,
                                         Verdict& verdict);

  const SalvagePages& pages_;
  const DefinitionMap& definitions_;
  std::set<std::uint64_t> missing_definitions_;
  std::vector<bool> used_;
  std::array<Leaf, 3> leaves_;  // Of batches, of events, of blocks.
  std::uint64_t reads_left_;
  std::uint64_t raw_bytes_left_;
  const BlockMap& blocks_;
  std::vector<BlockWay> ways_;                                   // Numbered from 1.
  std::map<std::uint64_t, std::vector<std::uint64_t>> ways_of_;  // By the block.
  BlockExpander expander_;                                       // Its blocks are ways.
};

// The row of `laps` that a lap event says; nothing if it is none that can be read.
std::optional<StoredLap> lap_of_event(const StoredEntry& event);

}  // namespace pitbox
