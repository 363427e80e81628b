// LogLimit: at most one line an interval about what a stranger or a full disk can make happen a
// thousand times a second; counters count each. The next line says how many were left out.
//
// Threads: one.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace pitbox {

class LogLimit {
 public:
  explicit LogLimit(std::chrono::nanoseconds interval = std::chrono::seconds(1))
      : interval_(interval) {}

  // How many were left out since the last line, if one may be written now. `now`: of any clock that
  // does not go back, always the same one.
  std::optional<std::uint64_t> pass(std::chrono::nanoseconds now) {
    if (last_ && now - *last_ < interval_) {
      ++left_out_;
      return std::nullopt;
    }
    last_ = now;
    return std::exchange(left_out_, 0);
  }

 private:
  const std::chrono::nanoseconds interval_;
  std::optional<std::chrono::nanoseconds> last_;
  std::uint64_t left_out_ = 0;
};

}  // namespace pitbox
