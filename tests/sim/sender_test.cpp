// What send() calls accepted was accepted by the kernel; everything else is tried again or refused.

#include "apps/sim/sender.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace pitbox {
namespace {

// A bound loopback socket and its port.
class Bound {
 public:
  explicit Bound(int type) : socket_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(socket_, 1), 0);
    }
  }
  ~Bound() { close(); }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  std::string port() const { return std::to_string(port_); }
  int socket() const { return socket_; }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

std::string received(int socket) {
  pollfd wait{.fd = socket, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
  std::array<char, 65536> bytes{};
  const ssize_t size = ::recv(socket, bytes.data(), bytes.size(), 0);
  return size < 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(size));
}

bool never() {
  return false;
}

TEST(Sender, SendsADatagramAtATime) {
  const Bound bound(SOCK_DGRAM);
  auto sender = Sender::open("udp://127.0.0.1:" + bound.port(), never);
  ASSERT_TRUE(sender.ok()) << sender.status().message();
  EXPECT_FALSE(sender.value()->is_stream());
  ASSERT_TRUE(sender.value()->send("one").ok());
  ASSERT_TRUE(sender.value()->send("two").ok());
  EXPECT_EQ(received(bound.socket()), "one");
  EXPECT_EQ(received(bound.socket()), "two");
  EXPECT_EQ(sender.value()->refused(), 0U);
}

TEST(Sender, SendsAgainWhatTheNewsOfAnEarlierRefusalKeptBack) {
  Bound bound(SOCK_DGRAM);
  auto sender = Sender::open("udp://127.0.0.1:" + bound.port(), never);
  ASSERT_TRUE(sender.ok());
  bound.close();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(sender.value()->send("x").ok());
  EXPECT_GT(sender.value()->refused(), 0U);
}

TEST(Sender, RefusesADatagramThatCanNeverBeSent) {
  const Bound bound(SOCK_DGRAM);
  auto sender = Sender::open("udp://127.0.0.1:" + bound.port(), never);
  ASSERT_TRUE(sender.ok());
  EXPECT_EQ(sender.value()->send(std::string(70'000, 'x')).code(), Code::kFatal);
}

TEST(Sender, StreamsBytes) {
  const Bound bound(SOCK_STREAM);
  auto sender = Sender::open("tcp://127.0.0.1:" + bound.port(), never);
  ASSERT_TRUE(sender.ok()) << sender.status().message();
  EXPECT_TRUE(sender.value()->is_stream());
  const int connection = ::accept(bound.socket(), nullptr, nullptr);
  ASSERT_GE(connection, 0);
  ASSERT_TRUE(sender.value()->send("hello").ok());
  EXPECT_EQ(received(connection), "hello");
  ::close(connection);
}

TEST(Sender, StopsWhenNobodyReadsAndItIsToldTo) {
  const Bound bound(SOCK_STREAM);
  int asked = 0;
  auto sender = Sender::open("tcp://127.0.0.1:" + bound.port(), [&] { return ++asked > 3; });
  ASSERT_TRUE(sender.ok());
  Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = sender.value()->send(std::string(1 << 20, 'x'));
  }
  EXPECT_EQ(status.code(), Code::kTryAgain);
  EXPECT_EQ(asked, 4);
}

TEST(Sender, SaysWhyItCannotConnect) {
  std::string port;
  {
    const Bound bound(SOCK_STREAM);
    port = bound.port();
  }
  const auto refused = Sender::open("tcp://127.0.0.1:" + port, never);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kTryAgain);
  EXPECT_NE(refused.status().message().find(port), std::string::npos);
}

TEST(Sender, RefusesWhatIsNoDestination) {
  for (const char* url : {"", "127.0.0.1:9", "http://a:1", "udp://", "udp://host",
                          "udp://host:", "udp://:9", "udp://127.0.0.1:0", "udp://127.0.0.1:65536",
                          "udp://127.0.0.1:-1", "udp://127.0.0.1:9x", "udp://127.0.0.1:999999"}) {
    const auto refused = Sender::open(url, never);
    ASSERT_FALSE(refused.ok()) << url;
    EXPECT_EQ(refused.status().code(), Code::kRejected) << url;
  }
}

}  // namespace
}  // namespace pitbox
