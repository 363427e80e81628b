// SimClock: a box's clocks over the world's time. Boot time begins anew with each boot, wall time
// may be set to anything at any moment.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "buffer/clock.h"

namespace pitbox::simulation {

class SimClock final : public Clock {
 public:
  // Nanoseconds since the world began; only the world moves it. `boots`: told in boot ids, so that
  // no two machines have one in common.
  explicit SimClock(const std::int64_t& world_ns, unsigned boots)
      : world_ns_(world_ns), boots_(boots) {
    boot();
  }

  BootNs boot_now() const override { return world_ns_ - booted_at_ + kFirmwareNs; }
  // Never before 1970: a kernel refuses that.
  WallNs wall_now() const override { return std::max<WallNs>(0, world_ns_ + wall_offset_); }
  std::string boot_id() const override { return boot_id_; }

  // After a power cut.
  void boot() {
    booted_at_ = world_ns_;
    char text[37];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012u", ++boots_);
    boot_id_ = text;
  }
  void step_wall(std::int64_t by_ns) { wall_offset_ += by_ns; }
  // The battery of the clock is empty: 1970 until somebody sets it.
  void forget_wall() { wall_offset_ = -world_ns_; }
  void set_wall() { wall_offset_ = kTodayNs; }

 private:
  static constexpr BootNs kFirmwareNs = 3'000'000'000;  // The daemon starts this long after a boot.
  static constexpr std::int64_t kTodayNs = 1'790'000'000'000'000'000;

  const std::int64_t& world_ns_;
  std::int64_t booted_at_ = 0;
  std::int64_t wall_offset_ = kTodayNs;
  unsigned boots_;
  std::string boot_id_;
};

}  // namespace pitbox::simulation
