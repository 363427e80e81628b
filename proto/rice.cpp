#include "proto/rice.h"

#include <algorithm>
#include <array>
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
constexpr unsigned kPeekedBits = 57;
static_assert(kRiceEscape + kRiceMaxShift <= kPeekedBits);

// Shift for residuals with that mean: log2(mean * ln 2), but never below 0.
int shift_of_mean(std::uint64_t count, std::uint64_t sum) {
  if (count == 0) return 0;
  const double mean = static_cast<double>(sum) / static_cast<double>(count) * 0.693;
  if (mean < 1.0) return 0;
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(mean))) - 1;
}

// Bits of a code beyond its one and its low `shift` bits. Less than 2^7, so that a batch's rows
// (kMaxBatchRows) add up in a Word, and loops take as many at once as the machine has Words.
template <typename Word>
PITBOX_INLINE Word extra_bits(Word residual, int shift) {
  const auto escaped =
      static_cast<Word>(kRiceEscape + sizeof(Word) * 8 - 1 - static_cast<unsigned>(shift));
  const Word quotient = residual >> shift;
  return quotient < kRiceEscape ? quotient : escaped;
}

template <typename Word>
PITBOX_INLINE std::uint64_t bits_with(std::span<const Word> residuals, int shift) {
  Word extra = 0;
  for (const Word residual : residuals) extra += extra_bits(residual, shift);
  return residuals.size() * (1 + static_cast<unsigned>(shift)) + extra;
}

// With the shift below, the shift itself and the one above, in one pass. REQUIRES: shift > 0.
template <typename Word>
PITBOX_INLINE std::array<std::uint64_t, 3> bits_around(std::span<const Word> residuals, int shift) {
  Word below = 0;
  Word at = 0;
  Word above = 0;
  for (const Word residual : residuals) {
    below += extra_bits(residual, shift - 1);
    at += extra_bits(residual, shift);
    above += extra_bits(residual, shift + 1);
  }
  const std::uint64_t least = residuals.size() * static_cast<unsigned>(shift);
  return {least + below, least + residuals.size() + at, least + 2 * residuals.size() + above};
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
  const int start = std::min(shift_of_mean(residuals.size(), sum), kRiceMaxShift);
  if (start == 0) {
    const std::uint64_t none = bits_with(residuals, 0);
    const std::uint64_t one = bits_with(residuals, 1);
    return one < none ? RiceChoice{1, one} : RiceChoice{0, none};
  }
  const auto [below, at, above] = bits_around(residuals, start);
  if (below >= at) {
    return above < at && start < kRiceMaxShift ? RiceChoice{start + 1, above}
                                               : RiceChoice{start, at};
  }
  RiceChoice best{start - 1, below};
  for (int shift = start - 2; shift >= 0; --shift) {
    const std::uint64_t bits = bits_with(residuals, shift);
    if (bits >= best.bits) break;
    best = {shift, bits};
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
  const auto code = [&](Word residual, unsigned unary) {
    return (residual & low_mask) << unary | std::uint64_t{1} << (unary - 1);
  };
  const auto put_one = [&](Word residual) {
    const std::uint64_t quotient = residual >> shift;
    if (quotient < kRiceEscape) [[likely]] {
      const unsigned unary = static_cast<unsigned>(quotient) + 1;
      put(code(residual, unary), unary + shift);
      return;
    }
    put(0, kRiceEscape);
    put(residual & 0xFFFFFFFF, 32);
    if constexpr (sizeof(Word) == 8) put(residual >> 32, 32);
  };
  // Codes depend on each other only by where they are put, so four are made and put as one, if none
  // is an escape and they fit.
  constexpr unsigned kTogether = 4;
  constexpr unsigned kPutBits = 56;
  constexpr unsigned kSmall = 1024;  // Four of them cannot wrap around.
  const unsigned fixed = kTogether * (1 + shift);
  const std::uint64_t room =
      fixed > kPutBits ? 0 : std::min<std::uint64_t>(kRiceEscape, kPutBits - fixed + 1);
  std::size_t i = 0;
  for (; i + kTogether <= residuals.size(); i += kTogether) {
    const Word* const four = residuals.data() + i;
    const Word greatest = (four[0] | four[1] | four[2] | four[3]) >> shift;  // Or a bit more.
    const Word sum =
        (four[0] >> shift) + (four[1] >> shift) + (four[2] >> shift) + (four[3] >> shift);
    if (greatest < kSmall && sum < room) [[likely]] {
      const unsigned a = static_cast<unsigned>(four[0] >> shift) + 1;
      const unsigned b = static_cast<unsigned>(four[1] >> shift) + 1;
      const unsigned c = static_cast<unsigned>(four[2] >> shift) + 1;
      const unsigned d = static_cast<unsigned>(four[3] >> shift) + 1;
      const std::uint64_t front = code(four[0], a) | code(four[1], b) << (a + shift);
      const std::uint64_t back = code(four[2], c) | code(four[3], d) << (c + shift);
      put(front | back << (a + b + 2 * shift), a + b + c + d + 4 * shift);
      continue;
    }
    for (unsigned k = 0; k < kTogether; ++k) put_one(four[k]);
  }
  for (; i < residuals.size(); ++i) put_one(residuals[i]);
  bit_ += choice.bits;
  CHECK(static_cast<std::size_t>(out - bytes_.data()) * 8 + filled == bit_);
}

std::string RiceWriter::finish() {
  bytes_.resize((bit_ + 7) / 8);
  bit_ = 0;
  return std::exchange(bytes_, {});
}

// At least kPeekedBits bits from there on; zeros where the bytes end.
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
  const std::size_t count = residuals.size();
  std::size_t i = 0;
  while (i < count) {
    // As many whole codes as one load has: only the load waits for where the code before ended.
    std::uint64_t bits = peek(bit);
    unsigned used = 0;
    while (i < count) {
      const auto quotient =
          static_cast<unsigned>(std::countr_zero(bits | std::uint64_t{1} << kRiceEscape));
      const unsigned length = quotient + 1 + static_cast<unsigned>(shift);
      if (quotient == kRiceEscape || used + length > kPeekedBits) break;
      const std::uint64_t low = bits >> (quotient + 1) & low_mask;
      residuals[i++] = static_cast<Word>(std::uint64_t{quotient} << shift | low);
      bits >>= length;
      used += length;
    }
    bit += used;
    if (used == 0) {  // The longest code fits a load, so this is an escape.
      bit += kRiceEscape;
      std::uint64_t full = peek(bit) & 0xFFFFFFFF;
      if constexpr (sizeof(Word) == 8) full |= peek(bit + 32) << 32;
      residuals[i++] = static_cast<Word>(full);
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
