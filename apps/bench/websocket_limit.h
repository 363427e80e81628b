// The raw WebSocket limit: bytes per second that libwebsockets carries from a client to a server on
// loopback, masked as the protocol wants it, and nothing is done with them.
//
// Threads: makes two for as long as it measures.

#pragma once

#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kLimitFrameBytes = std::size_t{64} << 10;

// Of frames' payload, in MB/s, from the first byte that came to the last within `seconds`.
Result<double> measure_websocket(double seconds);

}  // namespace pitbox
