// Varints and a bounded reader for the byte streams of FORMAT.md. The reader never reads past its
// end: what is not there reads as zero and is remembered, so that a parser can check once per
// column instead of once per byte. Plain values; one thread at a time.

#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace pitbox {

template <typename Word>
constexpr Word zigzag(std::make_signed_t<Word> value) {
  constexpr int kSignBit = static_cast<int>(sizeof(Word) * 8 - 1);
  return static_cast<Word>(static_cast<Word>(value) << 1 ^ static_cast<Word>(value >> kSignBit));
}

template <typename Word>
constexpr Word unzigzag(Word value) {
  return static_cast<Word>(value >> 1 ^ (Word{0} - (value & 1)));
}

constexpr std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

class ByteReader {
 public:
  // `bytes` must outlive the reader.
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  // False once anything was read that was not there, or was no varint.
  bool ok() const { return ok_; }
  std::size_t remaining() const { return rest_.size(); }

  // Exactly `size` bytes, or none at all.
  std::span<const std::byte> take(std::size_t size) {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::uint8_t take_byte() {
    const auto byte = take(1);
    return byte.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(byte[0]);
  }

  std::uint64_t take_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint64_t byte = take_byte();
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
    return 0;
  }

  void fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace pitbox
