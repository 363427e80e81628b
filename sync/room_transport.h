// RoomTransport: connections to rooms, as the link sees them. RoomClient implements it over
// WebSockets; a test may pass in queues of its own.
//
// Threads: one (the link's) owns a transport and calls everything; wake() is for any thread.
// Callbacks come from within service(), on the same thread: on_closed() from outside the library
// (there the owner may connect, or destroy the handler); the others from inside it: there call only
// request_send(), ping() and close().

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/status.h"
#include "sync/endpoint.h"
#include "sync/room_closed.h"

namespace pitbox {

class RoomHandler {
 public:
  virtual ~RoomHandler() = default;
  virtual void on_open() = 0;
  // Not ok: the connection is closed with 4011 (protocol_error) and that text.
  virtual Status on_frame(std::string_view frame) = 0;
  virtual void on_pong() = 0;
  // Appends one frame to `out`; false if there is none now.
  virtual bool next_frame(std::string& out) = 0;
  // Once per connect(), and its last callback.
  virtual void on_closed(const RoomClosed& closed) = 0;
};

class RoomTransport {
 public:
  struct Target {
    std::string address;                                                // Numeric.
    Endpoint endpoint;                                                  // Path included.
    std::chrono::nanoseconds connect_within = std::chrono::seconds(1);  // TCP only.
  };
  using Id = std::uint64_t;  // 0 is none.

  virtual ~RoomTransport() = default;

  // `handler` must live until its on_closed(), or until the transport is gone.
  virtual Id connect(const Target& target, RoomHandler& handler) = 0;
  // The handler has something to send.
  virtual void request_send(Id id) = 0;
  virtual void ping(Id id) = 0;
  // Politely: what next_frame() still gives, a close frame, at most one second.
  virtual void close(Id id, std::uint16_t code, const std::string& text) = 0;
  // At once, for a connection nobody answers on. `reason` and `text` come back in on_closed().
  virtual void kill(Id id, LinkReason reason, const std::string& text) = 0;

  // One round of the sockets; waits at most `wait_max` for something to happen.
  virtual void service(std::chrono::nanoseconds wait_max) = 0;
  // Any thread: service() returns soon.
  virtual void wake() = 0;

  virtual std::size_t connections() const = 0;
  // The kernel's measure for an open connection; 0 if unknown.
  virtual std::chrono::nanoseconds round_trip(Id id) const = 0;
  virtual std::uint64_t bytes_sent() const = 0;
  virtual std::uint64_t bytes_received() const = 0;
};

}  // namespace pitbox
