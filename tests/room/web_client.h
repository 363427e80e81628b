// A WebSocket and HTTP client of plain sockets for tests: it can also say what no library would let
// it say. Every wait has a deadline.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proto/frames.h"

namespace pitbox::testing {

class Socket {
 public:
  explicit Socket(int port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Or a small frame behind another would wait for the kernel's delayed acknowledgement.
    const int yes = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    is_open_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool is_open() const { return is_open_; }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // More bytes at the end of `in`; false at the end of the stream or after `limit`.
  bool read(std::string& in, std::chrono::milliseconds limit) {
    pollfd ready{descriptor_, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) return false;
    char buffer[65536];
    const ssize_t count = ::recv(descriptor_, buffer, sizeof(buffer), 0);
    if (count <= 0) return false;
    in.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

 private:
  int descriptor_;
  bool is_open_ = false;
};

inline constexpr std::chrono::milliseconds kPatience{10'000};

struct HttpReply {
  int status = 0;
  std::string head;
  std::string body;
};

// `headers`: lines, each ended by \r\n.
inline HttpReply http(int port, const std::string& method, const std::string& path,
                      const std::string& headers = {}, const std::string& host = {}) {
  Socket socket(port);
  const std::string name = host.empty() ? "127.0.0.1:" + std::to_string(port) : host;
  socket.write(method + " " + path + " HTTP/1.1\r\nHost: " + name + "\r\n" + headers + "\r\n");
  std::string in;
  std::size_t end = std::string::npos;
  while ((end = in.find("\r\n\r\n")) == std::string::npos && socket.read(in, kPatience)) {
  }
  HttpReply reply;
  if (end == std::string::npos) return reply;
  reply.head = in.substr(0, end);
  reply.status = std::stoi(reply.head.substr(9, 3));
  const std::size_t at = reply.head.find("Content-Length: ");
  const std::size_t length = at == std::string::npos ? 0 : std::stoul(reply.head.substr(at + 16));
  while (in.size() < end + 4 + length && socket.read(in, kPatience)) {
  }
  reply.body = in.substr(end + 4);
  return reply;
}

class WebClient {
 public:
  // The handshake's status is status(); 101 is a WebSocket.
  WebClient(int port, const std::string& path, std::string_view protocol,
            const std::string& headers = {})
      : socket_(port) {
    socket_.write("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " +
                  std::string(protocol) + "\r\n" + headers + "\r\n");
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos && socket_.read(in_, kPatience)) {
    }
    if (end == std::string::npos) return;
    head_ = in_.substr(0, end);
    status_ = std::stoi(head_.substr(9, 3));
    in_.erase(0, end + 4);
  }

  int status() const { return status_; }
  const std::string& head() const { return head_; }
  std::uint16_t close_code() const { return close_code_; }

  bool send(const words::Frame& frame) { return send_raw(0x2, serialise(frame)); }
  // One masked frame. `is_final` false: more of the message follows with opcode 0.
  bool send_raw(int opcode, std::string_view payload, bool is_final = true) {
    std::string out;
    out.push_back(static_cast<char>((is_final ? 0x80 : 0) | opcode));
    if (payload.size() < 126) {
      out.push_back(static_cast<char>(0x80 | payload.size()));
    } else {
      const bool is_long = payload.size() > 0xFFFF;
      out.push_back(static_cast<char>(0x80 | (is_long ? 127 : 126)));
      for (int shift = is_long ? 56 : 8; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>(payload.size() >> shift & 0xFF));
      }
    }
    const char mask[4] = {0x11, 0x22, 0x33, 0x44};
    out.append(mask, 4);
    for (std::size_t i = 0; i < payload.size(); ++i) {
      out.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
    }
    return socket_.write(out);
  }

  // The next message; none at a close (see close_code()) or after `limit`. Answers pings.
  std::optional<std::string> next(std::chrono::milliseconds limit = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
      if (auto frame = take_frame()) {
        auto [opcode, payload] = *std::move(frame);
        if (opcode == 0x9) send_raw(0xA, payload);
        if (opcode == 0x8) {
          if (payload.size() >= 2) {
            close_code_ = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                                     static_cast<std::uint8_t>(payload[1]));
          }
          send_raw(0x8, payload.substr(0, 2));
          return {};
        }
        if (opcode == 0x1 || opcode == 0x2 || opcode == 0x0) return payload;
        continue;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !socket_.read(in_, left)) return {};
    }
  }
  // Reads until a frame of that kind came; fails the test if none does.
  words::Frame expect(words::Frame::BodyCase body) {
    while (auto message = next()) {
      auto frame = parse_frame(*message);
      EXPECT_TRUE(frame.ok()) << frame.status().message();
      if (frame.ok() && frame.value().body_case() == body) return frame.value();
    }
    ADD_FAILURE() << "no frame of kind " << body << "; closed with " << close_code_;
    return {};
  }
  // Reads to the end and gives the close code.
  std::uint16_t read_to_close() {
    while (next()) {
    }
    return close_code_;
  }

 private:
  std::optional<std::pair<int, std::string>> take_frame() {
    if (in_.size() < 2) return {};
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(in_[at]); };
    std::size_t length = byte(1) & 0x7F;
    std::size_t at = 2;
    const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (in_.size() < at + extra) return {};
    if (extra > 0) length = 0;
    for (std::size_t i = 0; i < extra; ++i) length = length << 8 | byte(at++);
    if (in_.size() < at + length) return {};
    std::pair<int, std::string> frame{byte(0) & 0x0F, in_.substr(at, length)};
    in_.erase(0, at + length);
    return frame;
  }

  Socket socket_;
  std::string in_;
  std::string head_;
  int status_ = 0;
  std::uint16_t close_code_ = 0;
};

}  // namespace pitbox::testing
