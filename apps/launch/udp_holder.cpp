#include "apps/launch/udp_holder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

namespace pitbox {
namespace {

Status failure(const char* step) {
  return {Code::kFatal, std::string(step) + ": " + std::strerror(errno)};
}

}  // namespace

Result<UdpHolder> UdpHolder::bind(std::uint16_t port, std::size_t buffer_bytes) {
  UdpHolder holder;
  holder.descriptor_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (holder.descriptor_ < 0) return failure("socket");
  // The kernel doubles what it is asked for, to account for its own bookkeeping.
  const int wanted =
      static_cast<int>(std::min<std::size_t>(buffer_bytes, std::numeric_limits<int>::max() / 2));
  if (setsockopt(holder.descriptor_, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0 &&
      setsockopt(holder.descriptor_, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted) != 0) {
    return failure("set the receive buffer");
  }
  int given = 0;
  socklen_t given_size = sizeof given;
  getsockopt(holder.descriptor_, SOL_SOCKET, SO_RCVBUF, &given, &given_size);
  holder.buffer_bytes_ = static_cast<std::size_t>(given);

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(holder.descriptor_, generic, sizeof address) != 0) return failure("bind");
  socklen_t address_size = sizeof address;
  if (getsockname(holder.descriptor_, generic, &address_size) != 0) return failure("getsockname");
  holder.port_ = ntohs(address.sin_port);
  return holder;
}

UdpHolder::UdpHolder(UdpHolder&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      port_(other.port_),
      buffer_bytes_(other.buffer_bytes_) {}

UdpHolder& UdpHolder::operator=(UdpHolder&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(port_, other.port_);
  std::swap(buffer_bytes_, other.buffer_bytes_);
  return *this;
}

UdpHolder::~UdpHolder() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<std::string> UdpHolder::table_column(std::size_t column) const {
  struct stat info {};
  if (fstat(descriptor_, &info) != 0) return failure("fstat");
  std::ifstream table("/proc/net/udp");
  std::string line;
  std::getline(table, line);  // Column names.
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::vector<std::string> columns;
    for (std::string word; words >> word;) columns.push_back(word);
    // sl local rem st tx:rx tr:when retrnsmt uid timeout inode ref pointer drops
    if (columns.size() < 13 || columns[9] != std::to_string(info.st_ino)) continue;
    return columns[column];
  }
  return Status(Code::kFatal, "the socket is not in /proc/net/udp");
}

Result<std::uint64_t> UdpHolder::kernel_drops() const {
  const auto drops = table_column(12);
  if (!drops.ok()) return drops.status();
  return static_cast<std::uint64_t>(std::stoull(drops.value()));
}

Result<std::uint64_t> UdpHolder::queued_bytes() const {
  const auto queues = table_column(4);
  if (!queues.ok()) return queues.status();
  const auto colon = queues.value().find(':');
  return static_cast<std::uint64_t>(std::stoull(queues.value().substr(colon + 1), nullptr, 16));
}

}  // namespace pitbox
