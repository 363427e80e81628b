#include "apps/bench/size_bound.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/launch/child_process.h"
#include "proto/bit_shuffle.h"
#include "proto/byte_reader.h"
#include "proto/column_words.h"
#include "proto/grid.h"
#include "proto/predictor.h"
#include "proto/transpose.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kXz = "/usr/bin/xz";

// A whole recording in each order.
struct Orders {
  std::string values;
  std::string planes;
  std::string differences;
};

template <typename Word>
void append_planes(std::string& out, std::span<const Word> words) {
  append_byte_planes(out, std::as_bytes(words), sizeof(Word));
}

template <typename Word>
void add_words(std::span<Word> words, Orders& orders) {
  append_planes<Word>(orders.planes, words);
  Word before = 0;
  for (Word& word : words) {
    const Word here = word;
    word = zigzag<Word>(static_cast<std::make_signed_t<Word>>(static_cast<Word>(here - before)));
    before = here;
  }
  append_planes<Word>(orders.differences, words);
}

template <typename Float, typename Word>
void add_floats(std::span<const std::byte> column, Orders& orders) {
  GridFinder<Float, Word> finder;
  if (!finder.find(column)) {
    append_byte_planes(orders.planes, column, sizeof(Float));
    append_byte_planes(orders.differences, column, sizeof(Float));
    return;
  }
  std::vector<Word> words(finder.words().begin(), finder.words().end());
  add_words<Word>(words, orders);
  // Its exceptions, as they are; where they stand comes free.
  for (const std::uint32_t row : finder.exceptions()) {
    const auto value = column.subspan(row * sizeof(Float), sizeof(Float));
    append_byte_planes(orders.planes, value, sizeof(Float));
    append_byte_planes(orders.differences, value, sizeof(Float));
  }
}

template <typename Word>
void add_integers(StorageType type, std::span<const std::byte> column, Orders& orders) {
  std::vector<Word> words(column.size() / width_of(type));
  load_words<Word>(type, column, words);
  map_to_lattice<Word>(words);
  add_words<Word>(words, orders);
}

void add_column(StorageType type, std::span<const std::byte> column, Orders& orders) {
  if (type == StorageType::kF32) return add_floats<float, std::uint32_t>(column, orders);
  if (type == StorageType::kF64) return add_floats<double, std::uint64_t>(column, orders);
  if (width_of(type) == 8) return add_integers<std::uint64_t>(type, column, orders);
  return add_integers<std::uint32_t>(type, column, orders);
}

Orders order(const CarRecording& recording) {
  Orders orders;
  std::vector<std::byte> transposed;
  for (const GroupRows& group : recording.groups) {
    transposed.resize(group.rows.size());
    transpose_rows(*group.definition, group.rows, transposed);
    orders.values.append(reinterpret_cast<const char*>(transposed.data()), transposed.size());
    std::span<const std::byte> rest(transposed);
    for (const Channel& channel : group.definition->channels()) {
      const auto column = rest.first(group.row_count() * width_of(channel.type));
      rest = rest.subspan(column.size());
      add_column(channel.type, column, orders);
    }
  }
  return orders;
}

}  // namespace

Result<SizeBounds> SizeBound::measure(const CarRecording& recording) const {
  if (!fs::exists(kXz)) return SizeBounds{};
  const Orders orders = order(recording);
  SizeBounds bounds;
  for (const auto& [bytes, size] :
       {std::pair(&orders.values, &bounds.values), std::pair(&orders.planes, &bounds.planes),
        std::pair(&orders.differences, &bounds.differences)}) {
    const auto packed = pack(*bytes);
    if (!packed.ok()) return packed.status();
    *size = packed.value();
  }
  return bounds;
}

Result<std::uint64_t> SizeBound::pack(const std::string& bytes) const {
  const fs::path file = folder / ("pitbox-size-bound-" + std::to_string(getpid()));
  const fs::path packed = file.string() + ".xz";
  std::FILE* const out = std::fopen(file.c_str(), "wb");
  const bool is_written =
      out != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size();
  const bool is_closed = out != nullptr && std::fclose(out) == 0;
  Status done = is_written && is_closed ? run_xz(file)
                                        : Status(Code::kFatal, "cannot write " + file.string());
  std::error_code error;
  const std::uintmax_t size = fs::file_size(packed, error);
  if (done.ok() && error) done = Status(Code::kFatal, packed.string() + ": " + error.message());
  fs::remove(file, error);
  fs::remove(packed, error);
  if (!done.ok()) return done;
  return std::uint64_t{size};
}

Status SizeBound::run_xz(const fs::path& file) const {
  auto started =
      ChildProcess::start({.program = kXz,
                           .arguments = {"--keep", "--force", "-9e", "--threads=1", file.string()},
                           .environment = {},
                           .sockets = {},
                           .output = {}});
  if (!started.ok()) return started.status();
  ChildProcess process = std::move(started).take();
  std::optional<int> code;
  while (!(code = process.wait(std::chrono::milliseconds(100)))) {
    if (should_stop()) return {Code::kTryAgain, "stopped"};
  }
  return *code == 0 ? Status() : Status(Code::kFatal, "xz failed");
}

}  // namespace pitbox
