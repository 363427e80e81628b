#include "proto/rice.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "proto/check.h"
#include "proto/dispatch.h"

namespace pitbox {
namespace {

static_assert(std::endian::native == std::endian::little, "bits are stored by whole words");

constexpr std::size_t kSlackBytes = 16;

// Shift for residuals with that mean: log2(mean * ln 2), but never below 0.
int shift_of_mean(std::uint64_t count, std::uint64_t sum) {
  if (count == 0) return 0;
  const double mean = static_cast<double>(sum) / static_cast<double>(count) * 0.693;
  if (mean < 1.0) return 0;
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(mean))) - 1;
}

template <typename Word>
PITBOX_INLINE std::uint64_t bits_with(std::span<const Word> residuals, int shift) {
  constexpr std::uint64_t kEscaped = kRiceEscape + sizeof(Word) * 8;
  std::uint64_t bits = 0;
  for (const Word residual : residuals) {
    const Word quotient = residual >> shift;
    const std::uint64_t plain = std::uint64_t{quotient} + 1 + static_cast<unsigned>(shift);
    bits += quotient < kRiceEscape ? plain : kEscaped;
  }
  return bits;
}

}  // namespace

std::uint64_t estimate_rice_bits(std::uint64_t count, std::uint64_t sum) {
  const int shift = shift_of_mean(count, sum);
  if (shift > kRiceMaxShift) return std::numeric_limits<std::uint64_t>::max();
  // A quotient loses half a step on average.
  const std::uint64_t quotients = sum >> shift;
  const std::uint64_t lost = shift == 0 ? 0 : count / 2;
  return count * (1 + static_cast<unsigned>(shift)) + quotients - std::min(quotients, lost);
}

template <typename Word>
PITBOX_CLONES RiceChoice choose_rice(std::span<const Word> residuals, std::uint64_t sum) {
  RiceChoice best;
  best.shift = std::min(shift_of_mean(residuals.size(), sum), kRiceMaxShift);
  best.bits = bits_with(residuals, best.shift);
  const int start = best.shift;
  for (int shift = start - 1; shift >= 0; --shift) {
    const std::uint64_t bits = bits_with(residuals, shift);
    if (bits >= best.bits) break;
    best = {shift, bits};
  }
  if (best.shift == start && start < kRiceMaxShift) {
    const std::uint64_t bits = bits_with(residuals, start + 1);
    if (bits < best.bits) best = {start + 1, bits};
  }
  return best;
}

template <typename Word>
PITBOX_CLONES void RiceWriter::write(std::span<const Word> residuals, RiceChoice choice) {
  bytes_.resize((bit_ + choice.bits) / 8 + kSlackBytes);
  const unsigned shift = static_cast<unsigned>(choice.shift);
  const std::uint64_t low_mask = (std::uint64_t{1} << shift) - 1;
  char* out = bytes_.data() + bit_ / 8;
  unsigned filled = bit_ % 8;
  std::uint64_t bits = static_cast<std::uint8_t>(*out);
  // REQUIRES of the bits put: at most 56, so that they and 7 older ones fit the word.
  const auto put = [&](std::uint64_t value, unsigned count) {
    bits |= value << filled;
    filled += count;
    std::memcpy(out, &bits, sizeof bits);
    const unsigned whole = filled / 8;
    out += whole;
    bits = whole == 8 ? 0 : bits >> (8 * whole);
    filled %= 8;
  };
  for (const Word residual : residuals) {
    const std::uint64_t quotient = residual >> shift;
    if (quotient < kRiceEscape) [[likely]] {
      const unsigned unary = static_cast<unsigned>(quotient) + 1;
      put((residual & low_mask) << unary | std::uint64_t{1} << quotient, unary + shift);
      continue;
    }
    put(0, kRiceEscape);
    put(residual & 0xFFFFFFFF, 32);
    if constexpr (sizeof(Word) == 8) put(residual >> 32, 32);
  }
  bit_ += choice.bits;
  CHECK(static_cast<std::size_t>(out - bytes_.data()) * 8 + filled == bit_);
}

std::string RiceWriter::finish() {
  bytes_.resize((bit_ + 7) / 8);
  bit_ = 0;
  return std::exchange(bytes_, {});
}

// At least 57 bits from there on; zeros where the bytes end.
PITBOX_INLINE std::uint64_t RiceReader::peek(std::size_t bit) const {
  const std::size_t at = bit / 8;
  std::uint64_t word = 0;
  if (at + sizeof word <= bytes_.size()) [[likely]] {
    std::memcpy(&word, bytes_.data() + at, sizeof word);
  } else if (at < bytes_.size()) {
    std::memcpy(&word, bytes_.data() + at, bytes_.size() - at);
  }
  return word >> (bit % 8);
}

template <typename Word>
PITBOX_CLONES bool RiceReader::read(int shift, std::span<Word> residuals) {
  CHECK(shift >= 0 && shift <= kRiceMaxShift);
  const std::size_t end = bytes_.size() * 8;
  const std::uint64_t low_mask = (std::uint64_t{1} << shift) - 1;
  std::size_t bit = bit_;
  for (Word& residual : residuals) {
    const std::uint64_t bits = peek(bit);
    const int quotient = std::countr_zero(bits | std::uint64_t{1} << kRiceEscape);
    if (quotient < kRiceEscape) [[likely]] {
      const std::uint64_t low = bits >> (quotient + 1) & low_mask;
      residual = static_cast<Word>(static_cast<std::uint64_t>(quotient) << shift | low);
      bit += static_cast<unsigned>(quotient + 1 + shift);
    } else {
      bit += kRiceEscape;
      std::uint64_t full = peek(bit) & 0xFFFFFFFF;
      if constexpr (sizeof(Word) == 8) full |= peek(bit + 32) << 32;
      residual = static_cast<Word>(full);
      bit += sizeof(Word) * 8;
    }
    if (bit > end) return false;
  }
  bit_ = bit;
  return true;
}

bool RiceReader::at_end() const {
  if ((bit_ + 7) / 8 != bytes_.size()) return false;
  return bit_ % 8 == 0 || peek(bit_) == 0;
}

template RiceChoice choose_rice(std::span<const std::uint32_t>, std::uint64_t);
template RiceChoice choose_rice(std::span<const std::uint64_t>, std::uint64_t);
template void RiceWriter::write(std::span<const std::uint32_t>, RiceChoice);
template void RiceWriter::write(std::span<const std::uint64_t>, RiceChoice);
template bool RiceReader::read(int, std::span<std::uint32_t>);
template bool RiceReader::read(int, std::span<std::uint64_t>);

}  // namespace pitbox
