// Goal: bytes that are not a batch are refused with a reason, whatever they are, and no damage goes
// unnoticed. Method: every truncation, flipped bits, and batches made by hand beyond each limit.

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "batch_language.h"
#include "proto/batch.h"
#include "proto/batch.pb.h"
#include "proto/zstd_frame.h"

namespace pitbox {
namespace {

using testing::Bytes;
using testing::define;
using testing::group_of;
using testing::kAllTypes;
using testing::knows;

// All storage types, with columns that make the encoder use every coder and mapping.
std::vector<GroupRows> rich_groups() {
  std::vector<GroupRows> groups;
  for (const std::size_t rows : {40U, 2U}) {
    std::vector<StorageType> types;
    std::vector<Bytes> columns;
    for (const StorageType type : kAllTypes) {
      for (const auto& [name, numbers] : testing::telemetry(rows)) {
        types.push_back(type);
        columns.push_back(testing::column_of_numbers(type, numbers));
      }
      for (const auto& [name, patterns] : testing::hard_patterns(rows)) {
        types.push_back(type);
        columns.push_back(testing::column_of(type, patterns));
      }
    }
    const auto definition = define("rich " + std::to_string(rows), types, TimeBase::kCar);
    groups.push_back(group_of(definition, columns));
  }
  return groups;
}

// The same batch with its stream as it is, so that damage reaches the coders and not only zstd.
std::string unpacked(const std::string& blob) {
  words::Batch message;
  EXPECT_TRUE(message.ParseFromString(blob));
  if (message.packed().empty()) return blob;
  message.set_plain(zstd_decompress(message.packed(), 1U << 20).take());
  message.clear_packed();
  return message.SerializeAsString();
}

TEST(HostileBatch, IsRefusedAtEveryTruncation) {
  const auto groups = rich_groups();
  const auto lookup = knows(groups);
  const std::string packed = encode_batch("1", groups).blob;
  for (const std::string& blob : {packed, unpacked(packed)}) {
    ASSERT_TRUE(decode_batch("1", blob, lookup).ok());
    for (std::size_t size = 0; size < blob.size(); ++size) {
      const auto decoded = decode_batch("1", blob.substr(0, size), lookup);
      ASSERT_FALSE(decoded.ok()) << size << " of " << blob.size();
      EXPECT_EQ(decoded.status().code(), Code::kCorrupt);
    }
  }
}

TEST(HostileBatch, IsRefusedOrHashesOtherwiseIfABitIsFlippedInItsContent) {
  const auto groups = rich_groups();
  const auto lookup = knows(groups);
  const auto encoded = encode_batch("1", groups);
  const auto original = decode_batch("1", encoded.blob, lookup).take();
  std::mt19937 random(1);
  for (const std::string& blob : {encoded.blob, unpacked(encoded.blob)}) {
    for (int i = 0; i < 6000; ++i) {
      std::string damaged = blob;
      const std::size_t bit = random() % (8 * damaged.size());
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      const auto decoded = decode_batch("1", damaged, lookup);
      if (!decoded.ok() || decoded.value().hash != original.hash) continue;
      // Padding bits of a plane have no meaning: then nothing at all may differ.
      for (std::size_t g = 0; g < original.groups.size(); ++g) {
        ASSERT_EQ(decoded.value().groups[g].receive_ns, original.groups[g].receive_ns);
        ASSERT_EQ(decoded.value().groups[g].columns, original.groups[g].columns) << bit;
      }
    }
  }
}

TEST(HostileBatch, IsRefusedIfItsDefinitionIsNotKnown) {
  const auto groups = rich_groups();
  const auto encoded = encode_batch("1", groups);
  EXPECT_FALSE(decode_batch("1", encoded.blob, knows({})).ok());
  EXPECT_FALSE(decode_batch("1", encoded.blob, knows({groups[0]})).ok());
}

// A valid batch of one group, and room to spoil it.
struct Spoiler {
  Spoiler() {
    group = group_of(define("g", {StorageType::kU8}),
                     {testing::column_of(StorageType::kU8, {1, 2, 4, 8, 9, 200, 30, 41, 9, 7})});
    EXPECT_TRUE(message.ParseFromString(encode_batch("1", {&group, 1}).blob));
  }

