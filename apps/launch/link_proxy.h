// LinkProxy: a TCP proxy on loopback that stands for the uplink, so that it can be cut.
//
// It may be slow, too: `bytes_per_second` in each direction of each connection, as a paddock
// uplink.
//
// While cut, bytes on open connections stop moving (nobody is told) and new connections are
// refused. When restored, open ones carry on and new ones are accepted.
//
// Threads: its own. The functions below may be called from any one thread.

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "proto/status.h"

namespace pitbox {

class LinkProxy {
 public:
  // Listens on 127.0.0.1 (any port) and forwards to 127.0.0.1:`target_port`. 0: as fast as it goes.
  static Result<std::unique_ptr<LinkProxy>> start(std::uint16_t target_port,
                                                  std::uint64_t bytes_per_second = 0);
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  std::uint16_t port() const;
  void cut();
  // Fails if the port was taken by somebody else meanwhile.
  Status restore();
  // When the far end accepted the first connection after the last restore() (CLOCK_BOOTTIME);
  // nothing if none came yet.
  std::optional<std::int64_t> first_accept_ns() const;
  std::uint64_t bytes_up() const;  // From the box to the room, since the start.
  std::uint64_t bytes_down() const;

 private:
  struct State;
  explicit LinkProxy(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
