// RoomClient: WebSocket connections to rooms. The one door of this module to libwebsockets.
//
// Threads: one (the link's) owns a client and calls everything; wake() is for any thread.
// Callbacks come from within service(), on the same thread: on_closed() from outside the library
// (there the owner may connect, or destroy the handler); the others from inside it: there call only
// request_send(), ping() and close().
//
// What fails is said by one on_closed() per connect(), whatever way the library chose to fail: a
// callback, a NULL, or silence until our deadline. Its reason follows from what was observed (HTTP
// status, close code, TCP state, our own clock), never from the library's texts.
//
// Limits: kMaxConnections connections; frames of at most 1 MiB in (greater ones close with 1009)
// and out. One frame is asked for per time the socket takes one, so nothing is queued here;
// TCP_NOTSENT_LOWAT keeps the kernel's unsent bytes under 16 KiB.
//
// Two clients alive at one time cost the certificate store of one of them when they go (0.7 MB;
// libwebsockets 4.1.6). A daemon has one.
//
// Names are never resolved here: the library would block on it. The caller passes an address, and
// the name goes into Host and SNI.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "buffer/clock.h"
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
  virtual void on_closed(const RoomClosed& closed) = 0;
};

class RoomClient {
 public:
  static constexpr std::size_t kMaxConnections = 8;
  struct Options {
    std::string api_key;  // X-API-Key
    std::string bearer;   // Authorization: Bearer; used if there is no api_key.
    std::string ca_file;  // PEM; empty for the system's.
    // False: no certificates are loaded (0.7 MB, some ms), and only ws:// can be dialled.
    bool tls = true;
    std::string software = "pitbox";
    // From TCP being connected to being open: TLS and upgrade.
    std::chrono::nanoseconds handshake_within = std::chrono::seconds(5);
  };
  struct Target {
    std::string address;                                                // Numeric.
    Endpoint endpoint;                                                  // Path included.
    std::chrono::nanoseconds connect_within = std::chrono::seconds(1);  // TCP only.
  };
  using Id = std::uint64_t;  // 0 is none.

  // kFatal if the library cannot start; kRejected if the CA file cannot be read.
  static Result<std::unique_ptr<RoomClient>> create(const Options& options);
  ~RoomClient();
  RoomClient(const RoomClient&) = delete;
  RoomClient& operator=(const RoomClient&) = delete;

  // `handler` must live until its on_closed(), or until the client is gone.
  Id connect(const Target& target, RoomHandler& handler);
  // The handler has something to send.
  void request_send(Id id);
  void ping(Id id);
  // Politely: what next_frame() still gives, a close frame, at most one second.
  void close(Id id, std::uint16_t code, const std::string& text);
  // At once, for a connection nobody answers on. `reason` and `text` come back in on_closed().
  void kill(Id id, LinkReason reason, const std::string& text);

  // One round of the sockets; waits at most `wait_max` for something to happen.
  void service(std::chrono::nanoseconds wait_max);
  // Any thread: service() returns soon.
  void wake();

  std::size_t connections() const;
  // The kernel's measure for an open connection; 0 if unknown.
  std::chrono::nanoseconds round_trip(Id id) const;
  std::uint64_t bytes_sent() const;
  std::uint64_t bytes_received() const;

 private:
  struct State;
  explicit RoomClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
