// NumberedSender: numbered records (numbered_records.h) to a UDP port of loopback, at a steady
// rate.
//
// The definition is announced once, at the start, so that a receiver's memory of it has to survive
// whatever happens to the receiver. What sendto() accepted was sent. Sends until it is stopped or
// sendto() fails.
//
// Threads: a thread of its own sends; the functions below are for one other thread.

#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "proto/status.h"

namespace pitbox {

class NumberedSender {
 public:
  struct Options {
    std::uint16_t port = 0;
    std::uint64_t samples_per_second = 200'000;
  };
  explicit NumberedSender(const Options& options);
  ~NumberedSender();
  NumberedSender(const NumberedSender&) = delete;
  NumberedSender& operator=(const NumberedSender&) = delete;

  // Records sent so far.
  std::uint64_t sent() const { return sent_; }
  // Ends the sending: records sent, numbered from 1; or why it ended by itself before.
  Result<std::uint64_t> stop();

 private:
  Status run() const;

  const Options options_;
  mutable std::atomic<std::uint64_t> sent_{0};  // Written by the thread.
  std::atomic<bool> is_stopping_{false};        // Written by stop().
  Status ended_;                                // Of the thread; read after join().
  std::thread thread_;
};

}  // namespace pitbox
