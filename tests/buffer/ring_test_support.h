// A small language for the ring's tests: a file on tmpfs that goes away, sockets that outlive a
// child process, and everything a ring holds as plain values.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "buffer/ring.h"
#include "proto/uuid.h"

namespace pitbox::ring_test {

inline constexpr std::uint64_t kSocket = 7;  // A producer's number for its socket.

class Folder {
 public:
  Folder() {
    const std::filesystem::path shm = "/dev/shm";
    const auto root =
        std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
    path_ = root / ("ring-test-" + hex_id(random_id()));
    std::filesystem::create_directory(path_);
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline MessageRing::Options small_options(const std::filesystem::path& file) {
  MessageRing::Options options;
  options.file = file;
  options.ring_bytes = std::size_t{1} << 20;
  options.slot_count = 8;
  options.slot_bytes = 256;
  return options;
}

inline std::unique_ptr<MessageRing> opened(const MessageRing::Options& options) {
  auto ring = MessageRing::open(options);
  EXPECT_TRUE(ring.ok()) << ring.status().message();
  return ring.ok() ? std::move(ring).take() : nullptr;
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

struct Heard {
  MessageKind kind = MessageKind::kData;
  std::uint64_t number = 0;
  std::uint64_t connection = 0;
  std::int64_t receive_ns = 0;
  bool truncated = false;
  std::string text{};
};

// Everything from `position` on, and `position` moved past it.
inline std::vector<Heard> read_from(const MessageRing& ring, std::uint64_t& position) {
  std::vector<Heard> heard;
  for (;;) {
    const auto message = ring.read(position);
    EXPECT_TRUE(message.ok()) << message.status().message();
    if (!message.ok() || !message.value()) return heard;
    const Message& m = *message.value();
    heard.push_back({m.kind, m.number, m.connection, m.receive_ns, m.truncated,
                     std::string(reinterpret_cast<const char*>(m.bytes.data()), m.bytes.size())});
  }
}

inline std::vector<Heard> read_all(const MessageRing& ring) {
  std::uint64_t position = ring.tail();
  return read_from(ring, position);
}

// The texts of data messages; expects their numbers to be first, first + 1, ...
inline std::vector<std::string> data_texts(const std::vector<Heard>& heard,
                                           std::uint64_t first = 1) {
  std::vector<std::string> texts;
  for (const Heard& one : heard) {
    if (one.kind != MessageKind::kData) {
      EXPECT_EQ(one.number + 1, first + texts.size()) << "a control message's number";
      continue;
    }
    EXPECT_EQ(one.number, first + texts.size());
    texts.push_back(one.text);
  }
  return texts;
}

// A descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

inline sockaddr_in loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline sockaddr* generic(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

// A receiving and a connected sending UDP socket; the receiver stamps and counts drops.
struct UdpPair {
  Descriptor receiver{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  Descriptor sender{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};

  UdpPair() {
    const int on = 1;
    const int buffer = 16 << 20;
    setsockopt(receiver.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(receiver.get(), SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
      setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
    sockaddr_in address = loopback();
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(receiver.get(), generic(address), length), 0);
    EXPECT_EQ(getsockname(receiver.get(), generic(address), &length), 0);
    EXPECT_EQ(connect(sender.get(), generic(address), length), 0);
  }
  void send(const std::string& text) const {
    ASSERT_EQ(::send(sender.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
};

// Both ends of a TCP connection over loopback.
struct TcpPair {
  Descriptor receiver;
  Descriptor sender{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

  TcpPair() {
    const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback();
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener.get(), generic(address), length), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), generic(address), &length), 0);
    EXPECT_EQ(connect(sender.get(), generic(address), length), 0);
    receiver = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_GE(receiver.get(), 0);
  }
  void send(const std::string& text) const {
    ASSERT_EQ(::send(sender.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
};

// Receives until the socket has nothing more; expects no error.
inline MessageRing::Received receive_all(MessageRing& ring, int socket, std::uint64_t connection) {
  MessageRing::Received total;
  while (!total.would_block && !total.closed) {
    const auto received = ring.receive(socket, connection);
    EXPECT_TRUE(received.ok()) << received.status().message();
    if (!received.ok()) break;
    total.messages += received.value().messages;
    total.truncated += received.value().truncated;
    total.kernel_drops = received.value().kernel_drops;
    total.would_block = received.value().would_block;
    total.closed = received.value().closed;
  }
  return total;
}

}  // namespace pitbox::ring_test
