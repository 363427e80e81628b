#include "buffer/salvage_cells.h"

#include <algorithm>
#include <array>
#include <span>

#include "buffer/journal_schema.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kTableLeaf = 13;
constexpr std::size_t kFileHeaderBytes = 100;
constexpr std::size_t kLeafHeaderBytes = 8;
constexpr std::size_t kColumnsMax = 64;
// A row's longest value, and its other columns.
constexpr std::uint64_t kPayloadBytesMax = kMaxJournalValueBytes;

std::size_t two_bytes(std::string_view bytes, std::size_t at) {
  return static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[at])) << 8 |
         static_cast<std::uint8_t>(bytes[at + 1]);
}

// SQLite's own: most significant bits first, the ninth byte whole. False if cut short.
bool read_sqlite_varint(std::string_view bytes, std::size_t& at, std::uint64_t& value) {
  value = 0;
  for (int i = 0; i < 9; ++i) {
    if (at >= bytes.size()) return false;
    const auto byte = static_cast<std::uint8_t>(bytes[at++]);
    if (i == 8) {
      value = value << 8 | byte;
      return true;
    }
    value = value << 7 | (byte & 0x7F);
    if ((byte & 0x80) == 0) return true;
  }
  return true;
}

// How much of a payload stays in the leaf: the file format's own formula, no byte being reserved.
std::uint64_t local_bytes(std::uint64_t payload, std::uint64_t page_bytes) {
  const std::uint64_t most = page_bytes - 35;
  if (payload <= most) return payload;
  const std::uint64_t least = (page_bytes - 12) * 32 / 255 - 23;
  const std::uint64_t fitting = least + (payload - least) % (page_bytes - 4);
  return fitting <= most ? fitting : least;
}

std::optional<LeafCell> parse_cell(std::string_view page, std::size_t at) {
  LeafCell cell;
  std::uint64_t rowid = 0;
  if (!read_sqlite_varint(page, at, cell.payload_bytes) || !read_sqlite_varint(page, at, rowid)) {
    return std::nullopt;
  }
  if (cell.payload_bytes == 0 || cell.payload_bytes > kPayloadBytesMax) return std::nullopt;
  cell.rowid = static_cast<std::int64_t>(rowid);
  const std::uint64_t local = local_bytes(cell.payload_bytes, page.size());
  const std::uint64_t needed = local + (local < cell.payload_bytes ? 4 : 0);
  if (needed > page.size() - at) return std::nullopt;
  cell.local = page.substr(at, local);
  if (local == cell.payload_bytes) return cell;
  for (std::size_t i = at + local; i < at + needed; ++i) {
    cell.overflow = cell.overflow << 8 | static_cast<std::uint8_t>(page[i]);
  }
  return cell;
}

RecordColumn column_of(std::uint64_t serial) {
  constexpr std::array<std::uint8_t, 10> kIntegerBytes = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  RecordColumn column;
  column.serial = serial;
  if (serial >= 12) {
    column.type = serial % 2 == 0 ? ValueType::kBlob : ValueType::kText;
    column.bytes = (serial - 12) / 2;
    return column;
  }
  if (serial == 0) return column;
  column.type = serial == 7 ? ValueType::kReal : ValueType::kInteger;
  column.bytes = serial < kIntegerBytes.size() ? kIntegerBytes[serial] : 0;
  return column;
}

bool begins_with(const std::vector<RecordColumn>& columns, std::span<const ValueType> types) {
  if (columns.size() < types.size()) return false;
  return std::equal(types.begin(), types.end(), columns.begin(),
                    [](ValueType type, const RecordColumn& column) { return column.type == type; });
}

// The key of a table whose key is an integer is stored as NULL; it is the row's id.
constexpr auto kKeyType = ValueType::kNull;
constexpr auto kNumberType = ValueType::kInteger;
constexpr auto kTextType = ValueType::kText;
constexpr auto kBlobType = ValueType::kBlob;
constexpr std::array kBatchTypes = {kKeyType,    kNumberType, kTextType,   kNumberType, kNumberType,
                                    kNumberType, kNumberType, kNumberType, kNumberType, kNumberType,
                                    kNumberType, kBlobType,   kBlobType,   kBlobType};
constexpr std::array kEventTypes = {kKeyType,    kTextType,   kTextType, kNumberType,
                                    kNumberType, kNumberType, kBlobType, kBlobType};
constexpr std::array kLapTypes = {kKeyType,    kTextType, kNumberType, kTextType,
                                  kNumberType, kTextType, kNumberType, kTextType};
