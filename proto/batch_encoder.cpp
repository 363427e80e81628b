#include <algorithm>
#include <utility>

#include "proto/batch.h"
#include "proto/batch.pb.h"
#include "proto/batch_layout.h"
#include "proto/bit_shuffle.h"
#include "proto/check.h"
#include "proto/column.h"
#include "proto/few_rows.h"
#include "proto/transpose.h"
#include "proto/zstd_frame.h"

namespace pitbox {
namespace {

// With so few rows a choice per column costs more than it saves.
constexpr std::size_t kFewRows = 2;

// Below this a zstd frame's own header eats what it could gain.
constexpr std::size_t kLeastCompressedBytes = 48;

class BatchEncoder {
 public:
  BatchEncoder(std::string_view car, CodedAs coded_as, BatchMemory* memory)
      : memory_(memory), columns_(stream_, dense_, coded_as) {
    hasher_.add(car);
  }

  void add(const GroupRows& group);
  void add(const GroupColumns& group);
  EncodedBatch finish();

 private:
  // With the columns in `transposed_`.
  void add_group(const DefinitionPtr& definition, std::span<const std::int64_t> source_ns,
                 std::span<const std::int64_t> receive_ns);
  void take_times(std::span<const std::int64_t> times, TimeOrigin& origin,
                  std::vector<std::int64_t>& shifted);
  void append_columns(const Definition& definition, GroupMode mode);
  void append_column(StorageType type, std::span<const std::byte> column, GroupMode mode,
                     ColumnMemory* memory);

