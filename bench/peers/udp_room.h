// UdpRoom: for how many more datagrams the kernel buffer of a receiver on this machine has room, so
// that a generator can send as fast as they are taken without losing one: UDP itself tells it
// nothing. From /proc/net/udp, read once for so many datagrams as there was room for.
//
// Threads: one.

#pragma once

#include <cstddef>
#include <cstdint>

namespace pitbox {

class UdpRoom {
 public:
  // `port`: of the receiver, on 127.0.0.1. `buffer_bytes`: how much may wait there, as the kernel
  // counts.
  UdpRoom(std::uint16_t port, std::size_t buffer_bytes)
      : port_(port), buffer_bytes_(buffer_bytes) {}

  // Asked before each send of at most `most` datagrams: how many of them may go.
  std::size_t take(std::size_t most);

 private:
  // As the kernel counts them; all of it if there is no such socket.
  std::size_t waiting_bytes() const;

  const std::uint16_t port_;
  const std::size_t buffer_bytes_;
  std::size_t left_ = 0;  // Of what was found at the last look.
};

}  // namespace pitbox
