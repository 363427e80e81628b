// DurationCounts: how often something took how long, small enough for every snapshot. Quantiles are
// exact to a fifth of their value.
//
// Threads: a plain value.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace pitbox {

class DurationCounts {
 public:
  void add(std::int64_t ns) {
    const double steps = 4 * std::log2(std::max(static_cast<double>(ns) / kLeastNs, 1.0));
    const auto bucket = std::min(static_cast<std::size_t>(steps), counts_.size() - 1);
    ++counts_.at(bucket);
  }
  // What a share `part` (0..1) of them stayed below, in milliseconds; 0 if there are none.
  double quantile_ms(double part) const {
    const auto all = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    const double wanted = part * static_cast<double>(all);
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < counts_.size() && all > 0; ++bucket) {
      below += counts_.at(bucket);
      if (static_cast<double>(below) < wanted) continue;
      return kLeastNs * std::exp2(static_cast<double>(bucket + 1) / 4) / 1e6;
    }
    return 0;
  }

 private:
  static constexpr double kLeastNs = 16'000;  // Anything shorter counts as that.
  std::array<std::uint64_t, 84> counts_{};    // A quarter of an octave each: up to 34 s.
};

}  // namespace pitbox
