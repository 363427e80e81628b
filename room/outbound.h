// Outbound: how a room speaks, without knowing sockets. The server implements it with WebSockets,
// tests and simulation with vectors.
//
// Threads: the room's own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/frames.h"

namespace pitbox {

using ConnectionId = std::uint64_t;
// One frame's bytes, shared by all who get it.
using SharedFrame = std::shared_ptr<const std::string>;

class Outbound {
 public:
  virtual ~Outbound() = default;
  // Queues one message: binary for pitbox.room.v1, text for pitbox.view.v1. Never fails: the room
  // looks at queued_bytes() first where it may wait or shed.
  virtual void send(ConnectionId to, SharedFrame frame) = 0;
  // Closes once what was queued is sent. The room forgets the connection at once.
  virtual void close(ConnectionId to, CloseCode code, std::string_view reason) = 0;
  // Of messages not yet handed to the kernel. 0 for a connection that is not there.
  virtual std::size_t queued_bytes(ConnectionId to) const = 0;
};

}  // namespace pitbox
