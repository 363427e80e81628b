// Predictors: what a word of a column is expected to be, so that only the difference is coded
// (FORMAT.md, "Predictor"). Words are unsigned 32 or 64 bit; all arithmetic wraps, so every input
// comes back exactly. Plain functions, instantiated for both widths.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "proto/byte_reader.h"
#include "proto/dispatch.h"

namespace pitbox {

// Numbered as in FORMAT.md.
enum class Predictor : std::uint8_t {
  kFloor = 0,
  kCentre = 1,
  kPrevious = 2,
  kLine = 3,
  kTrend = 4  // Of blocks only: trend.h.
};

constexpr std::size_t seed_count(Predictor predictor) {
  return predictor == Predictor::kLine ? 2 : 1;
}
constexpr std::size_t residual_count(Predictor predictor, std::size_t rows) {
  if (predictor == Predictor::kPrevious || predictor == Predictor::kTrend) return rows - 1;
  return predictor == Predictor::kLine ? rows - 2 : rows;
}

template <typename Word>
struct Prediction {
  Predictor predictor = Predictor::kFloor;
  std::array<Word, 2> seeds{};
  std::uint8_t gains = 0;  // Of `trend`.
};

// What the residuals of one predictor would look like.
template <typename Word>
struct ResidualSummary {
  Prediction<Word> prediction;
  std::uint64_t count = 0;
  std::uint64_t sum = 0;      // Each at most kSummaryCap, so that a sum cannot overflow.
  std::uint64_t nonzero = 0;  // Not counted for floor and centre: `count`.
  int bits = 0;               // Of the largest.
};
inline constexpr std::uint64_t kSummaryCap = std::uint64_t{1} << 40;

// The residual that a difference of words is.
template <typename Word>
PITBOX_INLINE Word zigzag_of(Word difference) {
  return zigzag<Word>(static_cast<std::make_signed_t<Word>>(difference));
}

// Those of a batch in the order of their numbers; `line` with count 0 and bits 64 if there are
// fewer than 3 words. REQUIRES: 2 <= words.size() <= 2^20.
template <typename Word>
std::array<ResidualSummary<Word>, 4> summarise(std::span<const Word> words);

// REQUIRES: words.size() >= seed_count(). `residuals` is resized.
template <typename Word>
void take_residuals(const Prediction<Word>& prediction, std::span<const Word> words,
                    std::vector<Word>& residuals);
// The reverse. REQUIRES: residuals.size() == residual_count(predictor, words.size()).
template <typename Word>
void restore_words(const Prediction<Word>& prediction, std::span<const Word> residuals,
                   std::span<Word> words);

}  // namespace pitbox
