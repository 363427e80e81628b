#include "proto/transpose.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "proto/check.h"
#include "proto/dispatch.h"

namespace pitbox {
namespace {

// Where the values of neighbouring channels of one width lie.
struct Run {
  const std::byte* from = nullptr;  // The first row's.
  std::size_t stride = 0;           // From row to row.
  std::byte* to = nullptr;          // The first channel's column; the others follow it.
  std::size_t rows = 0;
  std::size_t channels = 0;
};

template <std::size_t kWidth>
void gather(const Run& run, std::size_t channel, std::size_t first_row) {
  const std::byte* const from = run.from + channel * kWidth;
  std::byte* const to = run.to + channel * run.rows * kWidth;
  for (std::size_t row = first_row; row < run.rows; ++row) {
    std::memcpy(to + row * kWidth, from + row * run.stride, kWidth);
  }
}

using Four = std::uint32_t __attribute__((vector_size(16)));

PITBOX_INLINE Four load_four(const std::byte* from) {
  Four value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

PITBOX_INLINE void store_four(std::byte* to, Four value) {
  std::memcpy(to, &value, sizeof value);
}

// Four rows and four channels at a time; a row's cache line is read once for sixteen channels.
PITBOX_CLONES void transpose_words(const Run& run) {
  constexpr std::size_t kChannels = 16;
  const std::size_t whole_rows = run.rows / 4 * 4;
  const std::size_t whole_channels = run.channels / 4 * 4;
  const std::size_t column_bytes = run.rows * 4;
  for (std::size_t first = 0; first < whole_channels; first += kChannels) {
    const std::size_t last = std::min(first + kChannels, whole_channels);
    for (std::size_t row = 0; row < whole_rows; row += 4) {
      const std::byte* const from = run.from + row * run.stride;
      for (std::size_t channel = first; channel < last; channel += 4) {
        const std::byte* const block = from + channel * 4;
        const Four a = load_four(block);
        const Four b = load_four(block + run.stride);
        const Four c = load_four(block + 2 * run.stride);
        const Four d = load_four(block + 3 * run.stride);
        const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
        const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
        const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        std::byte* const to = run.to + channel * column_bytes + row * 4;
        store_four(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
        store_four(to + column_bytes, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
        store_four(to + 2 * column_bytes, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
        store_four(to + 3 * column_bytes, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
      }
    }
  }
  for (std::size_t channel = 0; channel < run.channels; ++channel) {
    gather<4>(run, channel, channel < whole_channels ? whole_rows : 0);
  }
}

template <std::size_t kWidth>
void gather_all(const Run& run) {
  for (std::size_t channel = 0; channel < run.channels; ++channel) gather<kWidth>(run, channel, 0);
}

void transpose_run(std::size_t width, const Run& run) {
  if (width == 1) return gather_all<1>(run);
  if (width == 2) return gather_all<2>(run);
  if (width == 4) return transpose_words(run);
  return gather_all<8>(run);
}

}  // namespace

void transpose_rows(const Definition& definition, std::span<const std::byte> rows,
                    std::span<std::byte> columns) {
  const std::size_t row_bytes = definition.row_bytes();
  CHECK(rows.size() == columns.size() && rows.size() % row_bytes == 0);
  const auto& channels = definition.channels();
  Run run{.from = rows.data(),
          .stride = row_bytes,
          .to = columns.data(),
          .rows = rows.size() / row_bytes,
          .channels = 0};
  for (std::size_t first = 0; first < channels.size();) {
    const std::size_t width = width_of(channels[first].type);
    std::size_t end = first + 1;
    while (end < channels.size() && width_of(channels[end].type) == width) ++end;
    run.channels = end - first;
    run.from = rows.data() + definition.column_offset(first);
    transpose_run(width, run);
    run.to += run.channels * width * run.rows;
    first = end;
  }
}

}  // namespace pitbox
