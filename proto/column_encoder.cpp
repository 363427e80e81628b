#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "proto/bit_shuffle.h"
#include "proto/check.h"
#include "proto/column.h"
#include "proto/column_words.h"
#include "proto/trend.h"

namespace pitbox {
namespace {

// What zstd makes of the byte planes of full floats, about: sign and exponent hardly change.
constexpr std::uint64_t kFloatBytesPercent = 85;

// A nonzero residual in otherwise empty planes costs about this much per plane it appears in.
constexpr std::uint64_t kSparseBitsPerPlane = 10;

std::uint8_t choice_byte(Coder coder, Predictor predictor, Mapping mapping) {
  const auto number = static_cast<unsigned>(predictor);
  return static_cast<std::uint8_t>(static_cast<unsigned>(coder) | (number & 3) << 3 |
                                   static_cast<unsigned>(mapping) << 5 | number >> 2 << 7);
}

template <typename Word>
std::uint64_t seed_value(Word seed) {
  return zigzag<Word>(static_cast<std::make_signed_t<Word>>(seed));
}

template <typename Word>
std::uint64_t seed_bits(const Prediction<Word>& prediction) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < seed_count(prediction.predictor); ++i) {
    bytes += varint_bytes(seed_value(prediction.seeds[i]));
  }
  return 8 * bytes;
}

// Mean of the residuals that are not zero.
template <typename Word>
std::uint64_t mean_nonzero(const ResidualSummary<Word>& summary) {
  return summary.nonzero == 0 ? 0 : summary.sum / summary.nonzero;
}

// Bits of the residuals as bit planes under zstd: all of them, or much less if most are zero.
template <typename Word>
std::uint64_t estimate_plane_bits(const ResidualSummary<Word>& summary) {
  const std::uint64_t full =
      8 * bit_plane_bytes(summary.count) * static_cast<std::uint64_t>(summary.bits);
  const auto touched = (static_cast<std::uint64_t>(std::bit_width(mean_nonzero(summary))) + 3) / 2;
  return std::min(full, summary.nonzero * touched * kSparseBitsPerPlane + 16);
}

// Bits of the residuals as runs of zeros, each ended by a residual.
template <typename Word>
std::uint64_t estimate_run_bits(const ResidualSummary<Word>& summary) {
  return 8 + summary.nonzero * 8 * (1 + varint_bytes(mean_nonzero(summary)));
}

// The cheapest coder for words that are not all equal.
template <typename Word>
ColumnPlan<Word> make_plan(std::span<const Word> words, std::uint64_t bytes_bits,
                           CodedAs coded_as) {
  constexpr std::uint64_t kParameterBits = 8;
  ColumnPlan<Word> best;
  best.bits = bytes_bits;
  const auto consider = [&](Coder coder, const ResidualSummary<Word>& summary, std::uint64_t bits) {
    if (bits >= best.bits) return;
    best = {coder, summary, bits};
  };
  for (const ResidualSummary<Word>& summary : summarise(words)) {
    if (summary.prediction.predictor == Predictor::kLine && words.size() < 3) continue;
    const std::uint64_t seeds = seed_bits(summary.prediction);
    if (summary.bits == 0) consider(Coder::kConstant, summary, seeds);
    const std::uint64_t rice = estimate_rice_bits(summary.count, summary.sum);
    if (rice < best.bits) consider(Coder::kRice, summary, rice + seeds + kParameterBits);
    consider(Coder::kPlanes, summary, estimate_plane_bits(summary) + seeds + kParameterBits);
    const bool may_have_runs = summary.prediction.predictor >= Predictor::kPrevious;
    if (may_have_runs) consider(Coder::kRuns, summary, estimate_run_bits(summary) + seeds);
  }
  // Where the residuals are noise; a trend takes nothing off others.
  if (coded_as == CodedAs::kBlock && best.coder == Coder::kRice) {
    const ResidualSummary<Word> trend = summarise_trend(words);
    const std::uint64_t rice = estimate_rice_bits(trend.count, trend.sum);
    const std::uint64_t seeds = seed_bits(trend.prediction);
    if (rice < best.bits) consider(Coder::kRice, trend, rice + seeds + 2 * kParameterBits);
  }
  return best;
}