  bool is_accepted_after(const std::function<void(words::Batch&)>& spoil) const {
    words::Batch spoilt = message;
    spoil(spoilt);
    return decode_batch("1", spoilt.SerializeAsString(), knows({group})).ok();
  }

  GroupRows group;
  words::Batch message;
};

TEST(HostileBatch, IsRefusedIfItsHeaderContradictsItself) {
  const Spoiler batch;
  EXPECT_TRUE(batch.is_accepted_after([](words::Batch&) {}));
  using Batch = words::Batch;
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.clear_definitions(); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.clear_rows(); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.add_rows(1); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.set_rows(0, 0); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.set_rows(0, b.rows(0) + 1); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.set_rows(0, b.rows(0) - 1); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.set_rows(0, 0xFFFFFFFF); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.mutable_plain()->push_back('\0'); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.mutable_dense()->push_back('\0'); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.set_packed("x"); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) { b.clear_plain(); }));
  EXPECT_FALSE(batch.is_accepted_after([](Batch& b) {
    b.add_definitions(b.definitions(0));
    b.add_rows(b.rows(0));
  }));
}

TEST(HostileBatch, IsRefusedIfItHasAFieldNobodyKnows) {
  const Spoiler batch;
  const std::string blob = batch.message.SerializeAsString();
  ASSERT_TRUE(decode_batch("1", blob, knows({batch.group})).ok());
  EXPECT_FALSE(decode_batch("1", blob + std::string("\x38\x01", 2), knows({batch.group})).ok());
}

TEST(HostileBatch, IsHeldToOneFrameWithADeclaredSizeWithinTheLimit) {
  const Spoiler batch;
  const std::string plain = batch.message.plain();
  const auto with_frame = [&](const std::string& frame) {
    return batch.is_accepted_after([&](words::Batch& spoilt) {
      spoilt.clear_plain();
      spoilt.set_packed(frame);
    });
  };
  const std::string frame = zstd_compress(plain);
  EXPECT_TRUE(with_frame(frame));
  EXPECT_FALSE(with_frame(frame + frame));
  EXPECT_FALSE(with_frame(frame + "x"));
  EXPECT_FALSE(with_frame(zstd_compress(std::string(1U << 30, '\0'))));
  const std::string skippable("\x50\x2A\x4D\x18\x00\x00\x00\x00", 8);
  EXPECT_FALSE(with_frame(skippable));
  EXPECT_FALSE(with_frame(skippable + frame));
  EXPECT_FALSE(with_frame(frame + skippable));
  // A frame of unknown content size, made by hand: one raw block.
  std::string streamed("\x28\xB5\x2F\xFD\x00\x58", 6);
  streamed.push_back(static_cast<char>(plain.size() << 3 | 1));
  streamed.push_back(static_cast<char>(plain.size() >> 5));
  streamed.push_back('\0');
  EXPECT_FALSE(with_frame(streamed + plain));
}

GroupRows zeros_of(StorageType type, std::size_t channels, std::size_t rows) {
  GroupRows group;
  group.definition = define("zeros", std::vector<StorageType>(channels, type));
  group.receive_ns.assign(rows, 0);
  group.rows.resize(rows * group.definition->row_bytes());
  return group;
}

TEST(HostileBatch, MayHaveAsManyRowsAsTheLimitAndNotOneMore) {
  const GroupRows most = zeros_of(StorageType::kU8, 1, kMaxBatchRows);
  const auto encoded = encode_batch("1", {&most, 1});
  EXPECT_LT(encoded.blob.size(), 60U);
  ASSERT_TRUE(decode_batch("1", encoded.blob, knows({most})).ok());
  words::Batch message;
  ASSERT_TRUE(message.ParseFromString(encoded.blob));
  message.set_rows(0, kMaxBatchRows + 1);
  EXPECT_FALSE(decode_batch("1", message.SerializeAsString(), knows({most})).ok());
}

