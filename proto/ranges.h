// RangeSet: which sequences are held, as sorted, disjoint, non-adjacent closed ranges. Plain value.
// Used for acknowledged ranges on the box and held ranges in the room. Sequences start at 1.

#pragma once

#include <cstdint>
#include <vector>

namespace pitbox {

struct Range {
  std::uint64_t first = 1;
  std::uint64_t last = 0;  // Inclusive.
  friend bool operator==(const Range&, const Range&) = default;
};

class RangeSet {
 public:
  // REQUIRES: 1 <= first <= last.
  void add(Range range);
  void add(std::uint64_t sequence) { add(Range{sequence, sequence}); }
  void add_all(const RangeSet& other);
  void remove(Range range);
  void remove_all(const RangeSet& other);
  void clear() { ranges_.clear(); }

  bool contains(std::uint64_t sequence) const;
  bool contains(Range range) const;
  bool overlaps(Range range) const;
  // Greatest n such that 1..n are all held; 0 if 1 is not.
  std::uint64_t through() const;
  // Number of sequences held.
  std::uint64_t count() const;
  // The parts of `within` that are not held, in order.
  std::vector<Range> missing(Range within) const;
  // The parts of `range` (which may be empty) that are held, in order.
  std::vector<Range> within(Range range) const;
  const std::vector<Range>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  friend bool operator==(const RangeSet&, const RangeSet&) = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace pitbox
