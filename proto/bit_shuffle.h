// Transposing a column: by bytes ("byte planes", for values that have no better coder) and by bits
// ("planes" of residuals), so that what resembles itself lies together and zstd finds it
// (FORMAT.md, "Coder"). Plain functions.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pitbox {

// Appends byte 0 of every value, then byte 1, ... REQUIRES: values.size() is a multiple of width.
void append_byte_planes(std::string& out, std::span<const std::byte> values, std::size_t width);
// The reverse. REQUIRES: both of one size, a multiple of width.
void restore_byte_planes(std::span<const std::byte> planes, std::size_t width,
                         std::span<std::byte> values);

constexpr std::size_t bit_plane_bytes(std::size_t residuals) {
  return (residuals + 7) / 8;
}

// Appends the `planes` lowest bits of every residual, plane by plane.
template <typename Word>
void append_bit_planes(std::string& out, std::span<const Word> residuals, int planes);
// The reverse. REQUIRES: bytes.size() == planes * bit_plane_bytes(residuals.size()).
template <typename Word>
void restore_bit_planes(std::span<const std::byte> bytes, int planes, std::span<Word> residuals);

}  // namespace pitbox