TEST(HostileBatch, MayBeAsLargeAsTheLimitDecodedAndNotOneRowMore) {
  // 64 MiB = rows * (1016 + 8) + 128 columns of 64 bytes counted.
  constexpr std::size_t kRows = (kMaxBatchRawBytes - 128 * std::size_t{64}) / 1024;
  const GroupRows most = zeros_of(StorageType::kF64, 127, kRows);
  const auto encoded = encode_batch("1", {&most, 1});
  ASSERT_TRUE(decode_batch("1", encoded.blob, knows({most})).ok());
  words::Batch message;
  ASSERT_TRUE(message.ParseFromString(encoded.blob));
  message.set_rows(0, kRows + 1);
  EXPECT_FALSE(decode_batch("1", message.SerializeAsString(), knows({most})).ok());
}

TEST(HostileBatch, MayHaveAsManyGroupsAsTheLimitAndNotOneMore) {
  std::vector<GroupRows> groups;
  for (std::size_t g = 0; g <= kMaxBatchGroups; ++g) {
    groups.push_back(zeros_of(StorageType::kU8, 1, 1));
    groups.back().definition = define("g" + std::to_string(g), {StorageType::kU8});
  }
  const auto lookup = knows(groups);
  const auto extra = groups.back();
  groups.pop_back();
  const auto encoded = encode_batch("1", groups);
  ASSERT_TRUE(decode_batch("1", encoded.blob, lookup).ok());
  words::Batch message;
  ASSERT_TRUE(message.ParseFromString(encoded.blob));
  message.add_definitions(std::numeric_limits<std::uint64_t>::max());
  message.add_rows(1);
  EXPECT_FALSE(batch_definitions(message.SerializeAsString()).ok());
}

TEST(HostileBatch, IsRefusedBeyondItsLengthBeforeItIsParsed) {
  EXPECT_FALSE(batch_definitions(std::string(kMaxBatchBytes + 1, '\0')).ok());
  EXPECT_FALSE(batch_definitions("").ok());
}

// One f32 or i64 column of 16 rows coded by hand.
bool accepts_column(StorageType type, const std::string& choice, const std::string& dense = {}) {
  const auto definition = define("g", {type});
  words::Batch message;
  message.add_definitions(definition->prefix());
  message.add_rows(16);
  message.set_dense(dense);
  // Mode 1; receive times constant 0; then the column.
  message.set_plain(std::string("\x01\x01\x00", 3) + choice);
  GroupRows known;
  known.definition = definition;
  return decode_batch("1", message.SerializeAsString(), knows({known})).ok();
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

TEST(HostileColumn, MayUseOnlyChoicesThatFormatMdAllows) {
  constexpr auto kInt = StorageType::kI32;
  constexpr auto kFloat = StorageType::kF32;
  EXPECT_TRUE(accepts_column(kInt, bytes({0x01, 0x00})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x81, 0x00})));        // Bit 7.
  EXPECT_FALSE(accepts_column(kInt, bytes({0x05, 0x00})));        // No such coder.
  EXPECT_FALSE(accepts_column(kInt, bytes({0x41, 0x01, 0x00})));  // Decimal of integers.
  EXPECT_TRUE(accepts_column(kInt, bytes({0x21, 0x02, 0x01, 0x00})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x21, 0x01, 0x00, 0x00})));    // Step 1.
  EXPECT_FALSE(accepts_column(kInt, bytes({0x21, 0x02, 0x02, 0x00})));    // Remainder >= step.
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x21, 0x02, 0x01, 0x00})));  // Lattice of floats.
  EXPECT_TRUE(accepts_column(kFloat, bytes({0x41, 15, 0x00, 0x00})));
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x41, 0x20, 0x00, 0x00})));  // 10^32.
  EXPECT_TRUE(accepts_column(kFloat, bytes({0x41, 0x1F, 0x02, 0x00, 0x00})));
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x41, 0x10, 0x00, 0x00, 0x00})));  // Multiples of 0...
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x41, 0x10, 0x01, 0x00, 0x00})));  // ...of 1...
  EXPECT_TRUE(accepts_column(kFloat, bytes({0x41, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0, 0})));
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x41, 0x10, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0})));
  const std::string infinite = bytes({0, 0, 0, 0, 0, 0, 0xF0, 0x7F});
  const std::string one = bytes({0, 0, 0, 0, 0, 0, 0xF0, 0x3F});
  EXPECT_TRUE(accepts_column(kFloat, bytes({0x61}) + one + bytes({0, 0})));
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x61}) + infinite + bytes({0, 0})));
  EXPECT_FALSE(accepts_column(kFloat, bytes({0x61}) + std::string(8, '\0') + bytes({0, 0})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F})));  // Wide seed.
}

