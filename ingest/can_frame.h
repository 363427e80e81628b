// CanFrame: a frame of a CAN bus, and the bytes in which a message holds one. Those are the
// kernel's: struct can_frame (16 bytes) of a classic frame, struct canfd_frame (72 bytes) of a
// CAN FD frame, as a raw CAN socket gives them; so the size of a message says which it is.
//
// Values; any thread.

#pragma once

#include <linux/can.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace pitbox {

inline constexpr std::size_t kCanClassicBytes = CAN_MTU;
inline constexpr std::size_t kCanFdBytes = CANFD_MTU;
inline constexpr std::size_t kCanDataBytesMax = CANFD_MAX_DLEN;
static_assert(sizeof(can_frame) == kCanClassicBytes && sizeof(canfd_frame) == kCanFdBytes);

struct CanFrame {
  // `id` with CAN_EFF_FLAG, CAN_RTR_FLAG and CAN_ERR_FLAG; bytes of `data` from len on are 0.
  // Of a classic frame `flags` is 0.
  canfd_frame frame{};
  bool is_fd = false;
  std::uint8_t raw_dlc = 0;  // Classic frames of 8 bytes whose length code was 9..15; else 0.

  bool is_error() const { return (frame.can_id & CAN_ERR_FLAG) != 0; }
  bool is_remote() const { return !is_fd && (frame.can_id & CAN_RTR_FLAG) != 0; }
};

// Nothing if the bytes are no frame: another size, or a length beyond the kind's.
inline std::optional<CanFrame> can_frame_of(std::span<const std::byte> bytes) {
  CanFrame out;
  out.is_fd = bytes.size() == kCanFdBytes;
  if (!out.is_fd && bytes.size() != kCanClassicBytes) return std::nullopt;
  std::memcpy(&out.frame, bytes.data(), bytes.size());
  const std::size_t longest = out.is_fd ? kCanDataBytesMax : CAN_MAX_DLEN;
  if (out.frame.len > longest) return std::nullopt;
  if (!out.is_fd) {
    can_frame classic{};
    std::memcpy(&classic, bytes.data(), sizeof classic);
    out.raw_dlc = classic.len8_dlc;
    out.frame.flags = 0;
  }
  // A remote frame's length is of data that it asks for.
  const std::size_t data_bytes = out.is_remote() ? 0 : out.frame.len;
  std::memset(out.frame.data + data_bytes, 0, kCanDataBytesMax - data_bytes);
  return out;
}

// The other way; the span is a part of `into`, which is overwritten.
inline std::span<const std::byte> can_frame_bytes(const CanFrame& frame,
                                                  std::span<std::byte, kCanFdBytes> into) {
  std::memcpy(into.data(), &frame.frame, kCanFdBytes);
  if (frame.is_fd) return into;
  into[offsetof(can_frame, len8_dlc)] = static_cast<std::byte>(frame.raw_dlc);
  return into.first(kCanClassicBytes);
}

}  // namespace pitbox
