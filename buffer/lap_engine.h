// LapEngine: sees every row block the decoders produce, in order, and says when a car finished a
// lap. On the recorder's thread; no I/O. The laps in progress are saved with the consumed
// positions, like decoder state.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "proto/status.h"

namespace pitbox {

enum class LapKind : std::uint8_t { kOut = 1, kTimed, kIn, kPit };
std::string_view to_string(LapKind kind);  // "out", "timed", "in", "pit"

struct LapRecord {
  std::string car;
  std::uint32_t lap = 0;
  LapKind kind = LapKind::kTimed;
  std::int64_t lap_time_ms = 0;
  std::vector<std::int64_t> sector_time_ms;  // Empty unless every sector line was crossed.
  // When it began: `started_utc_ms` if the group's time base is UTC, else on CLOCK_BOOTTIME, from
  // which the recorder works out the wall clock.
  bool started_is_utc = false;
  std::int64_t started_utc_ms = 0;
  std::int64_t started_boot_ns = 0;
  std::string evidence;  // What told of it: "counter", "gps-line"
};

class LapEngine {
 public:
  virtual ~LapEngine() = default;
  // Appends the laps that ended in this block to `out`.
  virtual void rows(const RowBlock& block, std::vector<LapRecord>& out) = 0;
  // The session ends: appends the in laps of cars that are on one, and forgets all cars.
  virtual void finish(std::vector<LapRecord>& out) = 0;
  virtual std::string save() const = 0;
  virtual Status load(std::string_view state) = 0;
  virtual std::uint64_t state_version() const = 0;
};

}  // namespace pitbox
