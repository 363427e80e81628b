#include "apps/bench/load_sender.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "buffer/file_sync.h"

namespace pitbox {
namespace {

using std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(1);
// A GSO send is at most 64 KiB; one message of sendmmsg is one datagram.
constexpr std::size_t kSegments = 44;
constexpr std::size_t kMessages = 64;
// A receiver that begins to listen has two milliseconds for so many announcements.
constexpr std::size_t kAnnouncedAtOnce = 20;

std::optional<sockaddr_in> parse(std::string_view url) {
  constexpr std::string_view kScheme = "udp://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  const std::string_view digits = url.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  address.sin_port = htons(port);
  const std::string host(url.substr(0, colon));
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return std::nullopt;
  return address;
}

class Socket {
 public:
  explicit Socket(int raw) : raw_(raw) {}
  ~Socket() {
    if (raw_ >= 0) ::close(raw_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int raw() const { return raw_; }

 private:
  const int raw_;
};

// Sends `count` datagrams of the load with one call for up to `kMessages` of them.
class Burst {
 public:
  Burst(int socket, bool with_gso) : socket_(socket), with_gso_(with_gso) {}

  Status send(Load& load, std::size_t count) {
    while (count > 0) {
      const std::size_t part = std::min(count, with_gso_ ? kSegments : kMessages);
      for (std::size_t i = 0; i < part; ++i) {
        const auto datagram = load.next();
        vectors_.at(i) = {.iov_base = const_cast<char*>(datagram.data()),
                          .iov_len = datagram.size()};
      }
      Status sent = with_gso_ ? send_cut(part) : send_each(part);
      if (!sent.ok()) return sent;
      count -= part;
    }
    return {};
  }

 private:
  Status send_cut(std::size_t part) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr message{};
    message.msg_iov = vectors_.data();
    message.msg_iovlen = part;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    constexpr std::uint16_t kSize = Load::kDatagramBytes;
    std::copy_n(reinterpret_cast<const char*>(&kSize), sizeof kSize,
                reinterpret_cast<char*>(CMSG_DATA(header)));
    while (::sendmsg(socket_, &message, 0) < 0) {
      if (errno != EINTR && errno != ENOBUFS) return system_error("send");
    }
    return {};
  }

  Status send_each(std::size_t part) {
    for (std::size_t i = 0; i < part; ++i) {
      messages_.at(i) = {};
      messages_.at(i).msg_hdr.msg_iov = &vectors_.at(i);
      messages_.at(i).msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t done = 0; done < part;) {
      const int sent =
          ::sendmmsg(socket_, &messages_.at(done), static_cast<unsigned>(part - done), 0);
      if (sent > 0) {
        done += static_cast<std::size_t>(sent);
      } else if (errno != EINTR && errno != ENOBUFS) {
        return system_error("send");
      }
    }
    return {};
  }

  const int socket_;
  const bool with_gso_;
  std::array<iovec, kMessages> vectors_{};
  std::array<mmsghdr, kMessages> messages_{};
};

Status announce(int socket, const Load& load) {
  std::size_t sent = 0;
  for (const std::string& announcement : load.announcements()) {
    if (::send(socket, announcement.data(), announcement.size(), 0) < 0) {
      return system_error("send");
    }
    if (++sent % kAnnouncedAtOnce == 0) std::this_thread::sleep_for(2 * kTick);
  }
  return {};
}

}  // namespace

Result<LoadSent> send_load(const std::string& url, Load& load, const LoadPace& pace,
                           const std::function<bool()>& should_stop) {
  const auto address = parse(url);
  if (!address) {
    return Status(Code::kRejected, "'" + url + "' is no destination: give udp://ADDRESS:PORT");
  }
  const Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto* const to = reinterpret_cast<const sockaddr*>(&*address);
  if (socket.raw() < 0 || ::connect(socket.raw(), to, sizeof *address) != 0) {
    return system_error("connect to " + url);
  }
  if (Status announced = announce(socket.raw(), load); !announced.ok()) return announced;

  Burst burst(socket.raw(), pace.with_gso);
  const double speed = pace.samples_per_second / load.samples_per_second();
  const auto began = steady_clock::now();
  const auto ends = began + std::chrono::duration_cast<steady_clock::duration>(
                                std::chrono::duration<double>(pace.seconds));
  LoadSent sent{.first_ns = std::chrono::nanoseconds(began.time_since_epoch()).count()};
  auto now = began;
  std::size_t index = 0;  // Of the next datagram in its loop...
  std::int64_t loop = 0;  // ...and which that is.
  while (now < ends && !should_stop()) {
    std::size_t count = 0;
    if (speed == 0) {
      count = pace.room ? std::min(kMessages, pace.room()) : kMessages;
      if (count == 0) std::this_thread::sleep_for(kTick / 4);
    } else {
      const double cars_ns = std::chrono::duration<double, std::nano>(now - began).count() * speed;
      const auto moment = [&] {
        return static_cast<double>(loop * Load::kLoopNs + load.due_ns(index));
      };
      if (moment() <= cars_ns) {
        sent.late_ms = std::max(sent.late_ms, (cars_ns - moment()) / speed / 1e6);
      }
      for (; moment() <= cars_ns; ++count) {
        if (++index == load.size()) {
          index = 0;
          ++loop;
        }
      }
    }
    if (Status status = burst.send(load, count); !status.ok()) return std::move(status).within(url);
    sent.datagrams += count;
    if (pace.on_sent) pace.on_sent(sent.datagrams);
    if (speed != 0) std::this_thread::sleep_until(now + kTick);
    now = steady_clock::now();
  }
  sent.seconds = std::chrono::duration<double>(now - began).count();
  return sent;
}

}  // namespace pitbox