// The grid that the column was on before, if it still is; else what a search finds.
template <typename Float, typename Word>
std::optional<FloatGrid> find_grid(std::span<const std::byte> column,
                                   GridFinder<Float, Word>& finder, ColumnMemory& memory) {
  using Found = ColumnMemory::Found;
  bool coarsens = true;
  if (memory.batches_left > 0) {
    --memory.batches_left;
    if (memory.found == Found::kNoGrid) return std::nullopt;
    if (memory.found == Found::kGrid && finder.take(column, memory.grid)) return memory.grid;
    coarsens = false;  // What was too coarse once may be so again.
  }
  const auto grid = finder.find(column, coarsens);
  memory.remember(grid ? &*grid : nullptr);
  return grid;
}

void push(std::string& out, std::uint8_t byte) {
  out.push_back(static_cast<char>(byte));
}

void append_decimal(std::string& out, const FloatGrid& grid) {
  const bool has_multiple = grid.multiple != 1;
  push(out, static_cast<std::uint8_t>(grid.digits | (has_multiple ? kDecimalMultiple : 0)));
  if (has_multiple) append_varint(out, grid.multiple);
}

void append_exceptions(std::string& out, std::span<const std::uint32_t> rows,
                       std::span<const std::byte> column, std::size_t width) {
  append_varint(out, rows.size());
  std::size_t next = 0;
  for (const std::size_t row : rows) {
    append_varint(out, row - next);
    out.append(reinterpret_cast<const char*>(column.data() + row * width), width);
    next = row + 1;
  }
}

bool all_equal(std::span<const std::byte> column, std::size_t width) {
  return std::memcmp(column.data(), column.data() + width, column.size() - width) == 0;
}

template <typename Word>
void append_runs(std::string& stream, std::span<const Word> residuals) {
  std::uint64_t zeros = 0;
  for (const Word residual : residuals) {
    if (residual == 0) {
      ++zeros;
      continue;
    }
    append_varint(stream, zeros);
    append_varint(stream, residual);
    zeros = 0;
  }
  if (zeros > 0) append_varint(stream, zeros);
}

}  // namespace

template <>
ColumnWords<std::uint32_t>& ColumnEncoder::scratch() {
  return narrow_;
}
template <>
ColumnWords<std::uint64_t>& ColumnEncoder::scratch() {
  return wide_;
}

void ColumnEncoder::encode(StorageType type, std::span<const std::byte> column,
                           ColumnMemory* memory) {
  CHECK(!column.empty() && column.size() % width_of(type) == 0);
  const bool is_wide = width_of(type) == 8;
  if (all_equal(column, width_of(type))) {
    return is_wide ? encode_constant<std::uint64_t>(type, column)
                   : encode_constant<std::uint32_t>(type, column);
  }
  if (type == StorageType::kF32 && encode_on_grid(column, float_grid_, memory)) return;
  if (type == StorageType::kF64 && encode_on_grid(column, double_grid_, memory)) return;
  return is_wide ? encode_words<std::uint64_t>(type, column)
                 : encode_words<std::uint32_t>(type, column);
}

template <typename Word>
void ColumnEncoder::encode_constant(StorageType type, std::span<const std::byte> column) {
  Word word = 0;
  load_words<Word>(type, column.first(width_of(type)), std::span(&word, 1));
  ColumnPlan<Word> plan;
  plan.coder = Coder::kConstant;
  plan.summary.prediction.seeds[0] = word;
  if (seed_bits(plan.summary.prediction) > 8 * column.size()) {
    return encode_bytes(column, width_of(type));
  }
  append(plan, MappedColumn<Word>{});
}

void ColumnEncoder::encode_bytes(std::span<const std::byte> column, std::size_t width) {
  push(stream_, choice_byte(Coder::kBytes, Predictor::kFloor, Mapping::kValue));
  append_byte_planes(stream_, column, width);
}

