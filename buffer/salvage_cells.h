// Rows as they lie in pages of a SQLite file: cells of table leaves, their overflow chains, and the
// columns of a record. Bytes are hostile: what does not add up is left out, and nothing is
// read beyond the page.
//
// A row is known by the types of its columns (docs/journal.md, "Tables of a journal"); columns of a
// newer form may follow.
//
// Threads: plain functions and values.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/sqlite.h"

namespace pitbox {

// A cell of a table leaf; `local` is in the page it was found in.
struct LeafCell {
  std::int64_t rowid = 0;
  std::uint64_t payload_bytes = 0;
  std::string_view local;      // Of the payload, what the page itself holds.
  std::uint32_t overflow = 0;  // The page with the rest; 0: there is none.
};

struct LeafPage {
  bool is_leaf = false;
  std::vector<std::optional<LeafCell>> cells;  // In their order; nothing: it does not add up.
};
// `is_first`: page 1, which begins with the file's header.
LeafPage parse_leaf(std::string_view page, bool is_first);

// The whole payload. `read` gives a page by its number, or says false. Nothing if the chain breaks.
using PageReader = std::function<bool(std::uint32_t page, std::string& out)>;
std::optional<std::string> read_payload(const LeafCell& cell, std::size_t page_bytes,
                                        const PageReader& read);

// A column: its type, and where its bytes are in the payload.
struct RecordColumn {
  ValueType type = ValueType::kNull;
  std::uint64_t serial = 0;
  std::uint64_t at = 0;
  std::uint64_t bytes = 0;
};
// From the beginning of a payload of `payload_bytes`; nothing unless the columns fill it exactly.
std::optional<std::vector<RecordColumn>> parse_record(std::string_view beginning,
                                                      std::uint64_t payload_bytes);
// REQUIRES: the column's bytes are in `payload`.
std::int64_t integer_of(const RecordColumn& column, std::string_view payload);
std::string_view bytes_of(const RecordColumn& column, std::string_view payload);

enum class RowKind : std::uint8_t {
  kOther,
  kDefinition,
  kBatch,
  kEvent,
  kLap,
  kAcknowledged,
  kBlock,
  kNamed,  // A row of `meta` or of `counters`.
};
RowKind kind_of(const std::vector<RecordColumn>& columns);

// How many rows of a journal there are in a page.
std::size_t count_known_rows(std::string_view page, bool is_first);

}  // namespace pitbox
