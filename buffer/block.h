// Blocks: batches of one car whose columns were coded together, in place of each by itself
// (docs/journal.md, "Blocks"). Rows, hashes and totals in `batches` stay as they are; in place of
// its blob a batch has a reference to its rows in the block.
//
// Plain values and functions; any thread. Bytes of blocks and references are hostile: what does not
// add up is kCorrupt. Limits: kMaxBlockRawBytes decoded, as batches are counted (FORMAT.md).

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

// Two seconds of a car of 300 channels, half a lap of a GT3 car: longer ones gain a hundredth. And
// 64 of them, one for each car of a grid, are what an expander keeps.
inline constexpr std::size_t kMaxBlockRawBytes = std::size_t{1} << 20;
// Of a batch, as limits count it.
std::size_t raw_bytes_of(const DecodedBatch& batch);

// Which of a block's rows of one group.
struct RowSlice {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};
struct BlockReference {
  std::uint64_t block = 0;
  std::uint64_t bytes = 0;       // Of the batch while it was on its own.
  std::uint64_t share = 0;       // Of the block's bytes.
  std::vector<RowSlice> slices;  // One for each of the batch's definitions, in their order.
};
// At most kMaxReferenceBytes; no batch begins like one.
inline constexpr std::size_t kMaxReferenceBytes = 16 * 1024;
bool is_block_reference(std::string_view blob);
std::string pack_block_reference(const BlockReference& reference);
// Without slices if `definitions` is 0: what stands before them.
Result<BlockReference> parse_block_reference(std::string_view blob, std::size_t definitions);

// Collects batches of one car, in order of sequence.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::string car) : car_(std::move(car)) {}

  // False, and nothing is added, if it would be too large with it, or of too many groups.
  bool add(std::uint64_t sequence, std::uint64_t bytes, const DecodedBatch& batch);
  std::size_t batches() const { return members_.size(); }
  // Decoded, as limits count it.
  std::size_t raw_bytes() const { return raw_bytes_; }
  void clear();
  // What goes into the journal. Nothing if it saves less than a part in kWorthIt of the bytes.
  // REQUIRES: at least one batch. The builder is empty afterwards.
  std::optional<NewBlock> finish();

 private:
  static constexpr std::uint64_t kWorthIt = 50;
  struct Member {
    std::uint64_t sequence = 0;
    BlockReference reference;
  };

  std::string car_;
  std::map<std::uint64_t, GroupColumns> groups_;  // By the definition's prefix.
  std::vector<Member> members_;
  std::size_t rows_ = 0;
  std::size_t raw_bytes_ = 0;
};

// Gives merged batches back as they were: the same content under the same hash, coded anew.
// Keeps the blocks it decoded last, at most kMaxKeptBytes of them, and which ones it could not.
class BlockExpander {
 public:
  static constexpr std::size_t kMaxKeptBytes = std::size_t{64} << 20;
  // The blob of a block of that car. kRejected if there is none.
  using Load = std::function<Result<std::string>(std::uint64_t block, const std::string& car)>;
  BlockExpander(Load load, DefinitionLookup lookup)
      : load_(std::move(load)), lookup_(std::move(lookup)) {}

  // What is no reference is left as it is. kRejected as `load` says.
  Status expand(StoredEntry& entry);

 private:
  struct Kept {
    std::uint64_t block = 0;
    std::string car;
    DecodedBatch batch;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kMaxCorrupt = 4096;
  Result<const DecodedBatch*> find(std::uint64_t block, const std::string& car);
  Result<DecodedBatch> decode(std::uint64_t block, const std::string& car);

  Load load_;
  DefinitionLookup lookup_;
  std::map<std::pair<std::uint64_t, std::string>, Status> corrupt_;  // At most kMaxCorrupt.
  std::list<Kept> kept_;                                             // The one used last first.
  std::size_t kept_bytes_ = 0;
};

}  // namespace pitbox
