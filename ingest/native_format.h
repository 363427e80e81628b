// The native format's numbers and headers: what NATIVE.md says, for encoder and decoder alike.
// Plain functions; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace pitbox {

inline constexpr std::uint32_t kNativeMagic = 0x314E5850;  // "PXN1" as it lies.
inline constexpr std::size_t kNativeHeaderBytes = 32;
inline constexpr std::size_t kNativeRowsHeaderBytes = 48;
inline constexpr std::size_t kNativeAnnounceHeaderBytes = 36;  // Up to the car's name.
inline constexpr std::size_t kNativePacketBytesMax = 65507;    // The largest UDP payload.
inline constexpr std::size_t kNativeStreamPacketBytesMax = 16 * 1024;
inline constexpr std::size_t kNativeRowsMax = 65535;

enum class NativeKind : std::uint8_t { kAnnounce = 1, kRows = 2 };
enum class NativeTiming : std::uint8_t { kNone = 0, kPeriod = 1, kOffsets = 2 };

// Every packet's first 32 bytes.
struct NativeHeader {
  std::uint32_t magic = kNativeMagic;
  std::uint32_t length = 0;
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;
  std::uint16_t group = 0;
  std::uint32_t sender = 0;
  std::uint64_t check = 0;  // At offset 16.
  std::uint64_t sequence = 0;
};
static_assert(sizeof(NativeHeader) == kNativeHeaderBytes);
static_assert(offsetof(NativeHeader, check) == 16 && offsetof(NativeHeader, sequence) == 24);

// What follows it in a rows packet.
struct NativeRowsHeader {
  std::int64_t base_ns = 0;
  std::uint32_t period_ns = 0;
  std::uint16_t row_count = 0;
  std::uint8_t timing = 0;
  std::uint8_t reserved = 0;
};
static_assert(sizeof(NativeRowsHeader) == kNativeRowsHeaderBytes - kNativeHeaderBytes);

// A value from bytes anywhere, without regard to alignment. REQUIRES: sizeof(T) readable bytes.
template <typename T>
T load_native(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// FNV-1a, 64 bits: the check value of an announcement's body.
constexpr std::uint64_t native_check(std::span<const std::byte> body) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const std::byte each : body) {
    hash = (hash ^ static_cast<std::uint64_t>(each)) * 0x100000001B3;
  }
  return hash;
}

}  // namespace pitbox
