#include "apps/sim/sender.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

namespace pitbox {
namespace {

constexpr int kConnectTimeoutMs = 10'000;
constexpr int kRetryMs = 5;
constexpr int kSendBufferBytes = 4 << 20;  // A tick of 20 cars at full rate is about 100 KiB.
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::string text_of(int error) {
  return std::generic_category().message(error);
}

struct Target {
  bool is_stream = false;
  std::string host;
  std::string port;
};

std::optional<Target> parse(const std::string& url) {
  Target target;
  const std::string scheme = url.substr(0, 6);
  if (scheme != "udp://" && scheme != "tcp://") return std::nullopt;
  target.is_stream = scheme == "tcp://";
  const std::string rest = url.substr(6);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size()) return std::nullopt;
  target.host = rest.substr(0, colon);
  target.port = rest.substr(colon + 1);
  if (target.port.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  if (target.port.size() > 5 || std::stoul(target.port) - 1 > 65534) return std::nullopt;
  if (target.host.size() > 2 && target.host.front() == '[' && target.host.back() == ']') {
    target.host = target.host.substr(1, target.host.size() - 2);
  }
  return target;
}

// A connected, non-blocking socket, or -1 with the reason in `error`.
int connect_to(const addrinfo& address, int& error) {
  const int type = address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const int socket = ::socket(address.ai_family, type, address.ai_protocol);
  if (socket < 0) {
    error = errno;
    return -1;
  }
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
  error = ::connect(socket, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{.fd = socket, .events = POLLOUT, .revents = 0};
    socklen_t size = sizeof error;
    error = ETIMEDOUT;
    if (::poll(&wait, 1, kConnectTimeoutMs) == 1) {
      ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error == 0) return socket;
  ::close(socket);
  return -1;
}

void wait_writable(int socket) {
  pollfd wait{.fd = socket, .events = POLLOUT, .revents = 0};
  ::poll(&wait, 1, kRetryMs);
}

}  // namespace

Result<std::unique_ptr<Sender>> Sender::open(const std::string& url,
                                             std::function<bool()> should_stop) {
  const auto target = parse(url);
  if (!target) {
    return Status(Code::kRejected,
                  "'" + url + "' is no destination: give udp://HOST:PORT or tcp://HOST:PORT");
  }
  addrinfo hints{};
  hints.ai_socktype = target->is_stream ? SOCK_STREAM : SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(target->host.c_str(), target->port.c_str(), &hints, &found);
  if (failure != 0) {
    return Status(Code::kRejected,
                  "cannot resolve '" + target->host + "': " + gai_strerror(failure));
  }
  int socket = -1;
  int error = 0;
  for (const addrinfo* address = found; address != nullptr && socket < 0;
       address = address->ai_next) {
    socket = connect_to(*address, error);
  }
  ::freeaddrinfo(found);
  if (socket < 0) {
    return Status(Code::kTryAgain, "cannot connect to " + url + ": " + text_of(error));
  }
  return std::unique_ptr<Sender>(
      new Sender(socket, target->is_stream, url, std::move(should_stop)));
}

Sender::Sender(int socket, bool is_stream, std::string url, std::function<bool()> should_stop)
    : socket_(socket),
      is_stream_(is_stream),
      url_(std::move(url)),
      should_stop_(std::move(should_stop)) {}

Sender::~Sender() {
  ::close(socket_);
}

Status Sender::send(std::string_view bytes) {
  return is_stream_ ? send_stream(bytes) : send_datagram(bytes);
}

// ECONNREFUSED tells of an earlier datagram that reached nobody; this one was not sent by that
// call. A network that is down may come back, so those errors wait too.
Status Sender::send_datagram(std::string_view bytes) {
  while (true) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    const int error = sent < 0 ? errno : EMSGSIZE;
    if (error == EMSGSIZE || error == EBADF || error == EINVAL) {
      return {Code::kFatal, "send to " + url_ + ": " + text_of(error)};
    }
    if (error == EINTR) continue;
    if (should_stop_ && should_stop_()) return {Code::kTryAgain, "stopped"};
    if (error == ECONNREFUSED) {
      ++refused_;
      continue;
    }
    ++retried_;
    if (error == EAGAIN || error == EWOULDBLOCK) {
      wait_writable(socket_);
    } else {
      ::poll(nullptr, 0, kRetryMs);
    }
  }
}

Status Sender::send_stream(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      return {Code::kFatal, "the connection to " + url_ + " ended: " + text_of(errno)};
    }
    if (should_stop_ && should_stop_()) return {Code::kTryAgain, "stopped"};
    wait_writable(socket_);
  }
  return {};
}

std::int64_t steady_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

bool sleep_until_ns(std::int64_t steady_ns, const std::function<bool()>& should_stop) {
  timespec until{};
  until.tv_sec = static_cast<std::time_t>(steady_ns / kNsPerSecond);
  until.tv_nsec = static_cast<long>(steady_ns % kNsPerSecond);
  while (!should_stop()) {
    if (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != EINTR) return true;
  }
  return false;
}

}  // namespace pitbox
