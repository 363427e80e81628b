// One column of a batch, from raw values to its coded form and back (FORMAT.md, "Choice").
//
// The encoder measures a column in two passes over its words (of a block, in a third one by trends)
// and takes the coder whose estimated size is least; only the chosen one is run. The decoder trusts
// nothing: every count is checked against the bytes that are there. Objects keep their scratch
// memory from column to column; one thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proto/batch_memory.h"
#include "proto/byte_reader.h"
#include "proto/definition.h"
#include "proto/grid.h"
#include "proto/predictor.h"
#include "proto/rice.h"

namespace pitbox {

// Numbered as in FORMAT.md.
enum class Coder : std::uint8_t { kBytes = 0, kConstant = 1, kRice = 2, kPlanes = 3, kRuns = 4 };
enum class Mapping : std::uint8_t { kValue = 0, kLattice = 1, kDecimal = 2, kStep = 3 };
// Of a decimal mapping's first byte: a multiple follows.
inline constexpr std::uint8_t kDecimalMultiple = 0x10;

// What columns are coded for. A block's may also be predicted by `trend`.
enum class CodedAs : std::uint8_t { kBatch, kBlock };

// A coded column takes at most its raw size and this many bytes of the stream; so do limits count.
inline constexpr std::size_t kColumnOverheadBytes = 64;

// What the encoder has decided about a column's words.
template <typename Word>
struct ColumnPlan {
  Coder coder = Coder::kBytes;
  ResidualSummary<Word> summary;
  std::uint64_t bits = 0;  // Estimated, without the mapping's parameters.
};

// A column on its lattice or grid, if it has one.
template <typename Word>
struct MappedColumn {
  Mapping mapping = Mapping::kValue;
  std::string parameters;
  std::string exceptions;
  std::span<const Word> words;
};

// Scratch of one word width.
template <typename Word>
struct ColumnWords {
  std::vector<Word> words;
  std::vector<Word> residuals;
};

class ColumnEncoder {
 public:
  // Both must outlive the encoder.
  ColumnEncoder(std::string& stream, RiceWriter& dense, CodedAs coded_as)
      : stream_(stream), dense_(dense), coded_as_(coded_as) {}

  // Appends the column with its choice. REQUIRES: at least one value; a whole number of values.
  // `memory`: of the channel; may be null.
  void encode(StorageType type, std::span<const std::byte> column, ColumnMemory* memory = nullptr);

 private:
  template <typename Word>
  void encode_constant(StorageType type, std::span<const std::byte> column);
  template <typename Word>
  void encode_words(StorageType type, std::span<const std::byte> column);
  template <typename Float, typename Word>
  bool encode_on_grid(std::span<const std::byte> column, GridFinder<Float, Word>& finder,
                      ColumnMemory* memory);
  void encode_bytes(std::span<const std::byte> column, std::size_t width);
  template <typename Word>
  void append(const ColumnPlan<Word>& plan, const MappedColumn<Word>& column);

  template <typename Word>
  ColumnWords<Word>& scratch();

  std::string& stream_;
  RiceWriter& dense_;
  const CodedAs coded_as_;
  ColumnWords<std::uint32_t> narrow_;
  ColumnWords<std::uint64_t> wide_;
  GridFinder<float, std::uint32_t> float_grid_;
  GridFinder<double, std::uint64_t> double_grid_;
};

class ColumnDecoder {
 public:
  // Both must outlive the decoder.
  ColumnDecoder(ByteReader& stream, RiceReader& dense, CodedAs coded_as)
      : stream_(stream), dense_(dense), coded_as_(coded_as) {}

  // Fills `column`. False if the bytes are not a column of that type and size; nothing can be read
  // after that. REQUIRES: column.size() is a positive multiple of the type's width.
  bool decode(StorageType type, std::span<std::byte> column);

 private:
  template <typename Word>
  bool decode_words(StorageType type, std::uint8_t choice, std::span<std::byte> column);
  template <typename Word>
  bool decode_residuals(Coder coder, int parameter, std::span<Word> residuals);
  bool take_exceptions(std::size_t rows, std::size_t width);
  void restore_exceptions(std::size_t width, std::span<std::byte> column) const;

  template <typename Word>
  ColumnWords<Word>& scratch();

  struct Exception {
    std::size_t row = 0;
    std::span<const std::byte> value;
  };

  ByteReader& stream_;
  RiceReader& dense_;
  const CodedAs coded_as_;
  ColumnWords<std::uint32_t> narrow_;
  ColumnWords<std::uint64_t> wide_;
  std::vector<Exception> exceptions_;
};

}  // namespace pitbox
