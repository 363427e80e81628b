#include "sync/lanes.h"

#include <algorithm>
#include <utility>

namespace pitbox {

FileLanes::FileLanes(const Options& options, std::uint64_t first, std::uint64_t last)
    : options_(options), first_(std::max<std::uint64_t>(first, 1)), last_(last) {
  live_next_ = last_ + 1;
}

void FileLanes::begin(const RangeSet& held) {
  held_ = held;
  settled_ = held;
  settled_.add_all(gone_);
  pulled_.clear();
  marks_.clear();
  stretch_ = Range{1, 0};
  live_next_ = last_ + 1;
}

void FileLanes::advance(BootNs now, std::uint64_t first, std::uint64_t last) {
  first_ = std::max(first_, first);
  if (last <= last_) return;
  marks_.push_back({now, last_ + 1});
  last_ = last;
  give_up_late(now);
}

void FileLanes::set_gone(RangeSet gone) {
  if (gone == gone_) return;
  gone_ = std::move(gone);
  settled_.add_all(gone_);
  pulled_.remove_all(gone_);
}

void FileLanes::add_laps(const std::vector<std::uint64_t>& sequences) {
  for (const std::uint64_t sequence : sequences) {
    if (laps_.empty() || sequence > laps_.back()) laps_.push_back(sequence);
  }
}

void FileLanes::give_up_late(BootNs now) {
  while (marks_.size() > 1 && marks_[1].first <= live_next_) marks_.pop_front();
  if (marks_.size() < 2 || live_next_ > last_) return;
  if (now - marks_.front().at <= to_ns(options_.live_age_max)) return;
  live_next_ = std::max(live_next_, marks_.back().first);
  marks_.erase(marks_.begin(), marks_.end() - 1);
}

std::uint64_t FileLanes::next_unsettled(std::uint64_t from) const {
  const auto& ranges = settled_.ranges();
  const auto it = std::lower_bound(ranges.begin(), ranges.end(), from,
                                   [](const Range& r, std::uint64_t at) { return r.last < at; });
  return it == ranges.end() || it->first > from ? from : it->last + 1;
}

std::uint64_t FileLanes::newest_unsettled(std::uint64_t from) const {
  if (from < first_) return 0;
  const auto& ranges = settled_.ranges();
  const auto it = std::lower_bound(ranges.begin(), ranges.end(), from,
                                   [](const Range& r, std::uint64_t at) { return r.last < at; });
  if (it == ranges.end() || it->first > from) return from;
  return it->first > first_ ? it->first - 1 : 0;
}

std::optional<std::uint64_t> FileLanes::next_live(BootNs now) {
  give_up_late(now);
  live_next_ = next_unsettled(live_next_);
  if (live_next_ > last_) return std::nullopt;
  return live_next_;
}

bool FileLanes::choose_stretch() {
  const std::uint64_t newest = newest_unsettled(live_next_ - 1);
  if (newest == 0) return false;
  // A lap's stretch ends with its lap event; the one before begins the stretch's other end.
  const auto lap = std::lower_bound(laps_.begin(), laps_.end(), newest);
  std::uint64_t from = lap == laps_.begin() ? first_ : *(lap - 1) + 1;
  if (newest - from >= kStretchMax) from = newest - kStretchMax + 1;
  stretch_ = Range{std::max(from, first_), newest};
  return true;
}

std::optional<std::uint64_t> FileLanes::next_backfill() {
  while (!pulled_.empty()) {
    const std::uint64_t sequence = pulled_.ranges().front().first;
    if (sequence >= first_) return sequence;
    pulled_.remove(Range{sequence, first_ - 1});
  }
  stretch_.first = next_unsettled(std::max(stretch_.first, first_));
  if (stretch_.first > stretch_.last && !choose_stretch()) return std::nullopt;
  stretch_.first = next_unsettled(stretch_.first);
  return stretch_.first;
}

void FileLanes::sent(Range range) {
  settled_.add(range);
  pulled_.remove(range);
}

void FileLanes::give_up(Range range) {
  sent(range);
}

bool FileLanes::held(Range range) {
  if (held_.contains(range)) return false;
  held_.add(range);
  settled_.add(range);
  pulled_.remove(range);
  return true;
}

void FileLanes::pull(Range range) {
  range.first = std::max(range.first, first_);
  range.last = std::min(range.last, last_);
  if (range.first > range.last) return;
  for (const Range& part : gone_.missing(range)) pulled_.add(part);
}

std::uint64_t FileLanes::pending() const {
  if (first_ > last_) return 0;
  std::uint64_t sum = 0;
  RangeSet not_waiting = held_;
  not_waiting.add_all(gone_);
  for (const Range& r : not_waiting.missing(Range{first_, last_})) sum += r.last - r.first + 1;
  return sum;
}

bool FileLanes::drained() const {
  return pulled_.empty() && newest_unsettled(last_) == 0;
}

}  // namespace pitbox