  BatchMemory* const memory_;
  words::Batch message_;
  EncodedBatch batch_;
  ContentHasher hasher_;
  std::string stream_;
  RiceWriter dense_;
  ColumnEncoder columns_;
  TimeOrigin source_origin_;
  TimeOrigin receive_origin_;
  // Of the group being added.
  std::vector<std::int64_t> source_times_;  // Empty if it has none.
  std::vector<std::int64_t> receive_times_;
  std::vector<std::byte> transposed_;
};

void BatchEncoder::add(const GroupRows& group) {
  CHECK(group.rows.size() == group.row_count() * group.definition->row_bytes());
  transposed_.resize(group.rows.size());
  transpose_rows(*group.definition, group.rows, transposed_);
  add_group(group.definition, group.source_ns, group.receive_ns);
}

void BatchEncoder::add(const GroupColumns& group) {
  transposed_.clear();
  for (const std::vector<std::byte>& column : group.columns) {
    transposed_.insert(transposed_.end(), column.begin(), column.end());
  }
  CHECK(transposed_.size() == group.row_count() * group.definition->row_bytes());
  add_group(group.definition, group.source_ns, group.receive_ns);
}

void BatchEncoder::add_group(const DefinitionPtr& its_definition,
                             std::span<const std::int64_t> source_ns,
                             std::span<const std::int64_t> receive_ns) {
  const Definition& definition = *its_definition;
  const std::size_t rows = receive_ns.size();
  CHECK(source_ns.size() == (definition.has_source_time() ? rows : 0));
  message_.add_definitions(definition.prefix());
  message_.add_rows(static_cast<std::uint32_t>(rows));
  hasher_.add(std::as_bytes(std::span(definition.name())));
  hasher_.add_u64(rows);

  take_times(source_ns, source_origin_, source_times_);
  take_times(receive_ns, receive_origin_, receive_times_);
  hasher_.add(transposed_);

  const std::size_t start = stream_.size();
  append_columns(definition, rows <= kFewRows ? GroupMode::kFew : GroupMode::kChosen);
  const std::size_t plain =
      1 + (source_times_.size() + rows) * sizeof(std::int64_t) + transposed_.size();
  if (rows <= kFewRows && stream_.size() - start > plain) {
    stream_.resize(start);
    append_columns(definition, GroupMode::kPlain);
  }

  const auto [first, last] = std::minmax_element(receive_ns.begin(), receive_ns.end());
  const bool is_first = batch_.rows == 0;
  batch_.first_receive_ns = is_first ? *first : std::min(batch_.first_receive_ns, *first);
  batch_.last_receive_ns = is_first ? *last : std::max(batch_.last_receive_ns, *last);
  batch_.rows += rows;
  batch_.samples += rows * definition.channels().size();
  batch_.definitions.push_back(its_definition);
}

void BatchEncoder::take_times(std::span<const std::int64_t> times, TimeOrigin& origin,
                              std::vector<std::int64_t>& shifted) {
  shifted.assign(times.begin(), times.end());
  if (times.empty()) return;
  hasher_.add(std::as_bytes(times));
  shift_times(shifted, 0 - origin.next(times.front()));
}

void BatchEncoder::append_columns(const Definition& definition, GroupMode mode) {
  const std::size_t rows = receive_times_.size();
  stream_.push_back(static_cast<char>(mode));
  if (mode == GroupMode::kFew) subtract_times(receive_times_, source_times_);
  for (const auto* times : {&source_times_, &receive_times_}) {
    if (times->empty()) continue;
    append_column(StorageType::kI64, std::as_bytes(std::span(*times)), mode, nullptr);
  }
  if (mode == GroupMode::kFew) add_times(receive_times_, source_times_);
  std::span<const std::byte> rest(transposed_);
  ColumnMemory* memory = memory_ == nullptr ? nullptr : memory_->of(definition).data();
  for (const Channel& channel : definition.channels()) {
    const auto column = rest.first(rows * width_of(channel.type));
    rest = rest.subspan(column.size());
    append_column(channel.type, column, mode, memory);
    if (memory != nullptr) ++memory;
  }
}

void BatchEncoder::append_column(StorageType type, std::span<const std::byte> column,
                                 GroupMode mode, ColumnMemory* memory) {
  if (mode == GroupMode::kChosen) return columns_.encode(type, column, memory);
  if (mode == GroupMode::kFew) return append_few(stream_, type, column);
  append_byte_planes(stream_, column, width_of(type));
}

EncodedBatch BatchEncoder::finish() {
  message_.set_dense(dense_.finish());
  std::string packed;
  if (stream_.size() >= kLeastCompressedBytes) packed = zstd_compress(stream_);
  if (!packed.empty() && packed.size() < stream_.size()) {
    message_.set_packed(std::move(packed));
  } else {
    message_.set_plain(std::move(stream_));
  }
  batch_.blob = message_.SerializeAsString();
  CHECK(batch_.blob.size() <= kMaxBatchBytes);
  batch_.hash = hasher_.finish();
  return std::move(batch_);
}

template <typename Group>
EncodedBatch encode_groups(std::string_view car, std::span<const Group> groups, CodedAs coded_as,
                           BatchMemory* memory = nullptr) {
  std::vector<const Group*> ordered;
  std::size_t rows = 0;
  std::size_t counted = 0;
  for (const Group& group : groups) {
    if (group.row_count() == 0) continue;
    ordered.push_back(&group);
    rows += group.row_count();
    CHECK(rows <= kMaxBatchRows);
    counted += counted_bytes(*group.definition, group.row_count());
  }
  CHECK(!ordered.empty() && ordered.size() <= kMaxBatchGroups);
  CHECK(counted <= kMaxBatchRawBytes);
  const auto prefix = [](const Group* group) { return group->definition->prefix(); };
  std::ranges::sort(ordered, {}, prefix);
  CHECK(std::ranges::adjacent_find(ordered, {}, prefix) == ordered.end());

  BatchEncoder encoder(car, coded_as, memory);
  for (const Group* group : ordered) encoder.add(*group);
  return encoder.finish();
}

}  // namespace

EncodedBatch encode_batch(std::string_view car, std::span<const GroupRows> groups,
                          BatchMemory* memory) {
  return encode_groups(car, groups, CodedAs::kBatch, memory);
}

EncodedBatch encode_batch(std::string_view car, std::span<const GroupColumns> groups) {
  return encode_groups(car, groups, CodedAs::kBatch);
}

EncodedBatch encode_block(std::string_view car, std::span<const GroupColumns> groups) {
  return encode_groups(car, groups, CodedAs::kBlock);
}

}  // namespace pitbox
