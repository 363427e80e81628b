// Rice codes: residuals as a bit string (FORMAT.md, "Coder", rice). Residuals of 32 or 64 bits.
//
// A writer and a reader belong to one column after another of one batch. The reader is bounded: a
// code is at most 24 + 64 bits whatever the bytes say, and bits that are not there are an error.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pitbox {

inline constexpr int kRiceMaxShift = 24;
inline constexpr int kRiceEscape = 24;  // So many zero bits announce a residual in full.

struct RiceChoice {
  int shift = 0;
  std::uint64_t bits = 0;  // What write() will add with it, exactly.
};

// The best shift near the one that the mean suggests: outliers, which pull the mean up, are
// escaped, so smaller shifts are tried as long as they gain.
template <typename Word>
RiceChoice choose_rice(std::span<const Word> residuals, std::uint64_t sum);

// Bits for `count` residuals with that sum, estimated. UINT64_MAX if the shift would be too great.
std::uint64_t estimate_rice_bits(std::uint64_t count, std::uint64_t sum);

class RiceWriter {
 public:
  // REQUIRES: `choice` came from choose_rice() for these residuals.
  template <typename Word>
  void write(std::span<const Word> residuals, RiceChoice choice);
  // The bit string, its last byte filled up with zeros. The writer is empty afterwards.
  std::string finish();

 private:
  std::string bytes_;  // Always 16 bytes longer than what is written, so that stores are whole.
  std::size_t bit_ = 0;
};

class RiceReader {
 public:
  // `bytes` must outlive the reader.
  explicit RiceReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  // False if the bits end before the residuals do. REQUIRES: 0 <= shift <= kRiceMaxShift.
  template <typename Word>
  bool read(int shift, std::span<Word> residuals);
  // True if nothing is left but zero bits in the last byte.
  bool at_end() const;

 private:
  std::uint64_t peek(std::size_t bit) const;

  std::span<const std::byte> bytes_;
  std::size_t bit_ = 0;
};

}  // namespace pitbox
