// TcpLine: one TCP connection whose both directions move at once, so that two ends that both write
// cannot wait for each other.
//
// Threads: one. Limits: it holds kIncomingMax unread bytes, then reads no more; what is to be sent
// is as much as the caller puts in. A connection that ends or fails gives kTryAgain.

#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

class TcpLine {
 public:
  static constexpr std::size_t kIncomingMax = std::size_t{4} << 20;

  // `address`: IPV4:PORT. kRejected if it is none, kTryAgain if nobody listens there.
  static Result<TcpLine> connect(const std::string& address);

  TcpLine(TcpLine&& other) noexcept;
  TcpLine& operator=(TcpLine&& other) noexcept;
  ~TcpLine();

  // What is to be sent: append to it.
  std::string& outgoing() { return outgoing_; }
  std::size_t unsent_bytes() const { return outgoing_.size() - sent_; }
  // Sends and receives what it can; waits at most so long for the first of it.
  Status move(std::chrono::milliseconds patience);
  // What came and was not taken yet; valid until move() or take_off().
  std::string_view incoming() const { return std::string_view(incoming_).substr(taken_); }
  // Takes `bytes` off its front.
  void take_off(std::size_t bytes);

 private:
  explicit TcpLine(int socket) : socket_(socket) {}
  Status send_some();
  Status receive_some();

  int socket_ = -1;
  std::string outgoing_;
  std::size_t sent_ = 0;  // Of outgoing_.
  std::string incoming_;
  std::size_t taken_ = 0;  // Of incoming_.
};

}  // namespace pitbox
