// The bytes of a ring file: header page, receive area, byte ring. The table is in docs/ring.md;
// this is the same in C++. Plain data and arithmetic; no threads.

#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "buffer/ring.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::uint64_t kRingMagic = 0x474E'4952'5842'4950;  // "PIBXRING"
inline constexpr std::uint32_t kRingLayoutVersion = 1;
inline constexpr std::size_t kRingPageBytes = 4096;  // Header page; start of the area.
inline constexpr std::size_t kRingAlignment =
    std::size_t{64} * 1024;                               // A multiple of every page size in use.
inline constexpr std::uint32_t kEmptySlot = 0xFFFF'FFFF;  // msg_len of a slot not filled.
inline constexpr std::uint16_t kNoSlot = 0xFFFF;
inline constexpr std::size_t kControlBytes = 128;  // Stamp 32, drops 24, segment size 24.
inline constexpr std::uint32_t kStreamSlotBytes = 64 * 1024;
inline constexpr std::size_t kSegmentsMax = 128;  // UDP_MAX_SEGMENTS of the kernel.
// 128 control messages: the ends of 64 connections, a start, and as many again.
inline constexpr std::uint64_t kControlReserveBytes = std::uint64_t{128} * 64;

struct RingFileHeader {
  // Constant after creation.
  std::uint64_t magic = 0;
  std::uint32_t layout_version = kRingLayoutVersion;
  std::uint32_t mmsghdr_bytes = sizeof(mmsghdr);
  std::uint64_t ring_id = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t slot_count = 0;
  std::uint32_t slot_bytes = 0;
  std::uint32_t is_stream = 0;
  std::uint32_t reserved = 0;
  std::array<char, 40> boot_id{};
  std::uint64_t check = 0;
  std::array<std::byte, 32> to_line_2{};
  // Written by the producer, read by the consumer.
  std::uint64_t head = 0;
  std::array<std::byte, 56> to_line_3{};
  // Written by the consumer, read by the producer.
  std::uint64_t tail = 0;
  std::array<std::byte, 56> to_line_4{};
  // Written by the producer.
  std::uint64_t area_generation = 0;
  std::uint64_t area_connection = 0;
};
static_assert(offsetof(RingFileHeader, ring_id) == 16 && offsetof(RingFileHeader, check) == 88);
static_assert(offsetof(RingFileHeader, head) == 128 && offsetof(RingFileHeader, tail) == 192);
static_assert(offsetof(RingFileHeader, area_generation) == 256);
static_assert(sizeof(RingFileHeader) <= kRingPageBytes);

struct RingMessageHeader {
  std::uint32_t size = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t mark = 0;
  std::uint32_t kernel_drops = 0;
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;
  std::uint16_t slot = kNoSlot;
  std::uint16_t segment = 0;
  std::uint16_t reserved = 0;
  std::uint64_t number = 0;
  std::uint64_t connection = 0;
  std::int64_t receive_ns = 0;
  std::uint64_t generation = 0;
};
static_assert(sizeof(RingMessageHeader) == 56 && offsetof(RingMessageHeader, number) == 24);

struct RingMessageTrailer {
  std::uint32_t size = 0;
  std::uint32_t mark = 0;
};
static_assert(sizeof(RingMessageTrailer) == 8);

inline constexpr std::uint8_t kMessageTruncated = 1;  // RingMessageHeader::flags
inline constexpr std::uint64_t kMessageOverhead =
    sizeof(RingMessageHeader) + sizeof(RingMessageTrailer);

constexpr std::uint32_t mark_of(std::uint64_t position) {
  return 0x4D42'5850U ^ static_cast<std::uint32_t>(position >> 3U);
}
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
constexpr std::uint64_t message_size(std::uint64_t payload_bytes) {
  return round_up(kMessageOverhead + payload_bytes, 8);
}

// The sizes a file was made with, and where things are in it.
struct RingGeometry {
  std::uint64_t ring_bytes = 0;
  std::uint32_t slot_count = 0;
  std::uint32_t slot_bytes = 0;
  bool is_stream = false;

  std::size_t slot_stride() const { return round_up(slot_bytes, 64); }
  std::size_t headers_offset() const { return kRingPageBytes; }
  std::size_t iovecs_offset() const { return headers_offset() + slot_count * sizeof(mmsghdr); }
  std::size_t controls_offset() const {
    return round_up(iovecs_offset() + slot_count * sizeof(iovec), 64);
  }
  std::size_t slots_offset() const { return controls_offset() + slot_count * kControlBytes; }
  std::size_t ring_offset() const {
    return round_up(slots_offset() + slot_count * slot_stride(), kRingAlignment);
  }
  std::size_t file_bytes() const { return ring_offset() + ring_bytes; }
  // Datagrams that one slot can be: several only where the kernel coalesces, which needs the room.
  std::size_t segments_max() const { return !is_stream && slot_bytes >= 65535 ? kSegmentsMax : 1; }
  // The most that one filling of the area can take in the ring.
  std::uint64_t full_area_bytes() const {
    return slot_count * (message_size(slot_bytes) + (segments_max() - 1) * (kMessageOverhead + 8));
  }
  // kRejected, with what is allowed, for sizes that no ring may have.
  Status check() const;

  friend bool operator==(const RingGeometry&, const RingGeometry&) = default;
};

// What the options ask for. REQUIRES: check() before use.
RingGeometry geometry_of(const MessageRing::Options& options);

// The header of a new file, complete except for the magic.
RingFileHeader new_header(const RingGeometry& geometry, std::uint64_t id, std::string_view boot_id);
// The geometry a header states. kCorrupt if it is not a header of this layout and this boot.
Result<RingGeometry> checked_geometry(const RingFileHeader& header, std::string_view boot_id);

}  // namespace pitbox