TEST(HostileColumn, HoldsDifferencesToTheirWord) {
  const auto accepts = [](StorageType type, const std::string& column) {
    const auto definition = define("g", {type});
    words::Batch message;
    message.add_definitions(definition->prefix());
    message.add_rows(2);
    // Mode 2; receive times 0, 0; then the column.
    message.set_plain(bytes({2, 0, 0}) + column);
    GroupRows known;
    known.definition = definition;
    return decode_batch("1", message.SerializeAsString(), knows({known})).ok();
  };
  EXPECT_TRUE(accepts(StorageType::kI8, bytes({0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0})));
  EXPECT_FALSE(accepts(StorageType::kI8, bytes({0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 0})));
  EXPECT_FALSE(accepts(StorageType::kU32, bytes({0, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F})));
  EXPECT_TRUE(accepts(StorageType::kU64, bytes({0, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F})));
  EXPECT_FALSE(accepts(StorageType::kU64, bytes({0})));
  EXPECT_FALSE(accepts(StorageType::kU64, bytes({0, 0x80})));
  EXPECT_FALSE(accepts(StorageType::kU64, bytes({0, 0, 0})));
  EXPECT_TRUE(accepts(StorageType::kF32, std::string(8, '\x7F')));
  EXPECT_FALSE(accepts(StorageType::kF32, std::string(7, '\x7F')));
}

TEST(HostileColumn, MayHaveAnExceptionInEveryEighthRowAtMostAndInsideTheColumn) {
  constexpr auto kFloat = StorageType::kF32;
  const auto with = [](const std::string& exceptions) {
    return accepts_column(kFloat, bytes({0x41, 1, 0x00}) + exceptions);
  };
  EXPECT_TRUE(with(bytes({2, 0, 1, 2, 3, 4, 14, 1, 2, 3, 4})));
  EXPECT_FALSE(with(bytes({2, 0, 1, 2, 3, 4, 15, 1, 2, 3, 4})));
  EXPECT_FALSE(with(bytes({2, 15, 1, 2, 3, 4, 0, 1, 2, 3, 4})));
  EXPECT_FALSE(with(bytes({1, 16, 1, 2, 3, 4})));
  EXPECT_FALSE(with(bytes({3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4})));
}

TEST(HostileColumn, IsBoundedInItsRiceCodesPlanesAndRuns) {
  constexpr auto kInt = StorageType::kI32;
  // 16 residuals of one bit each.
  EXPECT_TRUE(accepts_column(kInt, bytes({0x02, 0, 0}), bytes({0xFF, 0xFF})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x02, 0, 25}), std::string(200, '\xFF')));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x02, 0, 0}), std::string(4, '\0')));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x02, 0, 0}), bytes({0xFF})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x02, 0, 0}), bytes({0xFF, 0xFF, 0x00})));
  // 15 residuals leave a bit of padding.
  EXPECT_TRUE(accepts_column(kInt, bytes({0x12, 0, 0}), bytes({0xFF, 0x7F})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x12, 0, 0}), bytes({0xFF, 0xFF})));
  EXPECT_TRUE(accepts_column(kInt, bytes({0x03, 0, 32}) + std::string(64, '\x55')));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x03, 0, 33}) + std::string(66, '\x55')));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x03, 0, 0})));
  EXPECT_TRUE(accepts_column(kInt, bytes({0x04, 0, 16})));
  EXPECT_TRUE(accepts_column(kInt, bytes({0x04, 0, 15, 3})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x04, 0, 17})));
  EXPECT_FALSE(accepts_column(kInt, bytes({0x04, 0, 15, 0})));
}

}  // namespace
}  // namespace pitbox
