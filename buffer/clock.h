// Clock: where time comes from, passed in so that tests and simulation can own it.
//
// Boot time (CLOCK_BOOTTIME, nanoseconds since boot, suspend included) orders and measures; wall
// time (CLOCK_REALTIME, nanoseconds since 1970 UTC) is only for people and may jump.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pitbox {

using BootNs = std::int64_t;
using WallNs = std::int64_t;

inline constexpr BootNs kNsPerMs = 1'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual BootNs boot_now() const = 0;
  virtual WallNs wall_now() const = 0;
  virtual std::string boot_id() const = 0;  // 36 characters; another after each boot.
};

// The machine's own. Thread-safe.
const Clock& system_clock();

inline constexpr BootNs to_ns(std::chrono::nanoseconds duration) {
  return duration.count();
}

}  // namespace pitbox
