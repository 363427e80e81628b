// Grids: the coarser set of numbers that a column's values really come from. A clock in ns that
// ticks in us, a 12-bit converter's volts in a float32, decimal text: on its grid a value is a
// small integer (FORMAT.md, "Mapping").
//
// A grid is used only where it gives back every bit of every value, but for listed exceptions
// (-0.0, NaN, infinities, a break of the grid): at most one row in eight. Plain functions.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pitbox {

// A grid may miss one row in so many (FORMAT.md, "Grids"); the rest are its exceptions.
inline constexpr std::size_t kRowsPerException = 8;

inline constexpr int kMaxDecimalDigits = 15;

// Integers: value = remainder + step * k.
template <typename Word>
struct Lattice {
  Word step = 1;
  Word remainder = 0;
};

// The coarsest lattice with step >= 2 that holds all words, taken as signed numbers, or nothing.
// On success `words` become k.
template <typename Word>
std::optional<Lattice<Word>> map_to_lattice(std::span<Word> words);

template <typename Word>
void restore_from_lattice(const Lattice<Word>& lattice, std::span<Word> words);

// Floats: value = k * multiple / 10^digits if step is 0, else k * step; computed in double from
// left to right, then rounded to Float.
struct FloatGrid {
  int digits = 0;
  std::uint32_t multiple = 1;
  double step = 0.0;
};
inline constexpr std::uint32_t kGreatestDecimalMultiple = (std::uint32_t{1} << 31) - 1;

// Float is float with Word = uint32_t, or double with uint64_t.
template <typename Float, typename Word>
class GridFinder {
 public:
  // Looks for a grid under the values of a column. On success words() holds k for every row (an
  // exception gets its neighbour's) and exceptions() the rows that are not on it, ascending.
  // `coarsens`: what all decimals are multiples of is taken out, as of a converter's counts times
  // its factor.
  std::optional<FloatGrid> find(std::span<const std::byte> column, bool coarsens = true);
  // Likewise, if `grid` is one for them; if it has a multiple, with no exceptions but -0.0, NaN and
  // infinities.
  bool take(std::span<const std::byte> column, const FloatGrid& grid);

  std::span<const Word> words() const { return words_; }
  std::span<const std::uint32_t> exceptions() const { return exceptions_; }

 private:
  std::optional<FloatGrid> find_decimal();
  std::uint32_t take_out_multiple();
  std::optional<FloatGrid> find_step();
  void load(std::span<const std::byte> column);
  void take_sample();
  bool map(const FloatGrid& grid, std::size_t most_exceptions);

  std::vector<Float> values_;
  std::vector<Float> sample_;
  std::vector<Word> words_;
  std::vector<std::uint32_t> exceptions_;
};

// values[i] from words[i] on that grid. REQUIRES: equal sizes, digits <= kMaxDecimalDigits.
template <typename Float, typename Word>
void restore_from_grid(const FloatGrid& grid, std::span<const Word> words, std::span<Float> values);

}  // namespace pitbox
