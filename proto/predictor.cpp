#include "proto/predictor.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "proto/check.h"
#include "proto/trend.h"

namespace pitbox {
namespace {

template <typename Word>
int bits_of(Word value) {
  return static_cast<int>(std::bit_width(value));
}

template <typename Word>
PITBOX_INLINE std::uint64_t capped(Word residual) {
  if constexpr (sizeof(Word) == 4) return residual;
  return std::min<std::uint64_t>(residual, kSummaryCap);
}

template <typename Word>
struct Extent {
  Word low = 0;
  Word high = 0;
  Word centre = 0;
  std::uint64_t floor_sum = 0;
};

template <typename Word>
PITBOX_INLINE Extent<Word> extent_of(std::span<const Word> words) {
  auto low = static_cast<std::make_signed_t<Word>>(words[0]);
  auto high = low;
  std::uint64_t sum = 0;  // Modulo 2^64.
  for (const Word word : words) {
    const auto value = static_cast<std::make_signed_t<Word>>(word);
    low = std::min(low, value);
    high = std::max(high, value);
    sum += static_cast<std::uint64_t>(std::int64_t{value});
  }
  Extent<Word> extent;
  extent.low = static_cast<Word>(low);
  extent.high = static_cast<Word>(high);
  const auto range = static_cast<Word>(extent.high - extent.low);
  if (range < kSummaryCap) {
    extent.floor_sum = sum - words.size() * static_cast<std::uint64_t>(std::int64_t{low});
    extent.centre = static_cast<Word>(extent.low + extent.floor_sum / words.size());
  } else {
    extent.floor_sum = words.size() * kSummaryCap;
    extent.centre = static_cast<Word>(extent.low + range / 2);
  }
  return extent;
}

// Sums over the residuals of centre, previous and line.
template <typename Word>
struct Sums {
  std::uint64_t centre = 0;
  std::uint64_t previous = 0;
  std::uint64_t line = 0;
  Word previous_nonzero = 0;
  Word line_nonzero = 0;
  Word previous_or = 0;
  Word line_or = 0;
};

template <typename Word>
PITBOX_INLINE Sums<Word> sums_of(std::span<const Word> words, Word centre) {
  Sums<Word> sums;
  const Word second = zigzag_of<Word>(words[1] - words[0]);
  sums.centre =
      capped(zigzag_of<Word>(words[0] - centre)) + capped(zigzag_of<Word>(words[1] - centre));
  sums.previous = capped(second);
  sums.previous_or = second;
  sums.previous_nonzero = second != 0;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const Word difference = words[i] - words[i - 1];
    const Word from_centre = zigzag_of<Word>(words[i] - centre);
    const Word from_previous = zigzag_of<Word>(difference);
    const Word from_line = zigzag_of<Word>(difference - (words[i - 1] - words[i - 2]));
    sums.centre += capped(from_centre);
    sums.previous += capped(from_previous);
    sums.line += capped(from_line);
    sums.previous_or |= from_previous;
    sums.line_or |= from_line;
    sums.previous_nonzero += from_previous != 0;
    sums.line_nonzero += from_line != 0;
  }
  return sums;
}

// The same for words within kNarrowRange of each other: no residual of kNarrowChunk of them is so
// great that their sum would not fit a Word, so a loop takes twice as many at once.
constexpr std::uint32_t kNarrowRange = std::uint32_t{1} << 20;
constexpr std::size_t kNarrowChunk = 512;  // Of residuals below 2^22.

PITBOX_INLINE Sums<std::uint32_t> narrow_sums_of(std::span<const std::uint32_t> words,
                                                 std::uint32_t centre) {
  using Word = std::uint32_t;
  Sums<Word> sums = sums_of(words.first(2), centre);
  for (std::size_t from = 2; from < words.size(); from += kNarrowChunk) {
    const std::size_t to = std::min(from + kNarrowChunk, words.size());
    Word chunk_centre = 0;
    Word chunk_previous = 0;
    Word chunk_line = 0;
    for (std::size_t i = from; i < to; ++i) {
      const Word difference = words[i] - words[i - 1];
      const Word from_previous = zigzag_of<Word>(difference);
      const Word from_line = zigzag_of<Word>(difference - (words[i - 1] - words[i - 2]));
      chunk_centre += zigzag_of<Word>(words[i] - centre);
      chunk_previous += from_previous;
      chunk_line += from_line;
      sums.previous_or |= from_previous;
      sums.line_or |= from_line;
      sums.previous_nonzero += from_previous != 0;
      sums.line_nonzero += from_line != 0;
    }
    sums.centre += chunk_centre;
    sums.previous += chunk_previous;
    sums.line += chunk_line;
  }
  return sums;
}

template <typename Word>
PITBOX_INLINE Sums<Word> sums_within(std::span<const Word> words, const Extent<Word>& extent) {
  if constexpr (sizeof(Word) == 4) {
    if (extent.high - extent.low < kNarrowRange) return narrow_sums_of(words, extent.centre);
  }
  return sums_of(words, extent.centre);
}

}  // namespace

