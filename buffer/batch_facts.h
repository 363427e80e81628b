// What a decoded batch says of itself that also stands beside it in its journal row. The content
// hash covers the columns, not the row; so whoever doubts a row asks here.

#pragma once

#include <cstdint>

#include "proto/batch.h"

namespace pitbox {

struct BatchFacts {
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
  std::int64_t first_ns = 0;  // Least and greatest receive time.
  std::int64_t last_ns = 0;
  friend bool operator==(const BatchFacts&, const BatchFacts&) = default;
};
BatchFacts facts_of(const DecodedBatch& batch);

}  // namespace pitbox
