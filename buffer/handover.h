// What crosses between the recorder and the other threads, and how.
//
// Published<T>: one writer puts a new immutable value, any thread takes the latest.
// BoundedQueue<T>: any thread puts, one takes; a full queue refuses.
// LatestSlot<T>: any thread puts, one takes; what was not taken gives way to what is put.
//
// Why a mutex in all three: they carry a few hundred small things a second at most, never samples;
// the lock is held for a pointer swap or one move, no call is made under it, and nobody holds two.
// A lock-free form would save nothing that can be measured here and cost proof.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "buffer/journal.h"
#include "proto/ranges.h"
#include "proto/uuid.h"

namespace pitbox {

template <typename T>
class Published {
 public:
  void put(T value) {
    auto next = std::make_shared<const T>(std::move(value));
    const std::lock_guard lock(mutex_);
    value_.swap(next);
  }
  // Null until the first put().
  std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  [[nodiscard]] bool try_push(T value) {
    const std::lock_guard lock(mutex_);
    if (items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    return true;
  }
  std::optional<T> try_pop() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    return value;
  }

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<T> items_;
};

template <typename T>
class LatestSlot {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  std::optional<T> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(value_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<T> value_;
};

// Recorder -> link, after every commit and every change: what there is to send.
struct FileHead {
  std::uint64_t incarnation = 0;
  std::filesystem::path file;
  std::uint64_t first = 1;  // Greater than 1 once earlier sequences were evicted.
  std::uint64_t last = 0;   // Greatest durable sequence that may be sent.
  std::uint64_t rekeyed_from = 0;
  bool sealed = false;                // Nothing more will be appended.
  RangeSet acknowledged;              // As far as the recorder has written it down...
  std::uint64_t acknowledged_by = 0;  // ...by which store of the room; 0: see Acknowledged.
  RangeSet removed;                   // Batches that were deleted here.
  RangeSet evicted;                   // What tombstones answer for: not to be sent any more.
};
struct SessionHeads {
  SessionInfo info;
  bool is_live = false;         // The one being recorded.
  bool ended = false;           // Every file is sealed for good: SessionFinished may be sent.
  std::vector<FileHead> files;  // Oldest first.
};
struct JournalHeads {
  Uuid box_id;
  std::vector<SessionHeads> sessions;  // The live one and those not completely acknowledged;
                                       // oldest first.
};

// Link -> recorder.
struct Acknowledged {
  Uuid session;
  std::uint64_t incarnation = 0;
  // True: exactly these are held in the room now (Welcome wins, what is missing is pending again).
  // False: add these.
  bool replaces = false;
  RangeSet ranges;
  // With `replaces`: which store of the room holds them, with our content. 0: not all of it was
  // compared yet (or the room's stores have no id).
  std::uint64_t store = 0;
};
// Whose word it is: where the room is reached, and the id of its store since that was last opened
// (ROOM.md, "Welcome"; 0: it has none).
struct RoomIdentity {
  std::string url;
  std::uint64_t store = 0;

  bool operator==(const RoomIdentity&) const = default;
};
struct SessionCompleted {  // The room holds everything of an ended session.
  Uuid session;
  RoomIdentity room;
};
struct RoomSeen {  // A Welcome: what this room once completed may be asked about. Only the latest
  RoomIdentity room;  // counts, and it is put before what that store completes.
};
// The room knows sequences that this file never issued (it is older than what was sent, or another
// box goes on with it), or has one of them with another content.
struct IncarnationRefused {
  Uuid session;
  std::uint64_t incarnation = 0;
  std::string reason;
  // Nothing more may be appended to it. These of its sequences, of which the room has another
  // content, go under another incarnation; everything else in it is as good as ever.
  RangeSet conflicts;
};

}  // namespace pitbox
