// FileLanes: which entry of one journal file goes next, on which lane. Pure bookkeeping over
// sequences; knows nothing of bytes, frames or connections.
//
//        first                                live cursor          last
//          |  backfill: newest lap first,         |  live: in order,  |
//          |  in order within the lap             |  as committed     |
//
// The cursor starts behind the newest entry when a connection does, so what is committed from then
// on goes at once and what was missed meanwhile fills in behind it. When the link cannot keep up
// with the car, what waits longer than `live_age_max` is given up to backfill and the cursor jumps
// to the newest commit: late data never delays new data, whatever made it late.
//
// "Newest lap first": laps end at lap events; backfill takes the newest stretch between two of them
// that is not settled, in order, then the one before. A stretch is at most kStretchMax sequences,
// so that a file without laps fills in newest first as well.
//
// Threads: one (the link's). Cost per call: a binary search in the range sets; memory: the ranges.

#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "buffer/clock.h"
#include "proto/ranges.h"

namespace pitbox {

class FileLanes {
 public:
  struct Options {
    std::chrono::nanoseconds live_age_max = std::chrono::milliseconds(300);
  };
  static constexpr std::uint64_t kStretchMax = 1024;

  FileLanes(const Options& options, std::uint64_t first, std::uint64_t last);

  // A connection begins: the room holds `held`, everything else is pending again.
  void begin(const RangeSet& held);
  // The journal has grown to `last`, or lost what was before `first` to eviction.
  void advance(BootNs now, std::uint64_t first, std::uint64_t last);
  // These are not there any more: never to be offered, and no longer waited for.
  void set_gone(RangeSet gone);
  // Sequences of lap events, rising. Only those not yet known need be there.
  void add_laps(const std::vector<std::uint64_t>& sequences);

  // The next sequence of a lane that is neither held, sent nor given up; none if there is none.
  std::optional<std::uint64_t> next_live(BootNs now);
  std::optional<std::uint64_t> next_backfill();
  // It went, or goes, onto the wire on this connection.
  void sent(Range range);
  // It cannot be read: not offered again on this connection.
  void give_up(Range range);
  // The room has it durably. True if that was news.
  bool held(Range range);
  // The room asks for these before other backfill, even if they were sent.
  void pull(Range range);

  std::uint64_t first() const { return first_; }
  std::uint64_t last() const { return last_; }
  const RangeSet& held() const { return held_; }
  // Held, sent or given up on this connection, or gone.
  const RangeSet& settled() const { return settled_; }
  // Entries that the room does not hold and that are there.
  std::uint64_t pending() const;
  // Nothing left to offer on either lane.
  bool drained() const;

 private:
  struct CommitMark {
    BootNs at = 0;
    std::uint64_t first = 0;
  };
  void give_up_late(BootNs now);
  bool choose_stretch();
  // The greatest sequence <= `from` and >= first_ that is not settled; 0 if none.
  std::uint64_t newest_unsettled(std::uint64_t from) const;
  // The least sequence >= `from` that is not settled; may be beyond last_.
  std::uint64_t next_unsettled(std::uint64_t from) const;

  const Options options_;
  std::uint64_t first_;
  std::uint64_t last_;
  std::uint64_t live_next_;
  RangeSet held_;
  RangeSet gone_;
  RangeSet settled_;  // Held, sent, given up or gone.
  RangeSet pulled_;
  std::deque<CommitMark> marks_;     // Commits that the live lane has not passed.
  std::vector<std::uint64_t> laps_;  // Rising.
  Range stretch_;                    // Being filled in; empty if first > last.
};

}  // namespace pitbox
