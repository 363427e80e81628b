// RoomClient: the RoomTransport over WebSockets. The one door of this module to libwebsockets.
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

#include "proto/status.h"
#include "sync/room_transport.h"

namespace pitbox {

class RoomClient final : public RoomTransport {
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
  // kFatal if the library cannot start; kRejected if the CA file cannot be read.
  static Result<std::unique_ptr<RoomClient>> create(const Options& options);
  ~RoomClient() override;
  RoomClient(const RoomClient&) = delete;
  RoomClient& operator=(const RoomClient&) = delete;

  Id connect(const Target& target, RoomHandler& handler) override;
  void request_send(Id id) override;
  void ping(Id id) override;
  void close(Id id, std::uint16_t code, const std::string& text) override;
  void kill(Id id, LinkReason reason, const std::string& text) override;
  void service(std::chrono::nanoseconds wait_max) override;
  void wake() override;
  std::size_t connections() const override;
  std::chrono::nanoseconds round_trip(Id id) const override;
  std::uint64_t bytes_sent() const override;
  std::uint64_t bytes_received() const override;

 private:
  struct State;
  explicit RoomClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
