// RingMessages: the byte ring as messages. Writes one at a position and reads one back, from its
// start or from its end, checking every field: the bytes may come from a damaged file, and no span
// that leaves here reaches outside the mapping. Knows nothing of head, tail or threads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "buffer/receive_area.h"
#include "buffer/ring_layout.h"
#include "proto/status.h"

namespace pitbox {

class RingMessages {
 public:
  // `ring` is mapped twice: 2 * ring_bytes may be touched.
  RingMessages(std::byte* ring, std::uint64_t ring_bytes) : ring_(ring), mask_(ring_bytes - 1) {}

  std::uint64_t ring_bytes() const { return mask_ + 1; }
  std::uint64_t size_max() const { return ring_bytes() / 4; }

  // Fills in size, payload_bytes and mark. Returns the position after it. Nothing is published.
  // REQUIRES: message_size(payload.size()) <= size_max(), and that much is free at `position`.
  std::uint64_t write(std::uint64_t position, RingMessageHeader header,
                      std::span<const std::byte> payload) const;

  // The message that starts at `position` and ends at or before `end`.
  std::optional<RingMessageHeader> starting_at(std::uint64_t position, std::uint64_t end) const;
  // The message that ends at `position`.
  std::optional<RingMessageHeader> ending_at(std::uint64_t position) const;
  // REQUIRES: a header that starting_at() gave for this position.
  std::span<const std::byte> payload(std::uint64_t position,
                                     const RingMessageHeader& header) const {
    return {at(position) + sizeof(RingMessageHeader), header.payload_bytes};
  }

 private:
  std::byte* at(std::uint64_t position) const { return ring_ + (position & mask_); }

  std::byte* ring_;
  std::uint64_t mask_;
};

// What a file's messages say about its state.
struct RingSurvey {
  std::uint64_t last_number = 0;
  std::uint64_t tail_number = 0;
  std::int64_t last_receive_ns = 0;
  bool ends_with_start = false;  // The last message is kSourceStarted.
  AreaPosition next;             // What of the area is to be published next.
};
// Walks every message from tail to head. kCorrupt unless they and the area generation agree.
Result<RingSurvey> survey_ring(const RingMessages& messages, const RingFileHeader& header);

}  // namespace pitbox
