// UdpHolder: a bound UDP socket that outlives the daemon it is handed to, as one that a service
// manager holds would: while no daemon runs, datagrams wait in its kernel buffer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proto/status.h"

namespace pitbox {

class UdpHolder {
 public:
  // Binds 127.0.0.1:`port` (0: any) and asks for a receive buffer of `buffer_bytes`, by
  // SO_RCVBUFFORCE where that is allowed, else as much as the kernel gives.
  static Result<UdpHolder> bind(std::uint16_t port, std::size_t buffer_bytes);
  // An object without a socket.
  UdpHolder() = default;
  UdpHolder(UdpHolder&& other) noexcept;
  UdpHolder& operator=(UdpHolder&& other) noexcept;
  ~UdpHolder();

  int descriptor() const { return descriptor_; }
  std::uint16_t port() const { return port_; }
  std::string address() const { return "udp://127.0.0.1:" + std::to_string(port_); }
  // What the kernel gave, as it counts (twice the payload it holds, roughly).
  std::size_t buffer_bytes() const { return buffer_bytes_; }
  // Datagrams the kernel dropped for want of room since the socket was made, from /proc/net/udp.
  Result<std::uint64_t> kernel_drops() const;
  // Bytes that wait in its buffer now, as the kernel counts them, from /proc/net/udp.
  Result<std::uint64_t> queued_bytes() const;

 private:
  // One column of the socket's line in /proc/net/udp.
  Result<std::string> table_column(std::size_t column) const;

  int descriptor_ = -1;
  std::uint16_t port_ = 0;
  std::size_t buffer_bytes_ = 0;
};

}  // namespace pitbox
