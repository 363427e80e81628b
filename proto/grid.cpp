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

namespace pitbox {
namespace {

template <typename Word>
using Signed = std::make_signed_t<Word>;

constexpr std::array<double, kMaxDecimalDigits + 1> kPowersOfTen = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

constexpr std::size_t kSampleRows = 24;
constexpr std::size_t kRowsPerException = 8;

// A grid finer than a float's own steps would gain nothing.
template <typename Float>
constexpr int kMostDigits = sizeof(Float) == 4 ? 7 : 12;
template <typename Float>
constexpr double kGreatestMultiple = sizeof(Float) == 4 ? 0x1p30 : 0x1p51;
template <typename Float>
constexpr double kGreatestStepMultiple = sizeof(Float) == 4 ? 0x1p20 : 0x1p40;

// To the nearest integer, exact for |x| < 2^51: adding pushes the fraction out of the mantissa.
// Unlike std::nearbyint it needs no call, so loops around it vectorise on any machine.
double nearest(double x) {
  constexpr double kPush = 0x1.8p52;
  return (x + kPush) - kPush;
}

// A grid as two numbers, chosen once per column and not per value.
struct Scale {
  explicit Scale(const FloatGrid& grid)
      : divides(grid.step == 0.0),
        unit(divides ? kPowersOfTen[static_cast<std::size_t>(grid.digits)] : grid.step),
        inverse(divides ? unit : 1.0 / unit) {}

  double multiple(double value) const { return nearest(value * inverse); }
  double value(double multiple) const { return divides ? multiple / unit : multiple * unit; }

  bool divides;
  double unit;
  double inverse;
};

template <typename Float>
bool same_bits(Float a, Float b) {
  using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<Bits>(a) == std::bit_cast<Bits>(b);
}

template <typename Float>
bool is_on(const Scale& scale, Float value) {
  const double multiple = scale.multiple(static_cast<double>(value));
  return std::abs(multiple) < kGreatestMultiple<Float> &&
         same_bits(static_cast<Float>(scale.value(multiple)), value);
}

template <typename Float>
bool sample_fits(const Scale& scale, std::span<const Float> sample) {
  std::size_t misfits = 0;
  for (const Float value : sample) {
    if (is_on(scale, value)) continue;
    if (++misfits > sample.size() / kRowsPerException) return false;
  }
  return true;
}

// Half the distance to the next Float: what rounding may have moved the value by.
template <typename Float>
double half_ulp(double magnitude) {
  const auto value = static_cast<Float>(magnitude);
  const Float next = std::nextafter(value, std::numeric_limits<Float>::infinity());
  return (static_cast<double>(next) - static_cast<double>(value)) / 2;
}

// Greatest common divisor of numbers that rounding has blurred by up to `blur`; 0 if there is none
// well above it.
double common_divisor(std::span<const double> ascending, double blur) {
  double divisor = 0.0;
  for (std::size_t i = 1; i < ascending.size(); ++i) {
    double a = ascending[i] - ascending[i - 1];
    double b = divisor;
    while (b > blur) {
      double rest = std::fmod(a, b);
      if (b - rest < blur) rest = 0.0;
      a = b;
      b = rest;
    }
    if (a > blur) divisor = a;
    if (divisor > 0.0 && divisor < 16 * blur) return 0.0;
  }
  return divisor;
}

}  // namespace

template <typename Word>
std::optional<Lattice<Word>> map_to_lattice(std::span<Word> words) {
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
void restore_from_lattice(const Lattice<Word>& lattice, std::span<Word> words) {
  for (Word& word : words) word = lattice.remainder + lattice.step * word;
}

template <typename Float, typename Word>
std::optional<FloatGrid> GridFinder<Float, Word>::find(std::span<const std::byte> column) {
  values_.resize(column.size() / sizeof(Float));
  std::memcpy(values_.data(), column.data(), column.size());
  take_sample();
  if (auto grid = find_decimal()) return grid;
  return find_step();
}

template <typename Float, typename Word>
void GridFinder<Float, Word>::take_sample() {
  sample_.clear();
  const std::size_t stride = std::max<std::size_t>(1, values_.size() / kSampleRows);
  for (std::size_t i = 0; i < values_.size(); i += stride) sample_.push_back(values_[i]);
}

template <typename Float, typename Word>
std::optional<FloatGrid> GridFinder<Float, Word>::find_decimal() {
  for (int digits = 0; digits <= kMostDigits<Float>; ++digits) {
    const FloatGrid grid{digits, 0.0};
    if (!sample_fits<Float>(Scale(grid), sample_)) continue;
    if (map(grid)) return grid;
  }
  return std::nullopt;
}

template <typename Float, typename Word>
std::optional<FloatGrid> GridFinder<Float, Word>::find_step() {
  std::vector<double> magnitudes;
  for (const Float value : sample_) {
    if (std::isfinite(value)) magnitudes.push_back(std::abs(static_cast<double>(value)));
  }
  std::sort(magnitudes.begin(), magnitudes.end());
  if (magnitudes.size() < 3 || magnitudes.back() == 0.0) return std::nullopt;
  const double greatest = magnitudes.back();
  double step = common_divisor(magnitudes, 4 * half_ulp<Float>(greatest));
  if (step == 0.0 || greatest / step > kGreatestStepMultiple<Float>) return std::nullopt;

  // Every value says between which two numbers the step must lie, the greater ones more narrowly.
  double low = 0.0;
  double high = std::numeric_limits<double>::infinity();
  for (const double magnitude : magnitudes) {
    const double multiple = nearest(magnitude / step);
    if (multiple == 0.0) continue;
    const double blur = half_ulp<Float>(magnitude);
    low = std::max(low, (magnitude - blur) / multiple);
    high = std::min(high, (magnitude + blur) / multiple);
    if (low > high) return std::nullopt;
    step = low + (high - low) / 2;
  }
  // Whoever multiplied may have done so with a step of type float.
  const auto rounded = static_cast<double>(static_cast<float>(step));
  for (const double candidate : {rounded, step}) {
    if (candidate < low || candidate > high || !(candidate > 0.0)) continue;
    const FloatGrid grid{0, candidate};
    if (sample_fits<Float>(Scale(grid), sample_) && map(grid)) return grid;
  }
  return std::nullopt;
}

template <typename Float, typename Word>
bool GridFinder<Float, Word>::map(const FloatGrid& grid) {
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
  if (misfits > values_.size() / kRowsPerException) return false;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (is_on(scale, values_[i])) continue;
    exceptions_.push_back(static_cast<std::uint32_t>(i));
    if (i > 0) words_[i] = words_[i - 1];
  }
  return true;
}

template <typename Float, typename Word>
void restore_from_grid(const FloatGrid& grid, std::span<const Word> words,
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
