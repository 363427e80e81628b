// Attacks the promise that a decoder trusts nothing: any bytes are either refused, or are a batch
// or a block whose rows, encoded again as either, have the same content hash. The first byte
// chooses what the rest is: a whole batch, or the stream and the Rice bits of one, which reach the
// column decoders at once.

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "proto/batch.h"
#include "proto/batch.pb.h"

namespace pitbox {
namespace {

constexpr std::uint64_t kMostRowsEncodedAgain = 4096;

// One channel of every storage type, with and without source times.
const std::array<DefinitionPtr, 2>& definitions() {
  static const std::array<DefinitionPtr, 2> kAll = [] {
    std::array<DefinitionPtr, 2> made;
    for (const TimeBase base : {TimeBase::kNone, TimeBase::kCar}) {
      ChannelGroup group{"g", base, {}};
      for (int type = 1; type <= 10; ++type) {
        group.channels.push_back(
            {std::to_string(type), "", static_cast<StorageType>(type), 1.0, 0.0});
      }
      made[base == TimeBase::kCar ? 1 : 0] = Definition::make(std::move(group)).take();
    }
    return made;
  }();
  return kAll;
}

DefinitionPtr find(std::uint64_t prefix) {
  for (const DefinitionPtr& definition : definitions()) {
    if (definition->prefix() == prefix) return definition;
  }
  return nullptr;
}

GroupRows rows_of(const GroupColumns& columns) {
  GroupRows rows{columns.definition, columns.source_ns, columns.receive_ns, {}};
  const std::size_t row_bytes = columns.definition->row_bytes();
  rows.rows.resize(rows.row_count() * row_bytes);
  for (std::size_t c = 0; c < columns.columns.size(); ++c) {
    const std::size_t width = width_of(columns.definition->channels()[c].type);
    for (std::size_t r = 0; r < rows.row_count(); ++r) {
      std::memcpy(rows.rows.data() + r * row_bytes + columns.definition->column_offset(c),
                  columns.columns[c].data() + r * width, width);
    }
  }
  return rows;
}

// First byte: bit 7 for a stream by hand, its low bits the number of rows; second: Rice bytes.
std::string batch_of(std::string_view input) {
  const auto control = static_cast<std::uint8_t>(input[0]);
  if (control < 0x80 || input.size() < 2) return std::string(input.substr(1));
  const auto dense_bytes = static_cast<std::uint8_t>(input[1]);
  const std::string_view rest = input.substr(2);
  words::Batch message;
  message.add_definitions(definitions()[control & 1]->prefix());
  message.add_rows((control & 0x7FU) / 2 + 1);
  message.set_dense(std::string(rest.substr(0, dense_bytes)));
  if (rest.size() > dense_bytes) message.set_plain(std::string(rest.substr(dense_bytes)));
  return message.SerializeAsString();
}

// A block may say more than a batch, and nothing else.
void check_block(std::string_view blob, const Result<DecodedBatch>& as_batch) {
  const auto decoded = decode_block("7", blob, find);
  CHECK(decoded.ok() || !as_batch.ok());
  CHECK(!as_batch.ok() || decoded.value().hash == as_batch.value().hash);
  if (!decoded.ok() || decoded.value().rows > kMostRowsEncodedAgain) return;
  const EncodedBatch again = encode_block("7", decoded.value().groups);
  CHECK(again.hash == decoded.value().hash);
  const auto once_more = decode_block("7", again.blob, find);
  CHECK(once_more.ok() && once_more.value().hash == again.hash);
  CHECK(encode_batch("7", decoded.value().groups).hash == again.hash);
}

void check(std::string_view input) {
  const std::string batch = batch_of(input);
  const auto decoded = decode_batch("7", batch, find);
  check_block(batch, decoded);
  // In the memory of whatever came before it says the same.
  static DecodedBatch kept;
  const Status into_kept = decode_batch("7", batch, find, kept);
  CHECK(into_kept.code() == decoded.status().code());
  CHECK(!decoded.ok() || kept.hash == decoded.value().hash);
  if (!decoded.ok()) {
    CHECK(decoded.status().code() == Code::kCorrupt);
    return;
  }
  // What zstd repeats cheaply may be beyond the coded limit when it is Rice; and slow.
  if (decoded.value().rows > kMostRowsEncodedAgain) return;
  std::vector<GroupRows> groups;
  for (const GroupColumns& group : decoded.value().groups) groups.push_back(rows_of(group));
  const EncodedBatch again = encode_batch("7", groups);
  CHECK(again.hash == decoded.value().hash);
  CHECK(again.rows == decoded.value().rows);
  const auto once_more = decode_batch("7", again.blob, find);
  CHECK(once_more.ok() && once_more.value().hash == again.hash);
  BatchMemory memory;
  for (int i = 0; i < 2; ++i) {
    const EncodedBatch remembered = encode_batch("7", groups, &memory);
    const auto back = decode_batch("7", remembered.blob, find);
    CHECK(back.ok() && back.value().hash == again.hash);
  }
}

}  // namespace
}  // namespace pitbox

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) pitbox::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
