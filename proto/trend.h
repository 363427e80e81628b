// The predictor `trend` (FORMAT.md, "Predictor"): level and slope of a noisy channel, both smoothed
// by exponential weights (double exponential smoothing; C. C. Holt, "Forecasting seasonals and
// trends by exponentially weighted moving averages", 1957), in fixed point so that every machine
// predicts the same.
//
// Blocks have it, batches do not: its steps follow from each other, so it is slower than the other
// predictors, and readers of batches need not know it. Plain functions; any thread.

#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "proto/predictor.h"

namespace pitbox {

// How much of an error goes into level and slope: 2^-level and 2^-slope.
struct TrendGains {
  int level = 0;  // 0..15, both.
  int slope = 0;

  std::uint8_t byte() const { return static_cast<std::uint8_t>(level | slope << 4); }
  static TrendGains of(std::uint8_t byte) { return {.level = byte & 15, .slope = byte >> 4}; }
};

// What it expects next. All arithmetic is modulo 2^64, shifts to the right keep the sign.
template <typename Word>
class Trend {
 public:
  Trend(Word first, TrendGains gains) : gains_(gains), level_(scaled(first)) {}

  Word next() const { return static_cast<Word>(shifted(level_ + slope_ + kHalf, kFractionBits)); }
  void take(Word word) {
    const std::uint64_t expected = level_ + slope_;
    const std::uint64_t error = scaled(word) - expected;
    level_ = expected + shifted(error, gains_.level);
    slope_ += shifted(error, gains_.slope);
  }

 private:
  static constexpr int kFractionBits = 16;
  static constexpr std::uint64_t kHalf = std::uint64_t{1} << (kFractionBits - 1);

  static std::uint64_t scaled(Word word) {
    const std::int64_t value = static_cast<std::make_signed_t<Word>>(word);
    return static_cast<std::uint64_t>(value) << kFractionBits;
  }
  static std::uint64_t shifted(std::uint64_t value, int bits) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value) >> bits);
  }

  TrendGains gains_;
  std::uint64_t level_;
  std::uint64_t slope_ = 0;
};

// Of the gains that are tried, those whose residuals have the least sum. REQUIRES: 2 <=
// words.size().
template <typename Word>
ResidualSummary<Word> summarise_trend(std::span<const Word> words);

// REQUIRES: residuals.size() + 1 == words.size().
template <typename Word>
void take_trend_residuals(const Prediction<Word>& prediction, std::span<const Word> words,
                          std::span<Word> residuals);
template <typename Word>
void restore_trend_words(const Prediction<Word>& prediction, std::span<const Word> residuals,
                         std::span<Word> words);

}  // namespace pitbox
