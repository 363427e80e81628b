// offer(): hands a Load to a peer as fast as it is acknowledged, or at a rate, with a window of
// datagrams without an answer; and the book of what was acknowledged.
//
// Threads: one; blocks until the time is over and everything was answered, `should_stop` says so,
// or the connection ends, which is not a failure: a forwarder may be killed on purpose.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "apps/bench/load.h"
#include "bench/peers/datagram_book.h"
#include "bench/peers/peer_protocol.h"
#include "bench/peers/shared_count.h"
#include "proto/status.h"

namespace pitbox {

struct OfferPace {
  double datagrams_per_second = 0;  // 0: as fast as it goes.
  double seconds = 10;
};

struct Offered {
  std::uint64_t datagrams = 0;  // Handed to the connection.
  std::int64_t first_ns = 0;    // When the first was: steady clock.
  double seconds = 0;           // Until the last was.
  std::string broken;           // Why the connection ended, if it did.
  DatagramBook acknowledged;
};

// kFatal if the peer refused something, or did not answer for kAnswerPatience.
Result<Offered> offer(const std::string& address, PeerSender& peer, Load& load,
                      const OfferPace& pace, SharedCount& sent,
                      const std::function<bool()>& should_stop);

}  // namespace pitbox
