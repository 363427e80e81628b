// GapTracker: collects what was not kept, so that a loss is never a silence and never a flood.
//
// Gaps of one commit with the same source, car, reason and unit become one gap record: the span
// from the first to the last, the counts added, `count_known` only if every count was known.
//
// Limit: kMaxGaps different ones a commit; what comes beyond is merged by reason and unit alone,
// without naming source or car.
//
// Threads: the recorder's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pitbox {

struct Gap {
  std::string source;
  std::string car;           // Empty if it is not one car's.
  std::string reason;        // kernel_drop, truncated, ring_lost, ring_damaged, or a decoder's own.
  std::string unit;          // "messages" or "records"
  std::int64_t from_ns = 0;  // CLOCK_BOOTTIME; 0: before this boot or process, no telling when.
  std::int64_t to_ns = 0;
  bool count_known = false;
  std::uint64_t count = 0;
};

class GapTracker {
 public:
  static constexpr std::size_t kMaxGaps = 256;

  // `gap.count` 0 means unknown.
  void add(Gap gap);
  bool empty() const { return gaps_.empty(); }
  // Hands over what was collected, in the order of first appearance.
  std::vector<Gap> take();
  void clear() { gaps_.clear(); }

 private:
  std::vector<Gap> gaps_;
};

// How far a cumulative counter that wraps at 32 bits moved. It never goes back; a value that lies
// behind (more than half of the range ahead) is taken for no movement.
constexpr std::uint32_t kernel_drop_delta(std::uint32_t before, std::uint32_t now) {
  const std::uint32_t moved = now - before;
  return moved < (std::uint32_t{1} << 31) ? moved : 0;
}

}  // namespace pitbox
