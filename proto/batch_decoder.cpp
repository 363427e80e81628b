#include <string>
#include <utility>

#include "proto/batch.h"
#include "proto/batch.pb.h"
#include "proto/batch_layout.h"
#include "proto/bit_shuffle.h"
#include "proto/byte_reader.h"
#include "proto/check.h"
#include "proto/column.h"
#include "proto/few_rows.h"
#include "proto/rice.h"
#include "proto/zstd_frame.h"

namespace pitbox {
namespace {

Status corrupt_batch(std::string_view what) {
  return {Code::kCorrupt, "batch: " + std::string(what)};
}

// The parts of a words::Batch, checked as far as they can be without the definitions.
struct BatchParts {
  std::vector<std::uint64_t> definitions;
  std::vector<std::uint32_t> rows;
  std::string dense;
  std::string packed;
  std::string plain;
};

Status check_parts(const BatchParts& parts) {
  const std::size_t groups = parts.definitions.size();
  if (groups < 1 || groups > kMaxBatchGroups) return corrupt_batch("it has no groups or too many");
  if (parts.rows.size() != groups) return corrupt_batch("groups and row counts do not match");
  std::uint64_t rows = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    if (parts.rows[g] < 1) return corrupt_batch("a group without rows");
    rows += parts.rows[g];
    if (g > 0 && parts.definitions[g] <= parts.definitions[g - 1]) {
      return corrupt_batch("definitions out of order");
    }
  }
  if (rows > kMaxBatchRows) return corrupt_batch("it has too many rows");
  if (parts.packed.empty() == parts.plain.empty()) {
    return corrupt_batch("not exactly one of packed and plain");
  }
  return {};
}

Result<BatchParts> parse_parts(std::string_view blob) {
  if (blob.size() > kMaxBatchBytes) return corrupt_batch("it is too long");
  words::Batch message;
  if (!message.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) {
    return corrupt_batch("it does not parse");
  }
  BatchParts parts;
  parts.definitions.assign(message.definitions().begin(), message.definitions().end());
  parts.rows.assign(message.rows().begin(), message.rows().end());
  parts.dense = std::move(*message.mutable_dense());
  parts.packed = std::move(*message.mutable_packed());
  parts.plain = std::move(*message.mutable_plain());
  message.clear_definitions();
  message.clear_rows();
  message.clear_dense();
  message.clear_packed();
  message.clear_plain();
  // The lite runtime keeps unknown fields where only their size can be seen.
  if (message.ByteSizeLong() != 0) return corrupt_batch("it has fields nobody knows");
  if (Status status = check_parts(parts); !status.ok()) return status;
  return parts;
}

class BatchDecoder {
 public:
  // Fills `batch`, whose memory is used again as far as it goes.
  BatchDecoder(std::string_view car, std::span<const std::byte> stream,
               std::span<const std::byte> dense, CodedAs coded_as, DecodedBatch& batch)
      : batch_(batch), stream_(stream), dense_(dense), columns_(stream_, dense_, coded_as) {
    hasher_.add(car);
    batch_.rows = 0;
    batch_.samples = 0;
  }

  Status add(std::size_t index, DefinitionPtr definition, std::size_t rows);
  Status finish();

 private:
  bool take_times(std::span<std::int64_t> times, GroupMode mode);
  void restore_times(std::span<std::int64_t> times, TimeOrigin& origin);
  bool take_column(StorageType type, std::span<std::byte> column, GroupMode mode);

