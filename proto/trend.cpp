#include "proto/trend.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

// From channels that hardly move beside their noise to those that move fast.
constexpr std::array kTried = {
    TrendGains{.level = 4, .slope = 9}, TrendGains{.level = 3, .slope = 7},
    TrendGains{.level = 2, .slope = 5}, TrendGains{.level = 1, .slope = 3}};

template <typename Word>
struct Tally {
  std::uint64_t sum = 0;
  std::uint64_t nonzero = 0;
  Word any = 0;  // Of the bits.

  PITBOX_INLINE void add(Word residual) {
    sum += std::min<std::uint64_t>(residual, kSummaryCap);
    nonzero += residual != 0;
    any |= residual;
  }
};

}  // namespace

// The chains of all gains in one loop: none waits for another.
template <typename Word>
PITBOX_CLONES ResidualSummary<Word> summarise_trend(std::span<const Word> words) {
  CHECK(words.size() >= 2);
  std::array<Tally<Word>, kTried.size()> tallies;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    std::array trends = {Trend<Word>(words[0], kTried[I])...};
    for (std::size_t i = 1; i < words.size(); ++i) {
      (tallies[I].add(zigzag_of<Word>(words[i] - trends[I].next())), ...);
      (trends[I].take(words[i]), ...);
    }
  }
  (std::make_index_sequence<kTried.size()>());
  const auto best = std::min_element(tallies.begin(), tallies.end(),
                                     [](const auto& a, const auto& b) { return a.sum < b.sum; });
  ResidualSummary<Word> summary;
  summary.prediction.predictor = Predictor::kTrend;
  summary.prediction.seeds = {words[0], 0};
  summary.prediction.gains = kTried[static_cast<std::size_t>(best - tallies.begin())].byte();
  summary.count = words.size() - 1;
  summary.sum = best->sum;
  summary.nonzero = best->nonzero;
  summary.bits = static_cast<int>(std::bit_width(best->any));
  return summary;
}

template <typename Word>
PITBOX_CLONES void take_trend_residuals(const Prediction<Word>& prediction,
                                        std::span<const Word> words, std::span<Word> residuals) {
  CHECK(residuals.size() + 1 == words.size());
  Trend<Word> trend(words[0], TrendGains::of(prediction.gains));
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    residuals[i] = zigzag_of<Word>(words[i + 1] - trend.next());
    trend.take(words[i + 1]);
  }
}

template <typename Word>
PITBOX_CLONES void restore_trend_words(const Prediction<Word>& prediction,
                                       std::span<const Word> residuals, std::span<Word> words) {
  CHECK(residuals.size() + 1 == words.size());
  Trend<Word> trend(prediction.seeds[0], TrendGains::of(prediction.gains));
  words[0] = prediction.seeds[0];
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    words[i + 1] = trend.next() + unzigzag(residuals[i]);
    trend.take(words[i + 1]);
  }
}

#define PITBOX_INSTANTIATE(Word)                                                     \
  template ResidualSummary<Word> summarise_trend(std::span<const Word>);             \
  template void take_trend_residuals(const Prediction<Word>&, std::span<const Word>, \
                                     std::span<Word>);                               \
  template void restore_trend_words(const Prediction<Word>&, std::span<const Word>, std::span<Word>)
PITBOX_INSTANTIATE(std::uint32_t);
PITBOX_INSTANTIATE(std::uint64_t);
#undef PITBOX_INSTANTIATE

}  // namespace pitbox
