#include "proto/grid.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

#include "proto/check.h"
#include "proto/dispatch.h"

namespace pitbox {
namespace {

template <typename Word>
using Signed = std::make_signed_t<Word>;

constexpr std::array<double, kMaxDecimalDigits + 1> kPowersOfTen = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

constexpr std::size_t kSampleRows = 24;

// A grid finer than a float's own steps would gain nothing.
template <typename Float>
constexpr int kMostDigits = sizeof(Float) == 4 ? 7 : 12;
template <typename Float>
constexpr double kGreatestMultiple = sizeof(Float) == 4 ? 0x1p30 : 0x1p51;
template <typename Float>
constexpr double kGreatestStepMultiple = sizeof(Float) == 4 ? 0x1p20 : 0x1p40;

// To the nearest integer, exact for |x| < 2^51: adding pushes the fraction out of the mantissa.
// Unlike std::nearbyint it needs no call, so loops around it vectorise on any machine.
PITBOX_INLINE double nearest(double x) {
  constexpr double kPush = 0x1.8p52;
  return (x + kPush) - kPush;
}

// A grid as two numbers, chosen once per column and not per value.
struct Scale {
  explicit Scale(const FloatGrid& grid)
      : divides(grid.step == 0.0),
        unit(divides ? kPowersOfTen[static_cast<std::size_t>(grid.digits)] : grid.step),
        factor(grid.multiple),
        inverse(divides ? unit / factor : 1.0 / unit) {}

  double multiple(double value) const { return nearest(value * inverse); }
  double value(double multiple) const {
    return divides ? multiple * factor / unit : multiple * unit;
  }

  bool divides;
  double unit;
  double factor;
  double inverse;
};

template <typename Float>
PITBOX_INLINE bool same_bits(Float a, Float b) {
  using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<Bits>(a) == std::bit_cast<Bits>(b);
}

template <typename Float>
PITBOX_INLINE bool is_on(const Scale& scale, Float value) {
  const double multiple = scale.multiple(static_cast<double>(value));
  return std::abs(multiple) < kGreatestMultiple<Float> &&
         same_bits(static_cast<Float>(scale.value(multiple)), value);
}

template <typename Float>
PITBOX_INLINE bool sample_fits(const Scale& scale, std::span<const Float> sample) {
  std::size_t misfits = 0;
  for (const Float value : sample) {
    if (is_on(scale, value)) continue;
    if (++misfits > sample.size() / kRowsPerException) return false;
  }
  return true;
}

// Half the distance to the next Float: what rounding may have moved the value by.
template <typename Float>
PITBOX_INLINE double half_ulp(double magnitude) {
  const auto value = static_cast<Float>(magnitude);
  const Float next = std::nextafter(value, std::numeric_limits<Float>::infinity());
  return (static_cast<double>(next) - static_cast<double>(value)) / 2;
}

// A number that rounding may have moved by up to `error`.
struct Blurred {
  double value = 0.0;
  double error = 0.0;
};

// Greatest common divisor by Euclid's rule with nearest quotients; a rest that its error explains
// is none. The better known of the numbers that agree is kept.
PITBOX_INLINE Blurred common_divisor(Blurred a, Blurred b) {
  while (b.value > b.error) {
    const double quotient = nearest(a.value / b.value);
    const Blurred rest{std::abs(a.value - quotient * b.value), a.error + quotient * b.error};
    if (rest.value <= rest.error) {
      const bool refines = quotient > 1.0 && a.error / quotient < b.error;
      return refines ? Blurred{a.value / quotient, a.error / quotient} : b;
    }
    a = b;
    b = rest;
  }
  return {};
}

// The step that explains all differences between neighbours; 0 if there is none well above the
// blur that rounding to Float leaves.
template <typename Float>
PITBOX_INLINE double step_between(std::span<const double> ascending) {
  const double blur = 2 * half_ulp<Float>(ascending.back());
  Blurred step;
  for (std::size_t i = 1; i < ascending.size(); ++i) {
    const Blurred difference{ascending[i] - ascending[i - 1], blur};
    if (difference.value <= blur) continue;
    step = step.value == 0.0 ? difference : common_divisor(difference, step);
    if (step.value <= 4 * step.error) return 0.0;
  }
  return step.value;
}

template <typename Float>
PITBOX_INLINE std::vector<double> finite_magnitudes(std::span<const Float> values) {
  std::vector<double> magnitudes;
  magnitudes.reserve(values.size());
  for (const Float value : values) {
    if (std::isfinite(value)) magnitudes.push_back(std::abs(static_cast<double>(value)));
  }
  return magnitudes;
}

// Between which two numbers a step must lie: every value says so, the greater ones more narrowly.
struct StepBounds {
  double low;
  double high;
  double step;

