// Making room: one step of the ladder (retention.h) at a time, between commits.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "buffer/recorder.h"
#include "proto/mutant.h"

namespace pitbox {
namespace {

// While nothing can be done, or a reader is in the way.
constexpr std::chrono::milliseconds kLookAgain{200};

std::vector<Range> ranges_of(const Giving& giving) {
  std::vector<Range> ranges;
  ranges.reserve(giving.runs.size());
  for (const BatchRun& run : giving.runs) ranges.push_back(run.range);
  return ranges;
}

}  // namespace

Evicted Recorder::evicted_of(const Giving& giving, EvictReason reason, BootNs now) {
  Evicted evicted{.reason = reason};
  for (const BatchRun& run : giving.runs) {
    evicted.tombstones.push_back(tombstone_event({.incarnation = giving.file.incarnation,
                                                  .range = run.range,
                                                  .reason = to_string(reason),
                                                  .records = run.records,
                                                  .laps = run.laps},
                                                 now));
    evicted.ranges[giving.file.incarnation].add(run.range);
    evicted.entries += run.range.last - run.range.first + 1;
    evicted.records += run.records;
    evicted.bytes += run.bytes;
  }
  return evicted;
}

void Evicted::count_in(Conservation& counts) const {
  counts.entries.evicted[static_cast<std::size_t>(reason)] += entries;
  counts.records_evicted += records;
  counts.bytes_evicted += bytes;
}

std::size_t Recorder::make_room(BootNs now) {
  if (now < space_due_) return 0;
  if (look_for_interrupted_) {
    look_for_interrupted_ = !store_->undo_interrupted();
    space_due_ = now + to_ns(kLookAgain);
  }
  if (look_for_lost_) {
    space_due_ = now + to_ns(kLookAgain);  // If it cannot be done now.
    if (bury_lost(now)) space_due_ = now;
    return 1;
  }
  if (!space_.is_on()) return 0;
  const SpaceKeeper::Shortage shortage = space_.look(
      now, [this] { return journal_ != nullptr ? journal_->reusable_bytes() : std::uint64_t{0}; });
  is_short_ = shortage.bytes > 0;
  is_starving_ = is_starving_ && shortage.is_dire;
  is_making_room_ = is_making_room_ && shortage.is_dire;
  space_due_ = now + to_ns(kLookAgain);
  if (shortage.bytes == 0) return 0;
  std::vector<RetainedFile> files = store_->retained(journal_.get());
  // What is being journaled again is answered for by that.
  std::erase_if(files, [&](const RetainedFile& file) {
    const bool is_ended =
        ended_rekeying_ != nullptr && file.incarnation == ended_rekeying_->incarnation();
    return is_ended || (rekeying_ != nullptr && file.incarnation == rekeying_->incarnation());
  });
  const Giving giving = retention_.choose(files, chunk_of(shortage), shortage.is_dire);
  if (giving.how == Giving::How::kNothingLeft) {
    is_making_room_ = false;
    if (!shortage.is_dire) return 0;
    if (!is_starving_ && shortage.reason == EvictReason::kDiskFull) {
      note_error("space",
                 Status(Code::kFull,
                        "the disk is full and there is nothing left to give "
                        "up: batches are refused, laps and events are kept"),
                 now);
    }
    is_starving_ = shortage.reason == EvictReason::kDiskFull;
    return 0;
  }
  if (give_up(giving, shortage.reason, now)) space_due_ = now;
  space_.forget_used();
  return 1;
}

// What is deleted goes through a WAL, which must not take more room than there is.
std::uint64_t Recorder::chunk_of(const SpaceKeeper::Shortage& shortage) const {
  return std::min<std::uint64_t>(shortage.bytes, space_.wal_bytes() / 2);
}

// False: not now.
bool Recorder::give_up(const Giving& giving, EvictReason reason, BootNs now) {
  if (giving.how == Giving::How::kBury && has_mutant(Mutant::kEvictUntold)) {
    Evicted untold = evicted_of(giving, reason, now);
    untold.tombstones.clear();
    return commit(now, {.evicted = std::move(untold)});
  }
  if (giving.how == Giving::How::kBury) {
    return bury(giving.file, evicted_of(giving, reason, now), now);
  }
  if (giving.file.is_live) return commit(now, {.removed = ranges_of(giving)});
  const bool is_removed = remove(giving.file, ranges_of(giving), now);
  publish_heads(now);
  return is_removed;
}

bool Recorder::remove(const RetainedFile& file, const std::vector<Range>& ranges, BootNs now) {
  const Status removed = store_->remove(file.incarnation, ranges);
  if (removed.ok()) return true;
  look_for_interrupted_ = true;
  if (removed.code() != Code::kTryAgain) note_error("make room", removed, now);
  return false;
}

// Tombstones, durably, and only then what they answer for is deleted: in the live file when the
// ladder comes by again, for what a commit that failed may show of itself does not count, and what
// it deleted would be gone all the same; else right afterwards, unless a reader is in the way.
bool Recorder::bury(const RetainedFile& file, Evicted evicted, BootNs now) {
  if (const auto others = giving_up_.pass(std::chrono::nanoseconds(now))) {
    spdlog::warn(
        "giving up {} batches of session {} that the room does not have ({}); {} times "
        "since this was last said",
        evicted.ranges[file.incarnation].count(), file.session.text(), to_string(evicted.reason),
        *others + 1);
  }
  const std::vector<Range> ranges = evicted.ranges[file.incarnation].ranges();
  const bool is_there = evicted.reason != EvictReason::kRoomLost;
  const bool is_buried = file.is_current ? commit(now, {.evicted = std::move(evicted)})
                                         : bury_in_ended(file, evicted, now);
  if (is_buried && is_there && !file.is_live) {
    static_cast<void>(remove(file, ranges, now));
  }
  publish_heads(now);
  return is_buried;
}

// The session is over: its tombstones are in a file of their own.
bool Recorder::bury_in_ended(const RetainedFile& file, const Evicted& evicted, BootNs now) {
  // Its counters are being carried on in another file.
  if (ended_rekeying_ != nullptr && ended_rekeying_->session() == file.session) return false;
  std::vector<NewEvent> events{clock_anchor_event(read_clock(clock_))};
  events.insert(events.end(), evicted.tombstones.begin(), evicted.tombstones.end());
  std::uint64_t bytes = 0;
  for (const NewEvent& event : events) bytes += event.bytes.size();
  const Status buried = store_->bury(file.session, events, evicted.ranges, [&](Counters& counters) {
    Conservation counts = Conservation::load(counters);
    counts.entries.journaled += events.size();
    counts.entries.pending += events.size();
    counts.entries.pending -= std::min(counts.entries.pending, evicted.entries);
    counts.events_journaled += events.size();
    counts.bytes_journaled += bytes;
    evicted.count_in(counts);
    counts.store(counters);
  });
  look_for_interrupted_ = true;
  if (!buried.ok()) note_error("make room", buried, now);
  return buried.ok();
}

// What was deleted because the room had it, and the room has it no more, or what went with an older
// copy of a file: nobody has it.
bool Recorder::bury_lost(BootNs now) {
  for (const RetainedFile& file : store_->retained(journal_.get())) {
    if (!file.unanswered.empty()) return bury_again(file, now);
    Giving giving{.how = Giving::How::kBury, .file = file, .runs = {}};
    for (const Range& range : Retention::lost(file)) {
      if (giving.runs.size() == Retention::kRunsPerChoice) break;
      giving.runs.push_back({.range = range, .records = 0, .bytes = 0, .laps = {}});
    }
    if (giving.runs.empty()) continue;
    return bury(file, evicted_of(giving, EvictReason::kRoomLost, now), now);
  }
  look_for_lost_ = false;
  return false;
}

// The tombstones went, and are written again; what they answer for is counted already.
bool Recorder::bury_again(const RetainedFile& file, BootNs now) {
  Giving giving{.how = Giving::How::kBury, .file = file, .runs = {}};
  for (const Range& range : file.unanswered.ranges()) {
    if (giving.runs.size() == Retention::kRunsPerChoice) break;
    giving.runs.push_back({.range = range, .records = 0, .bytes = 0, .laps = {}});
  }
  Evicted evicted = evicted_of(giving, EvictReason::kRoomLost, now);
  if (file.is_current) evicted.entries = 0;
  return bury(file, std::move(evicted), now);
}

// While nothing can be journaled no tombstone can be written either; but what the room has may go,
// and the reserve.
void Recorder::make_room_to_journal(BootNs now) {
  if (!space_.is_on()) return;
  const SpaceKeeper::Shortage shortage = space_.look(now, [] { return std::uint64_t{0}; });
  is_making_room_ = shortage.bytes > 0;
  if (!is_making_room_) return;
  space_.release_reserve();
  const Giving giving = retention_.choose(store_->retained(nullptr), chunk_of(shortage), false);
  if (giving.how != Giving::How::kDelete) return;
  static_cast<void>(remove(giving.file, ranges_of(giving), now));
}

}  // namespace pitbox
