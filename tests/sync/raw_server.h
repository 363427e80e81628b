// A TCP listener on loopback that does what it is told and nothing more: accepts or not, answers
// with any bytes, upgrades to a WebSocket, sends raw frames, closes in the middle. Non-blocking and
// driven from the test's own loop, so that a test is one thread.

#pragma once

#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

#include "proto/check.h"

namespace pitbox::testing {

class RawServer {
 public:
  explicit RawServer(int backlog = 16) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    CHECK(bind(listener_, raw, sizeof(address)) == 0);
    CHECK(listen(listener_, backlog) == 0);
    socklen_t size = sizeof(address);
    CHECK(getsockname(listener_, raw, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~RawServer() {
    hang_up();
    stop_listening();
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const { return port_; }
  void stop_listening() {
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
  }
  // Takes what is there: a connection, bytes. `heard` grows.
  void poll() {
    if (peer_ < 0 && listener_ >= 0) {
      peer_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (peer_ >= 0) ++accepted;
    }
    if (peer_ < 0) return;
    std::array<char, 65536> bytes{};
    for (;;) {
      const ssize_t count = recv(peer_, bytes.data(), bytes.size(), 0);
      if (count <= 0) break;
      heard.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }
  bool has_request() const { return heard.find("\r\n\r\n") != std::string::npos; }
  std::string header(const std::string& name) const {
    const std::size_t at = heard.find(name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 2;
    return heard.substr(from, heard.find("\r\n", from) - from);
  }
  void say(const std::string& bytes) {
    CHECK(send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
  }
  // As much as the kernel takes; nothing if the other end is gone.
  void say_some(const std::string& bytes) {
    static_cast<void>(send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  // The other end reads all that was said, then the end. Closing at once with something unread
  // would be a reset, which throws away what the other end has not read yet.
  void say_no_more() { shutdown(peer_, SHUT_WR); }
  void hang_up() {
    if (peer_ >= 0) close(peer_);
    peer_ = -1;
  }
  // Answers the request in `heard` with 101, and forgets it.
  void upgrade() {
    const std::string text = header("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, 20> digest{};
    lws_SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::array<char, 64> base64{};
    lws_b64_encode_string(reinterpret_cast<const char*>(digest.data()), 20, base64.data(), 64);
    say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        std::string(base64.data()) + "\r\nSec-WebSocket-Protocol: pitbox.room.v1\r\n\r\n");
    heard.clear();
  }
  // A frame as a server sends it. `length`: what its header claims; 0: the truth.
  static std::string frame(int opcode, const std::string& payload, std::uint64_t length = 0) {
    if (length == 0) length = payload.size();
    std::string out(1, static_cast<char>(0x80 | opcode));
    const int size = length < 126 ? 0 : length < 65536 ? 2 : 8;
    out += static_cast<char>(size == 0 ? length : size == 2 ? 126 : 127);
    for (int i = size - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
    return out + payload;
  }
  // Takes one whole masked frame off `heard`; false if there is none yet.
  bool next_frame(int& opcode, std::string& payload) {
    if (heard.size() < 2) return false;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(heard[i]); };
    std::uint64_t length = byte(1) & 0x7FU;
    std::size_t at = 2;
    const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (heard.size() < at + more + 4) return false;
    if (more != 0) length = 0;
    for (std::size_t i = 0; i < more; ++i) length = (length << 8) | byte(at++);
    const std::size_t mask = at;
    at += 4;
    if (heard.size() < at + length) return false;
    opcode = byte(0) & 0x0F;
    payload.clear();
    for (std::size_t i = 0; i < length; ++i) {
      payload += static_cast<char>(byte(at + i) ^ byte(mask + i % 4));
    }
    heard.erase(0, at + length);
    return true;
  }

  std::string heard;
  int accepted = 0;

 private:
  int listener_ = -1;
  int peer_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace pitbox::testing
