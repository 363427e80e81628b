// ReceiveArea: the part of a ring's mapping that the kernel fills. recvmmsg(2) needs a slot before
// it knows a length, so datagrams land in fixed slots first; a slot's msg_len, preset to a value no
// length can have, says whether it was filled. The headers, control buffers and slots are all in
// the mapping, so what was filled is known after a kill. Pointers among them are rebuilt when a
// process attaches and never followed before; every other field is checked when it is read.
//
// Threads: the producer's. The protocol of its stores: docs/ring.md.

#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "buffer/ring_layout.h"
#include "proto/status.h"

namespace pitbox {

// Where publishing goes on: this segment of this slot is the next.
struct AreaPosition {
  std::size_t slot = 0;
  std::size_t segment = 0;
};

// What the kernel put into a slot. `bytes` stays valid until refill().
struct ReceivedSlot {
  std::span<const std::byte> bytes;
  bool is_truncated = false;
  std::uint32_t kernel_drops = 0;          // 0 if the kernel said nothing.
  std::optional<std::int64_t> stamp_ns{};  // CLOCK_REALTIME
  std::size_t segment_bytes = 0;           // All segments but the last; 0 if there is one only.

  std::size_t segments() const;  // At least 1.
  std::span<const std::byte> segment(std::size_t index) const;
};

class ReceiveArea {
 public:
  // `base` is the start of the mapping; both outlive the area.
  ReceiveArea(std::byte* base, RingFileHeader* header, const RingGeometry& geometry);

  // A new file: every slot empty, pointers in place.
  void initialise();
  // kCorrupt unless what is filled from `next` on could have been left by a receive call and takes
  // at most `free_bytes` in the ring.
  Status check(AreaPosition next, std::uint64_t free_bytes) const;
  // Pointers for this process; leaves what was received alone.
  void rebuild_pointers();

  // One recvmmsg(2) without waiting. Returns the number of filled slots, or -errno.
  int receive(int socket, std::uint64_t connection);
  bool is_filled(std::size_t slot) const { return slot_length(slot) != kEmptySlot; }
  // REQUIRES: is_filled(slot).
  ReceivedSlot slot(std::size_t index) const;
  std::size_t slot_count() const { return geometry_.slot_count; }
  // Empties the first `slots` slots, then begins the next generation. REQUIRES: all published.
  void refill(std::size_t slots);

  std::uint64_t generation() const;
  std::uint64_t connection() const;

 private:
  std::uint32_t slot_length(std::size_t slot) const;
  void empty_slot(std::size_t slot);
  std::byte* control(std::size_t slot) const { return controls_ + slot * kControlBytes; }
  std::byte* payload(std::size_t slot) const { return slots_ + slot * geometry_.slot_stride(); }

  // Constant after construction.
  const RingGeometry geometry_;
  RingFileHeader* const header_;
  mmsghdr* const headers_;
  iovec* const iovecs_;
  std::byte* const controls_;
  std::byte* const slots_;
};

}  // namespace pitbox
