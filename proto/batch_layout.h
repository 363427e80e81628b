// What the writer and the reader of a batch must agree on beside the coders: the modes of a group,
// how sizes are counted against the limits, and which times are subtracted (FORMAT.md, "Batch").

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "proto/column.h"
#include "proto/definition.h"

namespace pitbox {

enum class GroupMode : std::uint8_t { kPlain = 0, kChosen = 1, kFew = 2 };

// Decoded size of a group as the limits count it.
inline std::size_t counted_bytes(const Definition& definition, std::size_t rows) {
  const std::size_t time_columns = definition.has_source_time() ? 2 : 1;
  const std::size_t columns = definition.channels().size() + time_columns;
  return rows * (definition.row_bytes() + time_columns * sizeof(std::int64_t)) +
         columns * kColumnOverheadBytes;
}

// The first time of the group before; 0 for the first one. One for source, one for receive times.
class TimeOrigin {
 public:
  // What to subtract from this group's times, whose first is `first` (before subtraction).
  std::uint64_t next(std::int64_t first) {
    const std::uint64_t origin = origin_;
    origin_ = static_cast<std::uint64_t>(first);
    return origin;
  }
  std::uint64_t current() const { return origin_; }

 private:
  std::uint64_t origin_ = 0;
};

// Adds `amount` to every time, modulo 2^64.
inline void shift_times(std::span<std::int64_t> times, std::uint64_t amount) {
  for (std::int64_t& time : times) {
    time = static_cast<std::int64_t>(static_cast<std::uint64_t>(time) + amount);
  }
}

// Adds to every time its other one, modulo 2^64, or subtracts it; nothing if there are no others.
inline void add_times(std::span<std::int64_t> times, std::span<const std::int64_t> others) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    times[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(times[i]) +
                                         static_cast<std::uint64_t>(others[i]));
  }
}
inline void subtract_times(std::span<std::int64_t> times, std::span<const std::int64_t> others) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    times[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(times[i]) -
                                         static_cast<std::uint64_t>(others[i]));
  }
}

}  // namespace pitbox