template <typename Word>
void ColumnEncoder::encode_words(StorageType type, std::span<const std::byte> column) {
  std::vector<Word>& words = scratch<Word>().words;
  words.resize(column.size() / width_of(type));
  load_words<Word>(type, column, words);
  MappedColumn<Word> mapped;
  mapped.words = words;
  std::uint64_t bytes_bits = 8 * column.size();
  if (is_float(type)) {
    bytes_bits = bytes_bits * kFloatBytesPercent / 100;
  } else if (const auto lattice = map_to_lattice<Word>(words)) {
    mapped.mapping = Mapping::kLattice;
    append_varint(mapped.parameters, lattice->step);
    append_varint(mapped.parameters, lattice->remainder);
  }
  const ColumnPlan<Word> plan = make_plan<Word>(words, bytes_bits, coded_as_);
  if (plan.coder == Coder::kBytes) return encode_bytes(column, width_of(type));

  const std::size_t start = stream_.size();
  append(plan, mapped);
  if (stream_.size() - start <= column.size() + kColumnOverheadBytes) return;
  // The estimate was far off. What Rice writes is not in the stream and cannot bring us here.
  CHECK(plan.coder != Coder::kRice);
  stream_.resize(start);
  encode_bytes(column, width_of(type));
}

// False, with nothing appended, if the values are on no grid or their own bits are cheaper.
template <typename Float, typename Word>
bool ColumnEncoder::encode_on_grid(std::span<const std::byte> column,
                                   GridFinder<Float, Word>& finder, ColumnMemory* memory) {
  ColumnMemory none;
  if (memory == nullptr) memory = &none;
  const auto grid = find_grid(column, finder, *memory);
  if (!grid) return false;
  const std::uint64_t raw_bits = 8 * column.size();
  MappedColumn<Word> mapped;
  mapped.words = finder.words();
  append_exceptions(mapped.exceptions, finder.exceptions(), column, sizeof(Float));
  const ColumnPlan<Word> plan = make_plan<Word>(finder.words(), raw_bits, coded_as_);
  if (plan.coder == Coder::kBytes) {
    memory->remember(nullptr);
    return false;
  }
  const std::uint64_t grid_bits = plan.bits + 8 * mapped.exceptions.size();
  if (grid_bits > raw_bits / 2) {
    std::vector<Word>& words = scratch<Word>().words;
    words.resize(column.size() / sizeof(Float));
    const auto type = sizeof(Float) == 4 ? StorageType::kF32 : StorageType::kF64;
    load_words<Word>(type, column, words);
    const std::uint64_t bytes_bits = raw_bits * kFloatBytesPercent / 100;
    if (make_plan<Word>(words, bytes_bits, coded_as_).bits <= grid_bits) {
      memory->remember(nullptr);
      return false;
    }
  }
  if (grid->step == 0.0) {
    mapped.mapping = Mapping::kDecimal;
    append_decimal(mapped.parameters, *grid);
  } else {
    mapped.mapping = Mapping::kStep;
    mapped.parameters.append(reinterpret_cast<const char*>(&grid->step), sizeof grid->step);
  }
  const std::size_t start = stream_.size();
  append(plan, mapped);
  if (stream_.size() - start <= column.size() + kColumnOverheadBytes) return true;
  CHECK(plan.coder != Coder::kRice);
  stream_.resize(start);
  return false;
}

template <typename Word>
void ColumnEncoder::append(const ColumnPlan<Word>& plan, const MappedColumn<Word>& column) {
  const ResidualSummary<Word>& summary = plan.summary;
  const Prediction<Word>& prediction = summary.prediction;
  push(stream_, choice_byte(plan.coder, prediction.predictor, column.mapping));
  stream_ += column.parameters;
  for (std::size_t i = 0; i < seed_count(prediction.predictor); ++i) {
    append_varint(stream_, seed_value(prediction.seeds[i]));
  }
  if (prediction.predictor == Predictor::kTrend) push(stream_, prediction.gains);
  std::vector<Word>& residuals = scratch<Word>().residuals;
  if (plan.coder != Coder::kConstant) take_residuals(prediction, column.words, residuals);
  RiceChoice rice;
  if (plan.coder == Coder::kRice) {
    rice = choose_rice<Word>(residuals, summary.sum);
    push(stream_, static_cast<std::uint8_t>(rice.shift));
  }
  if (plan.coder == Coder::kPlanes) push(stream_, static_cast<std::uint8_t>(summary.bits));
  stream_ += column.exceptions;
  if (plan.coder == Coder::kRice) dense_.write<Word>(residuals, rice);
  if (plan.coder == Coder::kPlanes) append_bit_planes<Word>(stream_, residuals, summary.bits);
  if (plan.coder == Coder::kRuns) append_runs<Word>(stream_, residuals);
}

}  // namespace pitbox