template <typename Word>
PITBOX_CLONES std::array<ResidualSummary<Word>, 4> summarise(std::span<const Word> words) {
  CHECK(words.size() >= 2);
  const std::uint64_t rows = words.size();
  const Extent<Word> extent = extent_of(words);
  const Sums<Word> sums = sums_within(words, extent);
  const auto range = static_cast<std::make_signed_t<Word>>(extent.high - extent.low);
  // Words further apart than half of all there are: what lies between may be further from the
  // centre than the ends are, modulo 2^n.
  const Word centre_extreme = range < 0 ? ~Word{0}
                                        : std::max(zigzag_of<Word>(extent.high - extent.centre),
                                                   zigzag_of<Word>(extent.low - extent.centre));
  const auto slope = static_cast<Word>(words[1] - words[0]);
  std::array<ResidualSummary<Word>, 4> all;
  all[0] = {{Predictor::kFloor, {extent.low, 0}},
            rows,
            extent.floor_sum,
            rows,
            bits_of<Word>(extent.high - extent.low)};
  all[1] = {
      {Predictor::kCentre, {extent.centre, 0}}, rows, sums.centre, rows, bits_of(centre_extreme)};
  all[2] = {{Predictor::kPrevious, {words[0], 0}},
            rows - 1,
            sums.previous,
            sums.previous_nonzero,
            bits_of(sums.previous_or)};
  all[3] = {{Predictor::kLine, {words[0], slope}},
            rows - 2,
            sums.line,
            sums.line_nonzero,
            rows > 2 ? bits_of(sums.line_or) : 64};
  return all;
}

template <typename Word>
PITBOX_CLONES void take_residuals(const Prediction<Word>& prediction, std::span<const Word> words,
                                  std::vector<Word>& residuals) {
  const std::size_t count = residual_count(prediction.predictor, words.size());
  residuals.resize(count);
  const Word base = prediction.seeds[0];
  switch (prediction.predictor) {
    case Predictor::kFloor:
      for (std::size_t i = 0; i < count; ++i) residuals[i] = words[i] - base;
      return;
    case Predictor::kCentre:
      for (std::size_t i = 0; i < count; ++i) residuals[i] = zigzag_of<Word>(words[i] - base);
      return;
    case Predictor::kPrevious:
      for (std::size_t i = 0; i < count; ++i) {
        residuals[i] = zigzag_of<Word>(words[i + 1] - words[i]);
      }
      return;
    case Predictor::kLine:
      for (std::size_t i = 0; i < count; ++i) {
        residuals[i] = zigzag_of<Word>(words[i + 2] - 2 * words[i + 1] + words[i]);
      }
      return;
    case Predictor::kTrend:
      return take_trend_residuals<Word>(prediction, words, residuals);
  }
}

template <typename Word>
PITBOX_CLONES void restore_words(const Prediction<Word>& prediction,
                                 std::span<const Word> residuals, std::span<Word> words) {
  CHECK(residuals.size() == residual_count(prediction.predictor, words.size()));
  Word last = prediction.seeds[0];
  switch (prediction.predictor) {
    case Predictor::kFloor:
      for (std::size_t i = 0; i < words.size(); ++i) words[i] = last + residuals[i];
      return;
    case Predictor::kCentre:
      for (std::size_t i = 0; i < words.size(); ++i) words[i] = last + unzigzag(residuals[i]);
      return;
    case Predictor::kPrevious:
      words[0] = last;
      for (std::size_t i = 1; i < words.size(); ++i) {
        last += unzigzag(residuals[i - 1]);
        words[i] = last;
      }
      return;
    case Predictor::kLine: {
      Word slope = prediction.seeds[1];
      words[0] = last;
      words[1] = last += slope;
      for (std::size_t i = 2; i < words.size(); ++i) {
        slope += unzigzag(residuals[i - 2]);
        words[i] = last += slope;
      }
      return;
    }
    case Predictor::kTrend:
      return restore_trend_words<Word>(prediction, residuals, words);
  }
}

#define PITBOX_INSTANTIATE(Word)                                                  \
  template std::array<ResidualSummary<Word>, 4> summarise(std::span<const Word>); \
  template void take_residuals(const Prediction<Word>&, std::span<const Word>,    \
                               std::vector<Word>&);                               \
  template void restore_words(const Prediction<Word>&, std::span<const Word>, std::span<Word>)
PITBOX_INSTANTIATE(std::uint32_t);
PITBOX_INSTANTIATE(std::uint64_t);
#undef PITBOX_INSTANTIATE

}  // namespace pitbox
