#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "proto/bit_shuffle.h"
#include "proto/check.h"
#include "proto/column.h"
#include "proto/column_words.h"
#include "proto/grid.h"

namespace pitbox {
namespace {

struct Choice {
  Coder coder = Coder::kBytes;
  Predictor predictor = Predictor::kFloor;
  Mapping mapping = Mapping::kValue;
};

Choice choice_of(std::uint8_t byte) {
  const int predictor = (byte >> 3 & 3) | (byte >> 7) << 2;
  return {static_cast<Coder>(byte & 7), static_cast<Predictor>(predictor),
          static_cast<Mapping>(byte >> 5 & 3)};
}

bool is_grid(Mapping mapping) {
  return mapping == Mapping::kDecimal || mapping == Mapping::kStep;
}

bool is_allowed_choice(const Choice& choice, CodedAs coded_as, StorageType type, std::size_t rows) {
  const auto last = coded_as == CodedAs::kBlock ? Predictor::kTrend : Predictor::kLine;
  if (choice.predictor > last) return false;
  if (choice.coder == Coder::kBytes || choice.coder > Coder::kRuns) return false;
  if (rows < seed_count(choice.predictor)) return false;
  if (choice.mapping == Mapping::kLattice && is_float(type)) return false;
  return !is_grid(choice.mapping) || is_float(type);
}

// Parameters of the mapping; a default one where the choice has none.
template <typename Word>
struct MappingParameters {
  Lattice<Word> lattice;
  FloatGrid grid;
};

template <typename Word>
bool take_lattice(ByteReader& stream, Lattice<Word>& lattice) {
  const std::uint64_t step = stream.take_varint();
  const std::uint64_t remainder = stream.take_varint();
  lattice = {static_cast<Word>(step), static_cast<Word>(remainder)};
  return stream.ok() && step >= 2 && lattice.step == step && remainder < step;
}

bool take_grid(ByteReader& stream, Mapping mapping, FloatGrid& grid) {
  if (mapping == Mapping::kDecimal) {
    const std::uint8_t digits = stream.take_byte();
    grid.digits = digits & ~kDecimalMultiple;
    if (!stream.ok() || grid.digits > kMaxDecimalDigits) return false;
    if ((digits & kDecimalMultiple) == 0) return true;
    const std::uint64_t multiple = stream.take_varint();
    grid.multiple = static_cast<std::uint32_t>(multiple);
    return stream.ok() && multiple >= 2 && multiple <= kGreatestDecimalMultiple;
  }
  const auto bytes = stream.take(sizeof grid.step);
  if (bytes.empty()) return false;
  std::memcpy(&grid.step, bytes.data(), sizeof grid.step);
  return std::isfinite(grid.step) && grid.step > 0.0;
}

template <typename Word>
bool take_seeds(ByteReader& stream, Prediction<Word>& prediction) {
  for (std::size_t i = 0; i < seed_count(prediction.predictor); ++i) {
    const std::uint64_t seed = stream.take_varint();
    if (static_cast<Word>(seed) != seed) return false;
    prediction.seeds[i] = unzigzag(static_cast<Word>(seed));
  }
  if (prediction.predictor == Predictor::kTrend) prediction.gains = stream.take_byte();
  return stream.ok();
}

// The one byte that says how residuals were coded; -1 if it is out of range.
template <typename Word>
int take_coder_parameter(ByteReader& stream, Coder coder) {
  if (coder == Coder::kRice) {
    const int shift = stream.take_byte();
    return stream.ok() && shift <= kRiceMaxShift ? shift : -1;
  }
  if (coder == Coder::kPlanes) {
    const int planes = stream.take_byte();
    return planes >= 1 && planes <= static_cast<int>(sizeof(Word) * 8) ? planes : -1;
  }
  return 0;
}

template <typename Word>
bool take_runs(ByteReader& stream, std::span<Word> residuals) {
  std::size_t at = 0;
  while (at < residuals.size()) {
    const std::uint64_t zeros = stream.take_varint();
    if (!stream.ok() || zeros > residuals.size() - at) return false;
    std::fill_n(residuals.data() + at, zeros, Word{0});
    at += static_cast<std::size_t>(zeros);
    if (at == residuals.size()) return true;
    const std::uint64_t residual = stream.take_varint();
    if (residual == 0 || static_cast<Word>(residual) != residual) return false;
    residuals[at++] = static_cast<Word>(residual);
  }
  return true;
}

template <typename Float, typename Word>
void store_grid(const FloatGrid& grid, std::span<const Word> words, std::span<std::byte> column) {
  constexpr std::size_t kBlock = 256;
  std::array<Float, kBlock> values;
  for (std::size_t at = 0; at < words.size(); at += kBlock) {
    const auto part = words.subspan(at, std::min(kBlock, words.size() - at));
    restore_from_grid<Float, Word>(grid, part, std::span(values).first(part.size()));
    std::memcpy(column.data() + at * sizeof(Float), values.data(), part.size() * sizeof(Float));
  }
}

}  // namespace

template <>
ColumnWords<std::uint32_t>& ColumnDecoder::scratch() {
  return narrow_;
}
template <>
ColumnWords<std::uint64_t>& ColumnDecoder::scratch() {
  return wide_;
}

bool ColumnDecoder::decode(StorageType type, std::span<std::byte> column) {
  const std::size_t width = width_of(type);
  CHECK(!column.empty() && column.size() % width == 0);
  const std::uint8_t choice = stream_.take_byte();
  if (!stream_.ok()) return false;
  if (choice == static_cast<std::uint8_t>(Coder::kBytes)) {
    const auto planes = stream_.take(column.size());
    if (planes.empty()) return false;
    restore_byte_planes(planes, width, column);
    return true;
  }
  return width == 8 ? decode_words<std::uint64_t>(type, choice, column)
                    : decode_words<std::uint32_t>(type, choice, column);
}

template <typename Word>
bool ColumnDecoder::decode_words(StorageType type, std::uint8_t choice_bits,
                                 std::span<std::byte> column) {
  const std::size_t width = width_of(type);
  const std::size_t rows = column.size() / width;
  const Choice choice = choice_of(choice_bits);
  if (!is_allowed_choice(choice, coded_as_, type, rows)) return false;

  MappingParameters<Word> parameters;
  if (choice.mapping == Mapping::kLattice && !take_lattice(stream_, parameters.lattice)) {
    return false;
  }
  if (is_grid(choice.mapping) && !take_grid(stream_, choice.mapping, parameters.grid)) return false;
  Prediction<Word> prediction;
  prediction.predictor = choice.predictor;
  if (!take_seeds(stream_, prediction)) return false;
  const int coder_parameter = take_coder_parameter<Word>(stream_, choice.coder);
  if (coder_parameter < 0) return false;
  exceptions_.clear();
  if (is_grid(choice.mapping) && !take_exceptions(rows, width)) return false;

  auto& [words, residuals] = scratch<Word>();
  residuals.resize(residual_count(choice.predictor, rows));
  if (!decode_residuals<Word>(choice.coder, coder_parameter, residuals)) return false;
  words.resize(rows);
  restore_words<Word>(prediction, residuals, words);
  if (is_grid(choice.mapping)) {
    using Float = std::conditional_t<sizeof(Word) == 4, float, double>;
    store_grid<Float, Word>(parameters.grid, words, column);
    restore_exceptions(width, column);
    return true;
  }
  if (choice.mapping == Mapping::kLattice) restore_from_lattice<Word>(parameters.lattice, words);
  store_words<Word>(type, words, column);
  return true;
}

template <typename Word>
bool ColumnDecoder::decode_residuals(Coder coder, int parameter, std::span<Word> residuals) {
  switch (coder) {
    case Coder::kConstant:
      std::fill(residuals.begin(), residuals.end(), Word{0});
      return true;
    case Coder::kRice:
      return dense_.read<Word>(parameter, residuals);
    case Coder::kPlanes: {
      const std::size_t size =
          bit_plane_bytes(residuals.size()) * static_cast<std::size_t>(parameter);
      const auto planes = stream_.take(size);
      if (planes.size() != size || !stream_.ok()) return false;
      restore_bit_planes<Word>(planes, parameter, residuals);
      return true;
    }
    case Coder::kRuns:
      return take_runs(stream_, residuals);
    case Coder::kBytes:
      break;
  }
  return false;
}

bool ColumnDecoder::take_exceptions(std::size_t rows, std::size_t width) {
  const std::uint64_t count = stream_.take_varint();
  if (!stream_.ok() || count > rows / kRowsPerException) return false;
  std::size_t next = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t gap = stream_.take_varint();
    if (!stream_.ok() || gap >= rows - next) return false;
    const std::size_t row = next + static_cast<std::size_t>(gap);
    const auto value = stream_.take(width);
    if (value.empty()) return false;
    exceptions_.push_back({row, value});
    next = row + 1;
    if (next == rows && i + 1 < count) return false;
  }
  return true;
}

void ColumnDecoder::restore_exceptions(std::size_t width, std::span<std::byte> column) const {
  for (const Exception& exception : exceptions_) {
    std::copy(exception.value.begin(), exception.value.end(),
              column.begin() + static_cast<std::ptrdiff_t>(exception.row * width));
  }
}

}  // namespace pitbox
