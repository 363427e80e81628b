#include "bench/peers/tcp_line.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

namespace pitbox {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
// What was sent is forgotten when it is so much; a line that is never idle would keep all of it.
constexpr std::size_t kSentMax = std::size_t{1} << 20;

std::optional<sockaddr_in> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return std::nullopt;
  }
  return address;
}

Status line_error(const char* step) {
  return {Code::kTryAgain, std::string(step) + ": " + std::strerror(errno)};
}

}  // namespace

Result<TcpLine> TcpLine::connect(const std::string& address) {
  const auto parsed = parse_address(address);
  if (!parsed) return Status(Code::kRejected, "'" + address + "' is no IPV4:PORT");
  TcpLine line(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const to = reinterpret_cast<const sockaddr*>(&*parsed);
  if (line.socket_ < 0 || ::connect(line.socket_, to, sizeof *parsed) != 0) {
    return line_error("connect").within(address);
  }
  const int yes = 1;
  ::setsockopt(line.socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return line;
}

TcpLine::TcpLine(TcpLine&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      outgoing_(std::move(other.outgoing_)),
      sent_(other.sent_),
      incoming_(std::move(other.incoming_)),
      taken_(other.taken_) {}

TcpLine& TcpLine::operator=(TcpLine&& other) noexcept {
  std::swap(socket_, other.socket_);
  outgoing_ = std::move(other.outgoing_);
  sent_ = other.sent_;
  incoming_ = std::move(other.incoming_);
  taken_ = other.taken_;
  return *this;
}

TcpLine::~TcpLine() {
  if (socket_ >= 0) ::close(socket_);
}

Status TcpLine::move(std::chrono::milliseconds patience) {
  pollfd waiting{.fd = socket_, .events = 0, .revents = 0};
  if (unsent_bytes() > 0) waiting.events |= POLLOUT;
  if (incoming().size() < kIncomingMax) waiting.events |= POLLIN;
  const int ready = ::poll(&waiting, 1, static_cast<int>(patience.count()));
  if (ready < 0 && errno != EINTR) return line_error("poll");
  if (ready <= 0) return {};
  if ((waiting.revents & POLLOUT) != 0) {
    if (Status sent = send_some(); !sent.ok()) return sent;
  }
  if ((waiting.revents & (POLLIN | POLLERR | POLLHUP)) != 0) return receive_some();
  return {};
}

Status TcpLine::send_some() {
  const ssize_t count =
      ::send(socket_, outgoing_.data() + sent_, unsent_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return line_error("send");
  if (count > 0) sent_ += static_cast<std::size_t>(count);
  if (unsent_bytes() == 0 || sent_ > kSentMax) {
    outgoing_.erase(0, sent_);
    sent_ = 0;
  }
  return {};
}

Status TcpLine::receive_some() {
  if (taken_ > 0) {
    incoming_.erase(0, taken_);
    taken_ = 0;
  }
  const std::size_t had = incoming_.size();
  incoming_.resize(had + kReadBytes);
  const ssize_t count = ::recv(socket_, incoming_.data() + had, kReadBytes, MSG_DONTWAIT);
  const int error = errno;
  incoming_.resize(had + static_cast<std::size_t>(count > 0 ? count : 0));
  if (count == 0) return {Code::kTryAgain, "the other end closed the connection"};
  errno = error;
  if (count < 0 && error != EAGAIN && error != EINTR) return line_error("receive");
  return {};
}

void TcpLine::take_off(std::size_t bytes) {
  taken_ += bytes;
}

}  // namespace pitbox