  // False if no step explains the values. In doubles this arithmetic rounds as much as the
  // values were: hence a whole ulp instead of half.
  template <typename Float>
  bool narrow(std::span<const double> magnitudes) {
    for (const double magnitude : magnitudes) {
      const double multiple = nearest(magnitude / step);
      if (multiple == 0.0) continue;
      const double blur = (sizeof(Float) == 8 ? 2 : 1) * half_ulp<Float>(magnitude);
      low = std::max(low, (magnitude - blur) / multiple);
      high = std::min(high, (magnitude + blur) / multiple);
      if (low > high) return false;
      step = low + (high - low) / 2;
    }
    return true;
  }
};

// The greatest number of which all words are multiples; 0 if they are all 0.
template <typename Word>
PITBOX_INLINE Word divisor_of(std::span<const Word> words) {
  Word divisor = 0;
  for (const Word word : words) {
    const bool is_negative = static_cast<Signed<Word>>(word) < 0;
    const Word magnitude = is_negative ? Word{0} - word : word;
    if (divisor == 0 || magnitude % divisor != 0) divisor = std::gcd(divisor, magnitude);
    if (divisor == 1) break;
  }
  return divisor;
}

// Steps that somebody may have multiplied by: one of type float, or this one within the rounding
// of its bounds.
std::array<double, 8> candidates_near(double step) {
  std::array<double, 8> candidates{static_cast<double>(static_cast<float>(step)), step};
  double above = step;
  double below = step;
  for (std::size_t i = 2; i < candidates.size(); i += 2) {
    above = std::nextafter(above, 2 * step);
    below = std::nextafter(below, 0.0);
    candidates[i] = above;
    candidates[i + 1] = below;
  }
  return candidates;
}

}  // namespace

template <typename Word>
PITBOX_CLONES std::optional<Lattice<Word>> map_to_lattice(std::span<Word> words) {
  Word step = 0;
  for (std::size_t i = 1; i < words.size() && step != 1; ++i) {
    const auto difference = static_cast<Word>(words[i] - words[i - 1]);
    const bool falls = static_cast<Signed<Word>>(difference) < 0;
    const Word distance = falls ? Word{0} - difference : difference;
    if (step == 0 || distance % step != 0) step = std::gcd(step, distance);
  }
  if (step < 2 || static_cast<Signed<Word>>(step) < 0) return std::nullopt;
  const auto signed_step = static_cast<Signed<Word>>(step);
  const auto rest = static_cast<Signed<Word>>(words[0]) % signed_step;
  const Lattice<Word> lattice{step, static_cast<Word>(rest < 0 ? rest + signed_step : rest)};
  const auto multiple = [&](Word word) {
    const auto distance = static_cast<Signed<Word>>(static_cast<Word>(word - lattice.remainder));
    return static_cast<Word>(distance / signed_step);
  };
  // A difference that wrapped around may have hidden a word that is not on the lattice.
  for (const Word word : words) {
    if (lattice.remainder + lattice.step * multiple(word) != word) return std::nullopt;
  }
  for (Word& word : words) word = multiple(word);
  return lattice;
}

template <typename Word>
PITBOX_CLONES void restore_from_lattice(const Lattice<Word>& lattice, std::span<Word> words) {
  for (Word& word : words) word = lattice.remainder + lattice.step * word;
}

template <typename Float, typename Word>
std::optional<FloatGrid> GridFinder<Float, Word>::find(std::span<const std::byte> column,
                                                       bool coarsens) {
  load(column);
  take_sample();
  auto grid = find_decimal();
  if (!grid) return find_step();
  if (coarsens) grid->multiple = take_out_multiple();
  return grid;
}

// REQUIRES: the words are those of a decimal grid.
template <typename Float, typename Word>
PITBOX_CLONES std::uint32_t GridFinder<Float, Word>::take_out_multiple() {
  const Word multiple = divisor_of<Word>(words_);
  if (multiple < 2 || multiple > kGreatestDecimalMultiple) return 1;
  const auto divisor = static_cast<Signed<Word>>(multiple);
  for (Word& word : words_) word = static_cast<Word>(static_cast<Signed<Word>>(word) / divisor);
  return static_cast<std::uint32_t>(multiple);
}

template <typename Float, typename Word>
bool GridFinder<Float, Word>::take(std::span<const std::byte> column, const FloatGrid& grid) {
  load(column);
  if (!map(grid, values_.size() / kRowsPerException)) return false;
  // A multiple may have been chance: then what is not on it is on the grid without it.
  const auto is_on_none = [&](std::uint32_t row) {
    return !std::isfinite(values_[row]) || values_[row] == Float{0};
  };
  return grid.multiple == 1 || std::all_of(exceptions_.begin(), exceptions_.end(), is_on_none);
}

template <typename Float, typename Word>
void GridFinder<Float, Word>::load(std::span<const std::byte> column) {
  values_.resize(column.size() / sizeof(Float));
  std::memcpy(values_.data(), column.data(), column.size());
}

template <typename Float, typename Word>
void GridFinder<Float, Word>::take_sample() {
  sample_.clear();
  const std::size_t stride = std::max<std::size_t>(1, values_.size() / kSampleRows);
  for (std::size_t i = 0; i < values_.size(); i += stride) sample_.push_back(values_[i]);
}

template <typename Float, typename Word>
PITBOX_CLONES std::optional<FloatGrid> GridFinder<Float, Word>::find_decimal() {
  double greatest = 0.0;
  for (const Float value : sample_) {
    const double magnitude = std::abs(static_cast<double>(value));
    if (std::isfinite(magnitude)) greatest = std::max(greatest, magnitude);
  }
  // Where the floats themselves are hardly finer than the grid, everything is on it.
  const double finest = 8 * half_ulp<Float>(greatest);
  for (int digits = 0; digits <= kMostDigits<Float>; ++digits) {
    if (1.0 / kPowersOfTen[static_cast<std::size_t>(digits)] < finest) break;
    const FloatGrid grid{.digits = digits};
    if (!sample_fits<Float>(Scale(grid), sample_)) continue;
    if (map(grid, values_.size() / kRowsPerException)) return grid;
  }
  return std::nullopt;
}

template <typename Float, typename Word>
PITBOX_CLONES std::optional<FloatGrid> GridFinder<Float, Word>::find_step() {
  std::vector<double> magnitudes = finite_magnitudes<Float>(sample_);
  std::sort(magnitudes.begin(), magnitudes.end());
  if (magnitudes.size() < 3 || magnitudes.back() == 0.0) return std::nullopt;
  const double greatest = magnitudes.back();
  const double step = step_between<Float>(magnitudes);
  if (step == 0.0 || greatest / step > kGreatestStepMultiple<Float>) return std::nullopt;

  StepBounds bounds{0.0, std::numeric_limits<double>::infinity(), step};
  if (!bounds.narrow<Float>(magnitudes)) return std::nullopt;
  // The sample leaves room for steps that fail elsewhere.
  if (!bounds.narrow<Float>(finite_magnitudes<Float>(values_))) return std::nullopt;
  for (const std::size_t exceptions : {std::size_t{0}, values_.size() / kRowsPerException}) {
    for (const double candidate : candidates_near(bounds.step)) {
      if (!(candidate > 0.0) || !sample_fits<Float>(Scale({.step = candidate}), sample_)) continue;
      if (map({.step = candidate}, exceptions)) return FloatGrid{.step = candidate};
    }
  }
  return std::nullopt;
}

template <typename Float, typename Word>
PITBOX_CLONES bool GridFinder<Float, Word>::map(const FloatGrid& grid,
                                                std::size_t most_exceptions) {
  const Scale scale(grid);
  words_.resize(values_.size());
  exceptions_.clear();
  std::size_t misfits = 0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const double multiple = scale.multiple(static_cast<double>(values_[i]));
    const bool fits = is_on(scale, values_[i]);
    words_[i] = static_cast<Word>(static_cast<Signed<Word>>(fits ? multiple : 0.0));
    misfits += !fits;
  }
  if (misfits == 0) return true;
  if (misfits > most_exceptions) return false;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (is_on(scale, values_[i])) continue;
    exceptions_.push_back(static_cast<std::uint32_t>(i));
    if (i > 0) words_[i] = words_[i - 1];
  }
  return true;
}

template <typename Float, typename Word>
PITBOX_CLONES void restore_from_grid(const FloatGrid& grid, std::span<const Word> words,
                                     std::span<Float> values) {
  const Scale scale(grid);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto multiple = static_cast<double>(static_cast<Signed<Word>>(words[i]));
    values[i] = static_cast<Float>(scale.value(multiple));
  }
}

template std::optional<Lattice<std::uint32_t>> map_to_lattice(std::span<std::uint32_t>);
template std::optional<Lattice<std::uint64_t>> map_to_lattice(std::span<std::uint64_t>);
template void restore_from_lattice(const Lattice<std::uint32_t>&, std::span<std::uint32_t>);
template void restore_from_lattice(const Lattice<std::uint64_t>&, std::span<std::uint64_t>);
template class GridFinder<float, std::uint32_t>;
template class GridFinder<double, std::uint64_t>;
template void restore_from_grid(const FloatGrid&, std::span<const std::uint32_t>, std::span<float>);
template void restore_from_grid(const FloatGrid&, std::span<const std::uint64_t>,
                                std::span<double>);

}  // namespace pitbox
