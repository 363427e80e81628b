// ListeningSocket: a socket that hears, made here or inherited, and the questions a source has for
// the kernel about it. Plain system calls: no thread of its own, nothing blocks.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "ingest/source.h"
#include "proto/status.h"

namespace pitbox {

class ListeningSocket {
 public:
  // Binds, and for TCP listens; or adopts options.inherited_socket, which must be of the kind.
  // Non-blocking and close-on-exec either way. kRejected for an address that is none, or taken.
  static Result<ListeningSocket> open(const SourceOptions& options);
  // What open() says of the address alone, without a socket.
  static Status check_address(const SourceOptions& options);
  ListeningSocket(ListeningSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int get() const { return descriptor_; }
  // Gives the descriptor away.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  explicit ListeningSocket(int descriptor) : descriptor_(descriptor) {}
  Status bind_to(const SourceOptions& options);
  Status check_adopted(SourceKind kind) const;

  int descriptor_ = -1;
};

// "address:port", an IPv6 address in brackets.
std::string endpoint_text(int socket);
std::uint16_t bound_port(int socket);
// Unique within a boot.
std::uint64_t socket_cookie(int socket);
// Never shrinks it. Returns what the kernel granted, in the bytes that were asked for (it doubles
// them for its own use).
std::size_t grow_receive_buffer(int socket, std::size_t bytes);
// Asks for kernel stamps and drop counts with each datagram.
Status enable_datagram_reports(int socket);
// Whether the kernel may hand over runs of datagrams of one sender as one (UDP_GRO), where it can.
// Said either way: a socket that was handed over may have it on.
void take_runs(int socket, bool wanted);
// The drop count now, without waiting for the next datagram to tell it.
std::uint32_t kernel_drops_of(int socket);

}  // namespace pitbox
