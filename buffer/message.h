// A message: bytes as a source heard them, before anybody understood them. It is what the ring
// carries and what a decoder is given. `bytes` points into the ring and is valid until the ring's
// reader releases the position after it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pitbox {

enum class MessageKind : std::uint8_t {
  kData = 1,           // A datagram, or a piece of a stream.
  kStreamClosed = 2,   // The connection `connection` ended; no bytes.
  kSourceStarted = 3,  // A process took the source over: every earlier stream connection is dead.
};

struct Message {
  MessageKind kind = MessageKind::kData;
  bool truncated = false;          // The datagram was longer than its slot; `bytes` is its start.
  std::uint64_t number = 0;        // Data messages of this ring count 1, 2, 3, ...; a control
                                   // message carries the number of the data message before it.
  std::uint64_t connection = 0;    // The kernel's socket cookie: of the UDP socket, or of the one
                                   // TCP connection. Unique within a boot.
  std::int64_t receive_ns = 0;     // CLOCK_BOOTTIME
  std::uint32_t kernel_drops = 0;  // SO_RXQ_OVFL of that socket so far; cumulative, wraps.
  std::uint16_t segment = 0;       // Of a run of datagrams that the kernel handed over as one.
  std::span<const std::byte> bytes;
};

}  // namespace pitbox