  DecodedBatch& batch_;
  ContentHasher hasher_;
  ByteReader stream_;
  RiceReader dense_;
  ColumnDecoder columns_;
  TimeOrigin source_origin_;
  TimeOrigin receive_origin_;
};

Status BatchDecoder::add(std::size_t index, DefinitionPtr definition, std::size_t rows) {
  const std::uint8_t mode_byte = stream_.take_byte();
  if (!stream_.ok() || mode_byte > static_cast<std::uint8_t>(GroupMode::kFew)) {
    return corrupt_batch("a group of unknown mode");
  }
  const auto mode = static_cast<GroupMode>(mode_byte);
  hasher_.add(std::as_bytes(std::span(definition->name())));
  hasher_.add_u64(rows);
  GroupColumns& group = batch_.groups[index];
  group.definition = std::move(definition);
  group.source_ns.resize(group.definition->has_source_time() ? rows : 0);
  group.receive_ns.resize(rows);
  if (!take_times(group.source_ns, mode)) return corrupt_batch("bad source times");
  if (!take_times(group.receive_ns, mode)) return corrupt_batch("bad receive times");
  if (mode == GroupMode::kFew) add_times(group.receive_ns, group.source_ns);
  restore_times(group.source_ns, source_origin_);
  restore_times(group.receive_ns, receive_origin_);
  const std::vector<Channel>& channels = group.definition->channels();
  group.columns.resize(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const Channel& channel = channels[c];
    auto& column = group.columns[c];
    column.resize(rows * width_of(channel.type));
    if (!take_column(channel.type, column, mode)) {
      return corrupt_batch("bad column of '" + channel.name + "'");
    }
    hasher_.add(column);
  }
  batch_.rows += rows;
  batch_.samples += rows * group.columns.size();
  return {};
}

bool BatchDecoder::take_times(std::span<std::int64_t> times, GroupMode mode) {
  return times.empty() || take_column(StorageType::kI64, std::as_writable_bytes(times), mode);
}

void BatchDecoder::restore_times(std::span<std::int64_t> times, TimeOrigin& origin) {
  if (times.empty()) return;
  shift_times(times, origin.current());
  origin.next(times.front());
  hasher_.add(std::as_bytes(times));
}

bool BatchDecoder::take_column(StorageType type, std::span<std::byte> column, GroupMode mode) {
  if (mode == GroupMode::kChosen) return columns_.decode(type, column);
  if (mode == GroupMode::kFew) return take_few(stream_, type, column);
  const auto planes = stream_.take(column.size());
  if (planes.empty()) return false;
  restore_byte_planes(planes, width_of(type), column);
  return true;
}

Status BatchDecoder::finish() {
  if (stream_.remaining() != 0) return corrupt_batch("bytes after the last column");
  if (!dense_.at_end()) return corrupt_batch("bits after the last column");
  batch_.hash = hasher_.finish();
  return {};
}

Status decode(std::string_view car, std::string_view blob, CodedAs coded_as,
              const DefinitionLookup& lookup, DecodedBatch& batch) {
  auto parsed = parse_parts(blob);
  if (!parsed.ok()) return parsed.status();
  BatchParts& parts = parsed.value();

  std::vector<DefinitionPtr> definitions;
  std::size_t counted = 0;
  for (std::size_t g = 0; g < parts.definitions.size(); ++g) {
    DefinitionPtr definition = lookup(parts.definitions[g]);
    if (definition == nullptr) return corrupt_batch("it names a definition that is not here");
    CHECK(definition->prefix() == parts.definitions[g]);
    // At most 2^20 rows of 2^14 bytes, 1024 times: no overflow.
    counted += counted_bytes(*definition, parts.rows[g]);
    if (counted > kMaxBatchRawBytes) return corrupt_batch("it is too large when decoded");
    definitions.push_back(std::move(definition));
  }
  const std::size_t most_stream_bytes = counted + definitions.size();
  std::string stream = std::move(parts.plain);
  if (!parts.packed.empty()) {
    auto content = zstd_decompress(parts.packed, most_stream_bytes);
    if (!content.ok()) return Status(content.status()).within("batch");
    stream = std::move(content).take();
  }
  if (stream.size() > most_stream_bytes) return corrupt_batch("its stream is too long");

  batch.groups.resize(definitions.size());
  BatchDecoder decoder(car, std::as_bytes(std::span(stream)), std::as_bytes(std::span(parts.dense)),
                       coded_as, batch);
  for (std::size_t g = 0; g < definitions.size(); ++g) {
    Status status = decoder.add(g, std::move(definitions[g]), parts.rows[g]);
    if (!status.ok()) return status;
  }
  return decoder.finish();
}

}  // namespace

Result<std::vector<std::uint64_t>> batch_definitions(std::string_view blob) {
  auto parts = parse_parts(blob);
  if (!parts.ok()) return parts.status();
  return std::move(parts.value().definitions);
}

std::size_t memory_of(const DecodedBatch& batch) {
  std::size_t bytes = batch.groups.capacity() * sizeof(GroupColumns);
  for (const GroupColumns& group : batch.groups) {
    bytes += (group.source_ns.capacity() + group.receive_ns.capacity()) * sizeof(std::int64_t);
    bytes += group.columns.capacity() * sizeof(std::vector<std::byte>);
    for (const auto& column : group.columns) bytes += column.capacity();
  }
  return bytes;
}

Status decode_batch(std::string_view car, std::string_view blob, const DefinitionLookup& lookup,
                    DecodedBatch& batch) {
  return decode(car, blob, CodedAs::kBatch, lookup, batch);
}

Result<DecodedBatch> decode_batch(std::string_view car, std::string_view blob,
                                  const DefinitionLookup& lookup) {
  DecodedBatch batch;
  Status decoded = decode(car, blob, CodedAs::kBatch, lookup, batch);
  return decoded.ok() ? Result<DecodedBatch>(std::move(batch)) : decoded;
}

Result<DecodedBatch> decode_block(std::string_view car, std::string_view blob,
                                  const DefinitionLookup& lookup) {
  DecodedBatch batch;
  Status decoded = decode(car, blob, CodedAs::kBlock, lookup, batch);
  return decoded.ok() ? Result<DecodedBatch>(std::move(batch)) : decoded;
}

}  // namespace pitbox
