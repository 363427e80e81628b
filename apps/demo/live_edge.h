// LiveEdge: an engineer's view from the other end. Follows a room's live entries and notes how new
// the newest row is that arrived there; so "live again" is measured where it matters.
//
// Threads: its own; the questions may be asked from any one thread. A room that goes away is
// dialled again until the object goes.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "proto/uuid.h"

namespace pitbox {

class LiveEdge {
 public:
  LiveEdge(std::string room_url, Uuid session);
  ~LiveEdge();
  LiveEdge(const LiveEdge&) = delete;
  LiveEdge& operator=(const LiveEdge&) = delete;

  // Receive time (CLOCK_BOOTTIME of this machine) of the newest row that arrived; 0 if none.
  std::int64_t newest_row_ns() const { return newest_row_ns_.load(); }
  // From now on, notes when the first row heard after `moment_ns` arrives.
  void expect_after(std::int64_t moment_ns);
  // When it arrived; nothing if it has not.
  std::optional<std::int64_t> arrived_ns() const;

 private:
  void follow();
  void note(std::int64_t row_ns);

  const std::string room_url_;
  const Uuid session_;
  // Written by the follower.
  std::atomic<std::int64_t> newest_row_ns_{0};
  std::atomic<std::int64_t> arrived_ns_{0};
  // Written by the owner.
  std::atomic<std::int64_t> expected_after_ns_{INT64_MAX};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace pitbox
