// BatchMemory: what the encoder keeps from one batch of a car to the next: on which grid each
// channel was, so that a channel that stays on it is not searched again. The bytes of a batch
// depend on it, what they decode to does not.
//
// Threads: one. Memory: 24 bytes for each channel of each definition seen since clear().

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "proto/definition.h"
#include "proto/grid.h"

namespace pitbox {

struct ColumnMemory {
  // Batches until a channel is searched again though nothing changed: it may be on a coarser grid.
  static constexpr std::uint8_t kBatches = 64;

  enum class Found : std::uint8_t { kNothingYet, kGrid, kNoGrid };
  FloatGrid grid{};
  Found found = Found::kNothingYet;
  std::uint8_t batches_left = 0;

  void remember(const FloatGrid* now) {
    found = now != nullptr ? Found::kGrid : Found::kNoGrid;
    if (now != nullptr) grid = *now;
    batches_left = kBatches;
  }
};

class BatchMemory {
 public:
  // One for each of the definition's channels.
  std::vector<ColumnMemory>& of(const Definition& definition) {
    std::vector<ColumnMemory>& columns = columns_[definition.prefix()];
    columns.resize(definition.channels().size());
    return columns;
  }
  void clear() { columns_.clear(); }

 private:
  std::map<std::uint64_t, std::vector<ColumnMemory>> columns_;  // By the definition's prefix.
};

}  // namespace pitbox
