// Sender: puts bytes on a network, a datagram at a time or as a stream, for `pitbox sim` and
// `pitbox feed`.
//
// send() returns kOk only once the kernel accepted all the bytes; what it could not take at once is
// tried again, for as long as `should_stop` says no. One thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

class Sender {
 public:
  // `url`: udp://HOST:PORT or tcp://HOST:PORT. kRejected if it is neither, or the name does not
  // resolve; kTryAgain if a TCP connection is refused or takes over 10 s. `should_stop` is asked
  // whenever something has to be waited for.
  static Result<std::unique_ptr<Sender>> open(const std::string& url,
                                              std::function<bool()> should_stop);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // UDP: one datagram. TCP: all of it. kTryAgain if stopped before it was accepted, kFatal if it
  // can never be (a datagram that is too long, a connection that ended).
  Status send(std::string_view bytes);

  bool is_stream() const { return is_stream_; }
  const std::string& url() const { return url_; }
  // Times the kernel reported that nobody listened for an earlier datagram.
  std::uint64_t refused() const { return refused_; }
  // Times a datagram had to be tried again for another reason.
  std::uint64_t retried() const { return retried_; }

 private:
  Sender(int socket, bool is_stream, std::string url, std::function<bool()> should_stop);
  Status send_datagram(std::string_view bytes);
  Status send_stream(std::string_view bytes);

  const int socket_;
  const bool is_stream_;
  const std::string url_;
  const std::function<bool()> should_stop_;
  std::uint64_t refused_ = 0;
  std::uint64_t retried_ = 0;
};

// Sleeps until that moment of the steady clock, or until a signal if `should_stop` then says so.
// False if stopped.
bool sleep_until_ns(std::int64_t steady_ns, const std::function<bool()>& should_stop);
std::int64_t steady_now_ns();

}  // namespace pitbox
