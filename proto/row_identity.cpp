#include <cstring>
#include <string>

#include "proto/batch.h"
#include "proto/check.h"

namespace pitbox {
namespace {

void append_u64(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// The bytes behind a row's key: all but the last 8, the source time, are the same in a group.
class RowKey {
 public:
  RowKey(std::string_view car, std::string_view group) {
    append_u64(bytes_, car.size());
    bytes_ += car;
    append_u64(bytes_, group.size());
    bytes_ += group;
    append_u64(bytes_, 0);
  }

  std::uint64_t at(std::int64_t source_ns) {
    std::memcpy(bytes_.data() + bytes_.size() - sizeof source_ns, &source_ns, sizeof source_ns);
    return hash64(std::as_bytes(std::span(bytes_)), 0);
  }

 private:
  std::string bytes_;
};

}  // namespace

RowIdentity identify_row(std::string_view car, std::string_view group, std::int64_t source_ns,
                         std::span<const std::byte> packed_row) {
  const std::uint64_t key = RowKey(car, group).at(source_ns);
  return {key, hash64(packed_row, key)};
}

void identify_rows(std::string_view car, const GroupColumns& group, std::vector<RowIdentity>& out) {
  const Definition& definition = *group.definition;
  CHECK(group.columns.size() == definition.channels().size());
  RowKey key(car, definition.group().group);
  std::vector<std::byte> row(definition.row_bytes());
  // No reserve(): asked for again and again it would move everything each time.
  for (std::size_t r = 0; r < group.row_count(); ++r) {
    for (std::size_t c = 0; c < group.columns.size(); ++c) {
      const std::size_t width = width_of(definition.channels()[c].type);
      std::memcpy(row.data() + definition.column_offset(c), group.columns[c].data() + r * width,
                  width);
    }
    const std::int64_t source_ns = group.source_ns.empty() ? 0 : group.source_ns[r];
    const std::uint64_t row_key = key.at(source_ns);
    out.push_back({row_key, hash64(row, row_key)});
  }
}

}  // namespace pitbox
