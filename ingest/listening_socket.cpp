#include "ingest/listening_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

namespace pitbox {
namespace {

constexpr int kBacklog = 64;  // As many as connections_max: a burst of loggers at the green light.

Status errno_status(Code code, const std::string& step) {
  return {code, step + ": " + std::generic_category().message(errno)};
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr_in& v4() const { return reinterpret_cast<const sockaddr_in&>(storage); }
  const sockaddr_in6& v6() const { return reinterpret_cast<const sockaddr_in6&>(storage); }
};

Result<SocketAddress> parse_address(const std::string& text, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    if (IN_MULTICAST(ntohl(v4.sin_addr.s_addr))) {
      return Status(Code::kRejected, text + ": multicast groups are not joined");
    }
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.length = sizeof v4;
    return address;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.length = sizeof v6;
    return address;
  }
  return Status(Code::kRejected, "\"" + text + "\": not an IPv4 or IPv6 address");
}

SocketAddress bound_address(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getsockname(socket, address.generic(), &address.length) != 0) return {};
  return address;
}

template <typename T>
T socket_option(int socket, int level, int name, T fallback) {
  T value = fallback;
  socklen_t length = sizeof value;
  return getsockopt(socket, level, name, &value, &length) == 0 ? value : fallback;
}

bool set_option(int socket, int level, int name, int value) {
  return setsockopt(socket, level, name, &value, sizeof value) == 0;
}

std::size_t granted_buffer(int socket) {
  return static_cast<std::size_t>(socket_option(socket, SOL_SOCKET, SO_RCVBUF, 0)) / 2;
}

int socket_type(SourceKind kind) {
  return kind == SourceKind::kUdp ? SOCK_DGRAM : SOCK_STREAM;
}

}  // namespace

Status ListeningSocket::check_address(const SourceOptions& options) {
  return parse_address(options.address, options.port).status();
}

Result<ListeningSocket> ListeningSocket::open(const SourceOptions& options) {
  if (options.inherited_socket >= 0) {
    ListeningSocket adopted(options.inherited_socket);
    if (Status status = adopted.check_adopted(options.kind); !status.ok()) return status;
    return adopted;
  }
  const auto address = parse_address(options.address, options.port);
  if (!address.ok()) return address.status();
  const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  ListeningSocket made(
      socket(address.value().storage.ss_family, socket_type(options.kind) | flags, 0));
  if (made.get() < 0) return errno_status(Code::kTryAgain, "socket");
  if (Status status = made.bind_to(options); !status.ok()) return status;
  return made;
}

ListeningSocket::~ListeningSocket() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status ListeningSocket::bind_to(const SourceOptions& options) {
  auto address = parse_address(options.address, options.port);
  if (!address.ok()) return address.status();
  const std::string where = options.address + ":" + std::to_string(options.port);
  // TCP: old connections in TIME_WAIT do not hold a restart up. Not for UDP, where it would let
  // another program take our datagrams.
  if (options.kind == SourceKind::kTcp) set_option(descriptor_, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.value().storage.ss_family == AF_INET6) {
    set_option(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
  if (bind(descriptor_, address.value().generic(), address.value().length) != 0) {
    return errno_status(Code::kRejected, "bind " + where);
  }
  if (options.kind == SourceKind::kTcp && listen(descriptor_, kBacklog) != 0) {
    return errno_status(Code::kRejected, "listen " + where);
  }
  return {};
}

Status ListeningSocket::check_adopted(SourceKind kind) const {
  if (socket_option(descriptor_, SOL_SOCKET, SO_TYPE, -1) != socket_type(kind)) {
    return {Code::kRejected, "the inherited socket is not of the source's kind"};
  }
  if (kind == SourceKind::kTcp && socket_option(descriptor_, SOL_SOCKET, SO_ACCEPTCONN, 0) != 1) {
    return {Code::kRejected, "the inherited socket does not listen"};
  }
  const int flags = fcntl(descriptor_, F_GETFL);
  if (flags < 0 || fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(descriptor_, F_SETFD, FD_CLOEXEC) != 0) {
    return errno_status(Code::kRejected, "inherited socket");
  }
  return {};
}

std::string endpoint_text(int socket) {
  const SocketAddress address = bound_address(socket);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &address.v4().sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(address.v4().sin_port));
  }
  if (address.storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.v6().sin6_addr, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(address.v6().sin6_port));
  }
  return "unknown";
}

std::uint16_t bound_port(int socket) {
  const SocketAddress address = bound_address(socket);
  if (address.storage.ss_family == AF_INET) return ntohs(address.v4().sin_port);
  if (address.storage.ss_family == AF_INET6) return ntohs(address.v6().sin6_port);
  return 0;
}

std::uint64_t socket_cookie(int socket) {
  return socket_option(socket, SOL_SOCKET, SO_COOKIE, std::uint64_t{0});
}

std::size_t grow_receive_buffer(int socket, std::size_t bytes) {
  const std::size_t wanted = std::min<std::size_t>(bytes, std::numeric_limits<int>::max() / 2);
  if (granted_buffer(socket) >= wanted) return granted_buffer(socket);
  // FORCE needs CAP_NET_ADMIN; without it net.core.rmem_max is the bound, which may be less than an
  // inherited socket already has from a mightier process. A socket made for it tells.
  const int value = static_cast<int>(wanted);
  if (set_option(socket, SOL_SOCKET, SO_RCVBUFFORCE, value)) return granted_buffer(socket);
  const int trial = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (trial < 0) return granted_buffer(socket);
  set_option(trial, SOL_SOCKET, SO_RCVBUF, value);
  if (granted_buffer(trial) > granted_buffer(socket)) {
    set_option(socket, SOL_SOCKET, SO_RCVBUF, value);
  }
  close(trial);
  return granted_buffer(socket);
}

Status enable_datagram_reports(int socket) {
  if (!set_option(socket, SOL_SOCKET, SO_TIMESTAMPNS, 1)) {
    return errno_status(Code::kRejected, "SO_TIMESTAMPNS");
  }
  if (!set_option(socket, SOL_SOCKET, SO_RXQ_OVFL, 1)) {
    return errno_status(Code::kRejected, "SO_RXQ_OVFL");
  }
  return {};
}

void take_runs(int socket, bool wanted) {
  set_option(socket, IPPROTO_UDP, UDP_GRO, wanted ? 1 : 0);
}

std::uint32_t kernel_drops_of(int socket) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> figures{};
  socklen_t length = sizeof figures;
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, figures.data(), &length) != 0) return 0;
  return figures[SK_MEMINFO_DROPS];
}

}  // namespace pitbox
