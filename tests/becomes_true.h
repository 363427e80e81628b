// Waiting for a state that can be observed, in tests and in what drives real processes.

#pragma once

#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

namespace pitbox {

inline constexpr std::chrono::seconds kLinePatience{60};

// True as soon as `condition` is; false if it is not within `patience`.
inline bool becomes_true(const std::function<bool()>& condition,
                         std::chrono::milliseconds patience = kLinePatience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
    // A pause between two looks, not a wait for something to have happened.
    usleep(5'000);
  }
  return true;
}

}  // namespace pitbox
