// LoadSender: sends a Load at a rate, each datagram at its moment. `pitbox bench load`.
//
// Threads: one; blocks for as long as it sends.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "apps/bench/load.h"
#include "proto/status.h"

namespace pitbox {

struct LoadPace {
  double samples_per_second = 0;  // Of all cars together; 0: as fast as it goes.
  double seconds = 60;
  bool with_gso = false;  // The kernel cuts one send into up to 44 datagrams.
  // Both may be empty. As fast as it goes: for how many datagrams the receiver has room just now;
  // it is asked before each send.
  std::function<std::size_t()> room{};
  std::function<void(std::uint64_t)> on_sent{};  // How many there were so far, after each send.
};

struct LoadSent {
  std::uint64_t datagrams = 0;
  double seconds = 0;         // From the first datagram to the last.
  std::int64_t first_ns = 0;  // When the first left: steady clock, the same for all processes.
  double late_ms = 0;         // How much later than its moment the latest left.
};

// `url`: udp://ADDRESS:PORT, an IPv4 address. Announces first, then sends until the time is over or
// `should_stop` says so. kRejected if the address is none, kFatal if sending fails.
Result<LoadSent> send_load(const std::string& url, Load& load, const LoadPace& pace,
                           const std::function<bool()>& should_stop);

}  // namespace pitbox
