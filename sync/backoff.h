// DialBackoff: when to dial a room again. Pure: time and randomness are passed in.
//
// Full jitter: the wait is drawn evenly from 0 to a bound that starts at 250 ms and doubles with
// each failure up to a cap.
//   - The other end answered and refused (HTTP status, TLS, Goodbye, close code): cap 30 s. It is
//     alive and does not want us; insisting harms it.
//   - Nothing answered (dns, RST, unreachable, time-out): cap 500 ms, because a pit-lane link comes
//     back without notice and a SYN costs nothing; 5 s after ten minutes of silence.
// Why full jitter, not half: twenty boxes on one circuit lose and find the same network in the same
// second; spread over the whole interval they do not dial in step.
//
// Reset only by useful(): a connection that opens and dies without an acknowledged byte has proved
// nothing, and dialling it fast again is how a sick room is kept sick.
//
// Threads: one (the link's).

#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "buffer/clock.h"

namespace pitbox {

enum class DialFailure : std::uint8_t { kNoAnswer, kAnsweredAndRefused };

class DialBackoff {
 public:
  struct Options {
    std::chrono::nanoseconds first = std::chrono::milliseconds(250);
    std::chrono::nanoseconds refused_max = std::chrono::seconds(30);
    std::chrono::nanoseconds silent_max = std::chrono::milliseconds(500);
    std::chrono::nanoseconds silent_max_later = std::chrono::seconds(5);
    std::chrono::nanoseconds later = std::chrono::minutes(10);
  };
  DialBackoff(const Options& options, std::uint64_t seed) : options_(options), random_(seed) {}

  // `retry_after`: the least wait the other end asked for; 0 if it did not.
  void failed(BootNs now, DialFailure failure, std::chrono::nanoseconds retry_after = {});
  // A connection ended that was neither refused nor silent for long (it had been open).
  void lost(BootNs now) { failed(now, DialFailure::kNoAnswer); }
  // A poll succeeded or the network came up: dial now, unless the other end had refused.
  void hurry(BootNs now);
  // An acknowledgement advanced.
  void useful();

  bool due(BootNs now) const { return now >= due_at_; }
  BootNs due_at() const { return due_at_; }
  // Since the last useful() or the start.
  int failures() const { return failures_; }

 private:
  const Options options_;
  std::mt19937_64 random_;
  int failures_ = 0;
  BootNs first_failure_ = 0;
  BootNs due_at_ = 0;
  bool refused_ = false;
};

}  // namespace pitbox
