// LatencyReader: a subscriber of a room that notes, for every row that arrives, how old its receive
// stamp is: from the kernel having the datagram until the decoded row is there, durable at both
// ends.
//
// Threads: one of its own, between construction and stop().

#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "proto/uuid.h"
#include "sync/room_reader.h"

namespace pitbox {

class Latencies {
 public:
  Latencies() = default;
  explicit Latencies(std::vector<std::int64_t> ages_us);

  std::size_t rows() const { return ages_us_.size(); }
  // The age that the share 0..1 of the rows did not exceed. REQUIRES: rows() > 0.
  double at_ms(double share) const;

 private:
  std::vector<std::int64_t> ages_us_;  // Sorted.
};

class LatencyReader {
 public:
  // Rows received before `since_ns` (CLOCK_BOOTTIME) are not counted.
  LatencyReader(std::string url, const Uuid& session, std::int64_t since_ns = 0);
  ~LatencyReader();
  LatencyReader(const LatencyReader&) = delete;
  LatencyReader& operator=(const LatencyReader&) = delete;

  Latencies stop();

 private:
  void follow(const std::string& url, const Uuid& session);
  void note(const DownloadedEntry& entry);

  const std::int64_t since_ns_;
  std::vector<std::int64_t> ages_us_;  // Of the thread; read after join().
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace pitbox
