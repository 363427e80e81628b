#include "buffer/ring_layout.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

namespace pitbox {
namespace {

constexpr std::uint64_t kRingBytesMin = std::uint64_t{1} << 20U;
constexpr std::uint64_t kRingBytesMax = std::uint64_t{1} << 30U;
constexpr std::uint32_t kSlotCountMax = 1024;  // UIO_MAXIOV: recvmmsg takes no more.
constexpr std::uint32_t kSlotBytesMin = 64;
constexpr std::uint32_t kSlotBytesMax = 64 * 1024;

std::uint32_t clamped(std::size_t value) {
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(value, std::numeric_limits<std::uint32_t>::max()));
}

// FNV-1a over the constant fields. It detects accidents; the mode of the file keeps others out.
std::uint64_t check_of(const RingFileHeader& header) {
  constexpr std::size_t kBegin = offsetof(RingFileHeader, layout_version);
  constexpr std::size_t kEnd = offsetof(RingFileHeader, check);
  std::array<unsigned char, kEnd - kBegin> bytes{};
  std::memcpy(bytes.data(), &header.layout_version, bytes.size());
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 0x100'0000'01B3;
  return hash;
}

}  // namespace

Status RingGeometry::check() const {
  if (!std::has_single_bit(ring_bytes) || ring_bytes < kRingBytesMin ||
      ring_bytes > kRingBytesMax) {
    return {Code::kRejected, "ring_bytes must be a power of two from 1 MiB to 1 GiB"};
  }
  if (slot_count < 1 || slot_count > kSlotCountMax) {
    return {Code::kRejected, "slot_count must be 1 to 1024"};
  }
  if (slot_bytes < kSlotBytesMin || slot_bytes > kSlotBytesMax) {
    return {Code::kRejected, "slot_bytes must be 64 to 65536"};
  }
  if (is_stream && (slot_count != 1 || slot_bytes != kStreamSlotBytes)) {
    return {Code::kRejected, "a stream has one slot of 65536 bytes"};
  }
  if (full_area_bytes() > ring_bytes / 2) {
    return {Code::kRejected, "slot_count * slot_bytes must fit half of ring_bytes"};
  }
  return {};
}

RingGeometry geometry_of(const MessageRing::Options& options) {
  if (options.is_stream) return {options.ring_bytes, 1, kStreamSlotBytes, true};
  return {options.ring_bytes, clamped(options.slot_count), clamped(options.slot_bytes), false};
}

RingFileHeader new_header(const RingGeometry& geometry, std::uint64_t id,
                          std::string_view boot_id) {
  RingFileHeader header;
  header.ring_id = id;
  header.ring_bytes = geometry.ring_bytes;
  header.slot_count = geometry.slot_count;
  header.slot_bytes = geometry.slot_bytes;
  header.is_stream = geometry.is_stream ? 1 : 0;
  boot_id.copy(header.boot_id.data(), header.boot_id.size() - 1);
  header.check = check_of(header);
  header.area_generation = 1;
  return header;
}

Result<RingGeometry> checked_geometry(const RingFileHeader& header, std::string_view boot_id) {
  if (header.magic != kRingMagic) return Status(Code::kCorrupt, "not a ring file");
  if (header.layout_version != kRingLayoutVersion || header.mmsghdr_bytes != sizeof(mmsghdr)) {
    return Status(Code::kCorrupt, "another layout version");
  }
  if (header.check != check_of(header)) return Status(Code::kCorrupt, "header check differs");
  if (header.ring_id == 0) return Status(Code::kCorrupt, "no ring id");
  if (header.is_stream > 1) return Status(Code::kCorrupt, "header fields");
  const std::size_t length = strnlen(header.boot_id.data(), header.boot_id.size());
  if (std::string_view(header.boot_id.data(), length) != boot_id) {
    return Status(Code::kCorrupt, "of another boot");
  }
  const RingGeometry geometry{header.ring_bytes, header.slot_count, header.slot_bytes,
                              header.is_stream == 1};
  if (Status status = geometry.check(); !status.ok()) {
    return Status(Code::kCorrupt, status.message());
  }
  return geometry;
}

}  // namespace pitbox
