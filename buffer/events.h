// Events: what happened, as entries for a commit. The only writer of words::Event in the daemon;
// kinds and fields are FORMAT.md, "Events", and docs/journal.md.
//
// Plain functions; any thread.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/clock.h"
#include "buffer/gap_tracker.h"
#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "buffer/lap_engine.h"
#include "proto/ranges.h"

namespace pitbox {

// Boot clock and wall clock at one moment.
struct ClockReading {
  std::string boot_id;
  BootNs boot_ns = 0;
  WallNs wall_ns = 0;

  std::int64_t wall_minus_boot_ns() const { return wall_ns - boot_ns; }
};
ClockReading read_clock(const Clock& clock);

NewEvent clock_anchor_event(const ClockReading& reading);
NewEvent session_start_event(const SessionInfo& info, BootNs now);
NewEvent session_end_event(std::int64_t wall_ms, BootNs now);
NewEvent session_bound_event(const std::string& platform_id, BootNs now);
NewEvent gap_event(const Gap& gap, BootNs now);
NewEvent lap_event(const LapRecord& lap, std::int64_t started_at_ms, BootNs now);
// `range` of `incarnation` has no content of its own any more.
inline constexpr std::size_t kTombstoneLaps = 256;
struct TombstoneFacts {
  std::uint64_t incarnation = 0;
  Range range;
  std::string_view reason;
  std::uint64_t records = 0;          // Rows in it; 0 if nobody counted them.
  std::span<const StoredLap> laps{};  // That lose data by it; at most kTombstoneLaps are named.
};
NewEvent tombstone_event(const TombstoneFacts& facts, BootNs now);
// Somebody asked that this moment's lap is kept. `car` may be empty: all cars.
NewEvent mark_event(const std::string& car, const std::string& text, BootNs now);

// The reading in a stored clock anchor; nothing if `bytes` is not one.
std::optional<ClockReading> parse_clock_anchor(std::string_view bytes);

}  // namespace pitbox
