#include "proto/bit_shuffle.h"

#include <algorithm>
#include <array>

#include "proto/check.h"
#include "proto/dispatch.h"

namespace pitbox {
namespace {

// Transposes the 8 x 8 bits of `block`: bit c of byte r becomes bit r of byte c. Three rounds swap
// blocks of 1, 2 and 4 bits across the diagonal.
PITBOX_INLINE std::uint64_t transpose8x8(std::uint64_t block) {
  std::uint64_t t = (block ^ block >> 7) & 0x00AA00AA00AA00AAULL;
  block ^= t ^ t << 7;
  t = (block ^ block >> 14) & 0x0000CCCC0000CCCCULL;
  block ^= t ^ t << 14;
  t = (block ^ block >> 28) & 0x00000000F0F0F0F0ULL;
  return block ^ t ^ t << 28;
}

}  // namespace

PITBOX_CLONES void append_byte_planes(std::string& out, std::span<const std::byte> values,
                                      std::size_t width) {
  const std::size_t count = values.size() / width;
  const std::size_t start = out.size();
  out.resize(start + values.size());
  for (std::size_t plane = 0; plane < width; ++plane) {
    char* to = out.data() + start + plane * count;
    const std::byte* from = values.data() + plane;
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<char>(from[i * width]);
  }
}

PITBOX_CLONES void restore_byte_planes(std::span<const std::byte> planes, std::size_t width,
                                       std::span<std::byte> values) {
  const std::size_t count = values.size() / width;
  for (std::size_t plane = 0; plane < width; ++plane) {
    const std::byte* from = planes.data() + plane * count;
    std::byte* to = values.data() + plane;
    for (std::size_t i = 0; i < count; ++i) to[i * width] = from[i];
  }
}

template <typename Word>
PITBOX_CLONES void append_bit_planes(std::string& out, std::span<const Word> residuals,
                                     int planes) {
  const std::size_t plane_bytes = bit_plane_bytes(residuals.size());
  const std::size_t start = out.size();
  out.resize(start + plane_bytes * static_cast<std::size_t>(planes));
  for (std::size_t group = 0; group < plane_bytes; ++group) {
    std::array<Word, 8> eight{};
    const auto part =
        residuals.subspan(group * 8, std::min<std::size_t>(8, residuals.size() - group * 8));
    std::copy(part.begin(), part.end(), eight.begin());
    for (int low = 0; low < planes; low += 8) {
      std::uint64_t block = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        block |= static_cast<std::uint64_t>(eight[i] >> low & 0xFF) << (8 * i);
      }
      block = transpose8x8(block);
      for (int plane = low; plane < std::min(low + 8, planes); ++plane) {
        out[start + static_cast<std::size_t>(plane) * plane_bytes + group] =
            static_cast<char>(block >> (8 * (plane - low)));
      }
    }
  }
}

template <typename Word>
PITBOX_CLONES void restore_bit_planes(std::span<const std::byte> bytes, int planes,
                                      std::span<Word> residuals) {
  const std::size_t plane_bytes = bit_plane_bytes(residuals.size());
  CHECK(bytes.size() == plane_bytes * static_cast<std::size_t>(planes));
  for (std::size_t group = 0; group < plane_bytes; ++group) {
    std::array<Word, 8> eight{};
    for (int low = 0; low < planes; low += 8) {
      std::uint64_t block = 0;
      for (int plane = low; plane < std::min(low + 8, planes); ++plane) {
        const std::byte byte = bytes[static_cast<std::size_t>(plane) * plane_bytes + group];
        block |= std::to_integer<std::uint64_t>(byte) << (8 * (plane - low));
      }
      block = transpose8x8(block);
      for (std::size_t i = 0; i < 8; ++i) {
        eight[i] |= static_cast<Word>(static_cast<Word>(block >> (8 * i) & 0xFF) << low);
      }
    }
    const std::size_t count = std::min<std::size_t>(8, residuals.size() - group * 8);
    std::copy_n(eight.begin(), count, residuals.begin() + static_cast<std::ptrdiff_t>(group * 8));
  }
}

template void append_bit_planes(std::string&, std::span<const std::uint32_t>, int);
template void append_bit_planes(std::string&, std::span<const std::uint64_t>, int);
template void restore_bit_planes(std::span<const std::byte>, int, std::span<std::uint32_t>);
template void restore_bit_planes(std::span<const std::byte>, int, std::span<std::uint64_t>);

}  // namespace pitbox
