// A batch in memory and its coded form (FORMAT.md, "Batch").
//
// encode_batch() is the only writer and decode_batch() the only reader of the format; the bytes it
// makes are those in the journal, on the wire and in the room's store. encode_block() and
// decode_block() do the same for blocks of a journal. All are plain functions of their arguments;
// any thread, each call its own objects.
//
// Limits when decoding (a batch from a disk or a network is hostile): kMaxBatchBytes coded,
// kMaxBatchRawBytes decoded, kMaxBatchRows rows in all groups together, kMaxBatchGroups groups.
// They are checked before memory is taken.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/batch_memory.h"
#include "proto/content_hash.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMaxBatchBytes = std::size_t{8} << 20;
inline constexpr std::size_t kMaxBatchRawBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxBatchRows = std::size_t{1} << 20;
inline constexpr std::size_t kMaxBatchGroups = 1024;

// Rows of one channel group as they arrive: row-major.
struct GroupRows {
  DefinitionPtr definition;
  std::vector<std::int64_t> source_ns;   // One per row; empty if the definition has no source time.
  std::vector<std::int64_t> receive_ns;  // One per row, CLOCK_BOOTTIME.
  std::vector<std::byte> rows;           // row_count() * definition->row_bytes()

  std::size_t row_count() const { return receive_ns.size(); }
};

// Columns of one group as they are stored: column-major.
struct GroupColumns {
  DefinitionPtr definition;
  std::vector<std::int64_t> source_ns;
  std::vector<std::int64_t> receive_ns;
  std::vector<std::vector<std::byte>> columns;  // columns[c]: row_count() * width, little-endian.

  std::size_t row_count() const { return receive_ns.size(); }
};

struct EncodedBatch {
  std::string blob;
  ContentHash hash;
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;  // Sum of rows * channels.
  std::int64_t first_receive_ns = 0;
  std::int64_t last_receive_ns = 0;
  std::vector<DefinitionPtr> definitions;  // Those it uses, in the order of the blob.
};

// REQUIRES: at least one row; no two groups with the same definition; within the limits above.
// `groups` may be in any order; groups without rows are left out. `memory`: of this car; may be
// null.
EncodedBatch encode_batch(std::string_view car, std::span<const GroupRows> groups,
                          BatchMemory* memory = nullptr);
// The same from columns, as a decoder gives them. REQUIRES: as above; columns of equal rows.
EncodedBatch encode_batch(std::string_view car, std::span<const GroupColumns> groups);
// The same for a block (docs/journal.md): smaller where a channel is noise around a trend, and
// slower. Only decode_block() reads it.
EncodedBatch encode_block(std::string_view car, std::span<const GroupColumns> groups);

struct DecodedBatch {
  std::vector<GroupColumns> groups;
  ContentHash hash;  // Recomputed from the decoded columns and `car`.
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
};

// Finds the definition with that prefix, or null.
using DefinitionLookup = std::function<DefinitionPtr(std::uint64_t prefix)>;

// kCorrupt with the reason if `blob` is not a valid batch, breaks a limit, or names a definition
// that `lookup` does not know.
Result<DecodedBatch> decode_batch(std::string_view car, std::string_view blob,
                                  const DefinitionLookup& lookup);
// The same, into memory that is used again from batch to batch. After an error nothing in `batch`
// means anything.
Status decode_batch(std::string_view car, std::string_view blob, const DefinitionLookup& lookup,
                    DecodedBatch& batch);
// A block, or a batch. Errors as above.
Result<DecodedBatch> decode_block(std::string_view car, std::string_view blob,
                                  const DefinitionLookup& lookup);
// What that memory is, in bytes: it only grows.
std::size_t memory_of(const DecodedBatch& batch);

// The prefixes a batch names, without decoding its columns. kCorrupt as above.
Result<std::vector<std::uint64_t>> batch_definitions(std::string_view blob);

// Identity of one row for ledgers that compare what was sent with what was kept, whatever the
// order: `key` says which row (car, group, source time), `content` what was in it (key and raw
// values). Seeds and byte layout are in FORMAT.md, "Row identities".
struct RowIdentity {
  std::uint64_t key = 0;
  std::uint64_t content = 0;
  // clang-tidy 14 takes the 0 in the generated comparison for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const RowIdentity&, const RowIdentity&) = default;
};
RowIdentity identify_row(std::string_view car, std::string_view group, std::int64_t source_ns,
                         std::span<const std::byte> packed_row);
// The same for every row of a decoded group, appended to `out`.
void identify_rows(std::string_view car, const GroupColumns& group, std::vector<RowIdentity>& out);

}  // namespace pitbox
