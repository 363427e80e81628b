#include "proto/ranges.h"

#include <algorithm>

#include "proto/check.h"

namespace pitbox {

void RangeSet::add(Range range) {
  CHECK(range.first >= 1 && range.first <= range.last);
  // The common case appends: acknowledgements mostly grow at the end.
  if (ranges_.empty() || range.first > ranges_.back().last + 1) {
    ranges_.push_back(range);
    return;
  }
  // First range that ends at or after the place just before `range`: it touches or follows it.
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), range.first - 1,
                                [](const Range& r, std::uint64_t at) { return r.last < at; });
  auto end = begin;
  while (end != ranges_.end() && end->first - 1 <= range.last) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
    ++end;
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, range);
}

void RangeSet::add_all(const RangeSet& other) {
  for (const Range& range : other.ranges_) add(range);
}

void RangeSet::remove(Range range) {
  std::vector<Range> kept;
  kept.reserve(ranges_.size() + 1);
  for (const Range& r : ranges_) {
    if (r.last < range.first || r.first > range.last) {
      kept.push_back(r);
      continue;
    }
    if (r.first < range.first) kept.push_back({r.first, range.first - 1});
    if (r.last > range.last) kept.push_back({range.last + 1, r.last});
  }
  ranges_ = std::move(kept);
}

bool RangeSet::contains(std::uint64_t sequence) const {
  return contains(Range{sequence, sequence});
}

bool RangeSet::contains(Range range) const {
  const auto it = std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                                   [](const Range& r, std::uint64_t at) { return r.last < at; });
  return it != ranges_.end() && it->first <= range.first && it->last >= range.last;
}

bool RangeSet::overlaps(Range range) const {
  const auto it = std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                                   [](const Range& r, std::uint64_t at) { return r.last < at; });
  return it != ranges_.end() && it->first <= range.last;
}

std::uint64_t RangeSet::through() const {
  return ranges_.empty() || ranges_.front().first != 1 ? 0 : ranges_.front().last;
}

std::uint64_t RangeSet::count() const {
  std::uint64_t sum = 0;
  for (const Range& r : ranges_) sum += r.last - r.first + 1;
  return sum;
}

std::vector<Range> RangeSet::missing(Range within) const {
  std::vector<Range> out;
  std::uint64_t next = within.first;
  for (const Range& r : ranges_) {
    if (r.last < next) continue;
    if (r.first > within.last) break;
    if (r.first > next) out.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= within.last) out.push_back({next, within.last});
  return out;
}

void RangeSet::remove_all(const RangeSet& other) {
  for (const Range& range : other.ranges()) remove(range);
}

std::vector<Range> RangeSet::within(Range range) const {
  std::vector<Range> out;
  if (range.first > range.last) return out;
  auto r = std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                            [](const Range& held, std::uint64_t at) { return held.last < at; });
  for (; r != ranges_.end() && r->first <= range.last; ++r) {
    out.push_back({std::max(r->first, range.first), std::min(r->last, range.last)});
  }
  return out;
}

}  // namespace pitbox
