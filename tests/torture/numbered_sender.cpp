#include "tests/torture/numbered_sender.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "tests/torture/numbered_records.h"

namespace pitbox {
namespace {

// A UDP socket connected to a port of loopback.
class Outlet {
 public:
  explicit Outlet(std::uint16_t port) : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    to_.sin_family = AF_INET;
    to_.sin_port = htons(port);
    to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~Outlet() { close(socket_); }
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  Status send(const std::string& datagram) const {
    const ssize_t sent = sendto(socket_, datagram.data(), datagram.size(), 0,
                                reinterpret_cast<const sockaddr*>(&to_), sizeof to_);
    if (sent == static_cast<ssize_t>(datagram.size())) return {};
    return {Code::kFatal, std::string("sendto: ") + std::strerror(errno)};
  }

 private:
  const int socket_;
  sockaddr_in to_{};
};

}  // namespace

NumberedSender::NumberedSender(const Options& options)
    : options_(options), thread_([this] { ended_ = run(); }) {}

NumberedSender::~NumberedSender() {
  static_cast<void>(stop());
}

Result<std::uint64_t> NumberedSender::stop() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
  if (!ended_.ok()) return ended_;
  return sent_.load();
}

Status NumberedSender::run() const {
  const Outlet outlet(options_.port);
  NumberedDatagrams datagrams(7);
  Status sent = outlet.send(datagrams.announcement());
  const std::chrono::nanoseconds every(kNumberedRecords * kNumberedSamples * 1'000'000'000 /
                                       options_.samples_per_second);
  auto next = std::chrono::steady_clock::now();
  while (sent.ok() && !is_stopping_) {
    sent = outlet.send(datagrams.from(sent_ + 1));
    if (sent.ok()) sent_ += kNumberedRecords;
    next += every;
    std::this_thread::sleep_until(next);
  }
  return sent;
}

}  // namespace pitbox
