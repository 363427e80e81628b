// Pacing: how much may be on the wire, from what came back. Pure arithmetic on one connection.
//
// What a connection can carry is measured by its acknowledgements: bytes acknowledged per second
// (greatest of the last two seconds; a sample taken while there was nothing to send counts only if
// it is greater) and the least time from sent to acknowledged (of the last ten seconds), which
// includes the room's own commit. From these:
//
//   backfill window   1.25 * rate * rtt + 50 ms of rate     16 KiB .. 8 MiB
//   live window       2.00 * rate * rtt + 100 ms of rate    64 KiB .. 8 MiB
//   backfill part     50 ms of rate                          1 KiB .. 64 KiB
//   live part         50 ms of rate                         16 KiB .. 512 KiB
//
// The windows bound bytes sent and not acknowledged, so the queue in front of a live part (in our
// socket, in every box between, in the room) is at most what backfill may have in flight: about
// 50 ms plus a quarter of a round trip. They grow by themselves: a window 1.25 times what the path
// holds, plus 50 ms, lets the next sample be greater by at least a quarter if the path allows it.
// Why not the kernel's congestion window alone: it fills the bottleneck's buffer, and on a mobile
// link that buffer is seconds deep; TCP_NOTSENT_LOWAT bounds only the unsent part.
//
// A limit (Slow from the room, a byte budget of ours) is a token bucket of 50 ms depth, at least
// one frame: it may go into debt by one frame and then waits.
//
// Threads: one (the link's).

#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "buffer/clock.h"

namespace pitbox {

// A rate limit. 0 is none.
class TokenBucket {
 public:
  void limit(BootNs now, std::uint64_t bytes_per_second);
  std::uint64_t bytes_per_second() const { return rate_; }
  bool may_send(BootNs now);
  void sent(std::uint64_t bytes);
  // When may_send() becomes true; `now` if it is.
  BootNs ready_at(BootNs now);

 private:
  void refill(BootNs now);
  std::uint64_t rate_ = 0;
  double tokens_ = 0;
  BootNs filled_at_ = 0;
};

class Pacing {
 public:
  // What must be remembered of something sent, to learn from its acknowledgement.
  struct Mark {
    BootNs sent_at = 0;            // Its last byte.
    BootNs delivered_at = 0;       // Of the last acknowledgement before its first byte...
    std::uint64_t delivered = 0;   // ...and how much had been acknowledged then.
    bool nothing_waiting = false;  // The application, not the link, was the limit.
  };

  // Begins a connection: nothing known, nothing in flight.
  void reset(BootNs now);
  // REQUIRES: called for the first byte of an entry, before sent().
  Mark mark(BootNs now);
  void sent(BootNs now, std::uint64_t bytes);
  void acknowledged(BootNs now, std::uint64_t bytes, const Mark& mark);
  // Sent, but nobody will acknowledge it any more.
  void forget(std::uint64_t bytes);

  std::uint64_t in_flight() const { return in_flight_; }
  // Bytes per second; 0 until something was acknowledged.
  double rate() const { return rate_; }
  std::chrono::nanoseconds round_trip() const { return std::chrono::nanoseconds(round_trip_); }
  std::uint64_t live_window() const;
  std::uint64_t backfill_window() const;
  std::size_t live_part_bytes() const;
  std::size_t backfill_part_bytes() const;

 private:
  struct Sample {
    BootNs at = 0;
    double rate = 0;
  };
  struct Trip {
    BootNs at = 0;
    BootNs took = 0;
  };
  void learn_rate(BootNs now, double rate, bool nothing_waiting);
  void learn_round_trip(BootNs now, BootNs took);

  std::uint64_t in_flight_ = 0;
  std::uint64_t delivered_ = 0;
  BootNs delivered_at_ = 0;
  double rate_ = 0;
  BootNs round_trip_ = 0;
  std::deque<Sample> rates_;  // Falling: the front is the greatest of the window.
  std::deque<Trip> trips_;    // Rising: the front is the least of the window.
};

}  // namespace pitbox
