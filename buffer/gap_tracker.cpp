#include "buffer/gap_tracker.h"

#include <algorithm>
#include <utility>

#include "proto/mutant.h"

namespace pitbox {

void GapTracker::add(Gap gap) {
  if (has_mutant(Mutant::kGapNotTold)) return;
  gap.count_known = gap.count != 0;
  const auto same = [&](const Gap& other) {
    return other.reason == gap.reason && other.unit == gap.unit && other.source == gap.source &&
           other.car == gap.car;
  };
  auto found = std::find_if(gaps_.begin(), gaps_.end(), same);
  if (found == gaps_.end() && gaps_.size() >= kMaxGaps) {
    gap.source.clear();
    gap.car.clear();
    found = std::find_if(gaps_.begin(), gaps_.end(), same);
  }
  if (found == gaps_.end()) {
    gaps_.push_back(std::move(gap));
    return;
  }
  found->from_ns = std::min(found->from_ns, gap.from_ns);
  found->to_ns = std::max(found->to_ns, gap.to_ns);
  found->count_known = found->count_known && gap.count_known;
  found->count += gap.count;
}

std::vector<Gap> GapTracker::take() {
  return std::exchange(gaps_, {});
}

}  // namespace pitbox
