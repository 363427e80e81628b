// The size bound: what `xz -9e` makes of a whole recording at once, the values only, brought into
// the most favourable of three orders. No codec that has to write while the car drives gets there;
// how near it comes is the measure (docs/bench.md, "`bench codec`").
//
// Threads: one; blocks as long as xz takes, about a second for each million samples, thrice.

#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "apps/bench/car_recording.h"
#include "proto/status.h"

namespace pitbox {

// In bytes, of one order each.
struct SizeBounds {
  std::uint64_t values = 0;       // Column after column, as they are stored.
  std::uint64_t planes = 0;       // Byte planes of the columns' places on their grids...
  std::uint64_t differences = 0;  // ...and of the differences between neighbours there.

  std::uint64_t least() const { return std::min({values, planes, differences}); }
};

struct SizeBound {
  std::filesystem::path folder;  // For what xz reads and writes; removed again.
  std::function<bool()> should_stop = [] { return false; };

  // Zeros if this machine has no xz.
  Result<SizeBounds> measure(const CarRecording& recording) const;

 private:
  Result<std::uint64_t> pack(const std::string& bytes) const;
  Status run_xz(const std::filesystem::path& file) const;
};

}  // namespace pitbox