constexpr std::array kDefinitionTypes = {kKeyType, kBlobType, kBlobType};
constexpr std::array kBlockTypes = {kKeyType, kNumberType, kTextType, kBlobType};

}  // namespace

LeafPage parse_leaf(std::string_view page, bool is_first) {
  LeafPage leaf;
  const std::size_t header = is_first ? kFileHeaderBytes : 0;
  if (page.size() < header + kLeafHeaderBytes) return leaf;
  if (static_cast<std::uint8_t>(page[header]) != kTableLeaf) return leaf;
  const std::size_t count = two_bytes(page, header + 3);
  const std::size_t pointers = header + kLeafHeaderBytes;
  if (count > (page.size() - pointers) / 2) return leaf;
  leaf.is_leaf = true;
  leaf.cells.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = two_bytes(page, pointers + 2 * i);
    const bool is_inside = at >= pointers + 2 * count && at < page.size();
    leaf.cells.push_back(is_inside ? parse_cell(page, at) : std::nullopt);
  }
  return leaf;
}

std::optional<std::string> read_payload(const LeafCell& cell, std::size_t page_bytes,
                                        const PageReader& read) {
  std::string payload;
  payload.reserve(cell.payload_bytes);
  payload = cell.local;
  std::string page;
  // As many pages as the size asks for: a chain that runs in a circle ends too.
  for (std::uint32_t next = cell.overflow; payload.size() < cell.payload_bytes;) {
    if (next == 0 || !read(next, page) || page.size() != page_bytes) return std::nullopt;
    next = 0;
    for (std::size_t i = 0; i < 4; ++i) next = next << 8 | static_cast<std::uint8_t>(page[i]);
    payload += std::string_view(page).substr(
        4, std::min<std::uint64_t>(page_bytes - 4, cell.payload_bytes - payload.size()));
  }
  return payload;
}

std::optional<std::vector<RecordColumn>> parse_record(std::string_view beginning,
                                                      std::uint64_t payload_bytes) {
  std::size_t at = 0;
  std::uint64_t header_bytes = 0;
  if (!read_sqlite_varint(beginning, at, header_bytes)) return std::nullopt;
  if (header_bytes < at || header_bytes > beginning.size()) return std::nullopt;
  const std::string_view header = beginning.substr(0, header_bytes);
  std::vector<RecordColumn> columns;
  std::uint64_t end = header_bytes;
  while (at < header.size()) {
    std::uint64_t serial = 0;
    if (!read_sqlite_varint(header, at, serial) || serial == 10 || serial == 11) {
      return std::nullopt;
    }
    if (columns.size() == kColumnsMax) return std::nullopt;
    RecordColumn column = column_of(serial);
    column.at = end;
    if (column.bytes > payload_bytes - end) return std::nullopt;
    end += column.bytes;
    columns.push_back(column);
  }
  if (end != payload_bytes) return std::nullopt;
  return columns;
}

std::int64_t integer_of(const RecordColumn& column, std::string_view payload) {
  if (column.serial == 9) return 1;
  if (column.bytes == 0) return 0;
  const std::string_view bytes = bytes_of(column, payload);
  // The sign is that of the first byte.
  std::uint64_t value = (static_cast<std::uint8_t>(bytes[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return static_cast<std::int64_t>(value);
}

std::string_view bytes_of(const RecordColumn& column, std::string_view payload) {
  return payload.substr(column.at, column.bytes);
}

RowKind kind_of(const std::vector<RecordColumn>& columns) {
  if (begins_with(columns, kBatchTypes)) return RowKind::kBatch;
  if (begins_with(columns, kEventTypes)) return RowKind::kEvent;
  if (begins_with(columns, kLapTypes)) return RowKind::kLap;
  if (begins_with(columns, kDefinitionTypes)) return RowKind::kDefinition;
  if (begins_with(columns, kBlockTypes)) return RowKind::kBlock;
  if (columns.size() != 2) return RowKind::kOther;
  if (columns[0].type == kKeyType && columns[1].type == kNumberType) return RowKind::kAcknowledged;
  const bool has_value = columns[1].type == kNumberType || columns[1].type == kTextType;
  return columns[0].type == kTextType && has_value ? RowKind::kNamed : RowKind::kOther;
}

std::size_t count_known_rows(std::string_view page, bool is_first) {
  std::size_t rows = 0;
  for (const std::optional<LeafCell>& cell : parse_leaf(page, is_first).cells) {
    if (!cell) continue;
    const auto columns = parse_record(cell->local, cell->payload_bytes);
    if (columns && kind_of(*columns) != RowKind::kOther) ++rows;
  }
  return rows;
}

}  // namespace pitbox
