// Goal: what blocks are coded with beside batches, the predictor `trend`, gives back every bit, is
// worth it where channels are noise around a trend, and is refused in a batch.

#include <gtest/gtest.h>

#include <random>

#include "batch_language.h"
#include "proto/batch.h"
#include "proto/batch.pb.h"

namespace pitbox {
namespace {

using testing::Bytes;
using testing::column_of;
using testing::define;
using testing::group_of;
using testing::kAllTypes;
using testing::knows;

// As a decoder gives them.
std::vector<GroupColumns> columns_of(const std::vector<GroupRows>& groups) {
  const EncodedBatch encoded = encode_batch("7", groups);
  return decode_batch("7", encoded.blob, knows(groups)).take().groups;
}

void expect_round_trip(const GroupRows& group) {
  const auto columns = columns_of({group});
  const EncodedBatch block = encode_block("7", columns);
  const auto decoded = decode_block("7", block.blob, knows({group}));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded.value().hash, block.hash);
  EXPECT_EQ(decoded.value().groups[0].columns, columns[0].columns);
  EXPECT_EQ(decoded.value().groups[0].receive_ns, columns[0].receive_ns);
}

TEST(BlockCoding, GivesBackEveryBitInEveryStorageType) {
  for (const StorageType type : kAllTypes) {
    for (const std::size_t rows : {1U, 2U, 3U, 9U, 100U, 1000U}) {
      for (const auto& [name, patterns] : testing::hard_patterns(rows)) {
        SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
        expect_round_trip(group_of(define("g", {type}), {column_of(type, patterns)}));
      }
      for (const auto& [name, numbers] : testing::telemetry(rows)) {
        SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
        expect_round_trip(
            group_of(define("g", {type}), {testing::column_of_numbers(type, numbers)}));
      }
    }
  }
}

// A converter's counts: a slow curve and noise of some steps.
GroupRows noisy_group(StorageType type) {
  std::mt19937_64 random(5);
  std::vector<double> numbers;
  for (int i = 0; i < 4000; ++i) {
    double noise = -6;
    for (int k = 0; k < 12; ++k) noise += static_cast<double>(random() >> 11) * 0x1p-53;
    numbers.push_back(std::round(5000 + 3000 * std::sin(i * 0.002) + 4 * noise));
  }
  return group_of(define("g", {type}), {testing::column_of_numbers(type, numbers)});
}

TEST(BlockCoding, IsSmallerWhereAChannelIsNoiseAroundATrend) {
  for (const StorageType type :
       {StorageType::kI16, StorageType::kI64, StorageType::kF32, StorageType::kF64}) {
    SCOPED_TRACE(to_string(type));
    const GroupRows group = noisy_group(type);
    const EncodedBatch batch = encode_batch("7", std::vector{group});
    const EncodedBatch block = encode_block("7", columns_of({group}));
    EXPECT_EQ(block.hash, batch.hash);
    EXPECT_LT(block.blob.size(), batch.blob.size() * 93 / 100);
    EXPECT_TRUE(decode_block("7", batch.blob, knows({group})).ok());
    EXPECT_EQ(decode_batch("7", block.blob, knows({group})).status().code(), Code::kCorrupt);
  }
}

// UTC in nanoseconds: more than what a level in 65,536ths holds.
TEST(BlockCoding, IsNoLargerThanTheBatchWhereATrendCannotFollow) {
  std::mt19937_64 random(6);
  GroupRows group = noisy_group(StorageType::kI16);
  group.definition = define("g", {StorageType::kI16}, TimeBase::kUtc);
  for (std::size_t i = 0; i < group.row_count(); ++i) {
    group.source_ns.push_back(1'700'000'000'000'000'000 +
                              static_cast<std::int64_t>(i) * 10'000'000 +
                              static_cast<std::int64_t>(random() % 300));
  }
  std::vector<std::uint64_t> great;
  for (int i = 0; i < 4000; ++i) great.push_back(1'700'000'000'000'000'000 + random() % 5000);
  for (const GroupRows& one :
       {group, group_of(define("i", {StorageType::kI64}), {column_of(StorageType::kI64, great)})}) {
    expect_round_trip(one);
    const std::size_t batch = encode_batch("7", std::vector{one}).blob.size();
    EXPECT_LE(encode_block("7", columns_of({one})).blob.size(), batch + 2);
  }
}

bool accepts(const std::string& column, const std::string& dense, std::uint32_t rows) {
  const auto definition = define("g", {StorageType::kI32});
  words::Batch message;
  message.add_definitions(definition->prefix());
  message.add_rows(rows);
  message.set_dense(dense);
  // Mode 1; receive times constant 0; then the column.
  message.set_plain(std::string("\x01\x01\x00", 3) + column);
  GroupRows known;
  known.definition = definition;
  return decode_block("1", message.SerializeAsString(), knows({known})).ok();
}

TEST(BlockCoding, AllowsWhatFormatMdAllowsAndNoMore) {
  const auto bytes = [](std::initializer_list<int> values) {
    return std::string(values.begin(), values.end());
  };
  // Choice, seed, gains, shift; residuals of one bit each, as many as rows less one.
  EXPECT_TRUE(accepts(bytes({0x82, 0x00, 0x52, 0}), bytes({0xFF, 0x7F}), 16));
  EXPECT_FALSE(accepts(bytes({0x82, 0x00, 0x52, 0}), bytes({0xFF, 0xFF}), 16));
  EXPECT_FALSE(accepts(bytes({0x82, 0x00}), bytes({0xFF, 0x7F}), 16));           // No gains.
  EXPECT_FALSE(accepts(bytes({0x8A, 0x00, 0x52, 0}), bytes({0xFF, 0x7F}), 16));  // Predictor 5.
  EXPECT_FALSE(accepts(bytes({0x85, 0x00, 0x52, 0}), bytes({0xFF, 0x7F}), 16));  // Coder 5.
  EXPECT_FALSE(accepts(bytes({0x80}) + std::string(64, '\0'), {}, 16));  // Bytes, predicted.
  EXPECT_TRUE(accepts(bytes({0x82, 0x00, 0x52, 0}), {}, 1));
  // The greatest errors, at all gains.
  for (int gains = 0; gains <= 255; ++gains) {
    std::string column = bytes({0x83, 0x01, gains, 32});
    for (int plane = 0; plane < 32; ++plane) column += bytes({0x55, 0x55});
    EXPECT_TRUE(accepts(column, {}, 17)) << gains;
  }
}

// If this fails, blocks of earlier versions may have become unreadable.
TEST(BlockCoding, HasTheBytesThatFormatMdDescribes) {
  // Level 100 << 16, slope 0, gains 1/4 and 1/32. 104: expected 100; then the level is 101, the
  // slope 1/8. 102: expected 101 (101.125). The level is then 101.34375, the slope 0.15234375.
  // 101: expected 101 (101.49609375).
  const auto definition = define("g", {StorageType::kI32});
  GroupRows group = group_of(definition, {column_of<std::int32_t>({100, 104, 102, 101})});
  words::Batch message;
  message.add_definitions(definition->prefix());
  message.add_rows(4);
  // Residuals 4, 1, 0 as zigzag 8, 2, 0, in planes 1 and 3 of four.
  message.set_plain(std::string("\x01\x01\x00\x83\xC8\x01\x52\x04\x00\x02\x00\x01", 12));
  const auto decoded = decode_block("7", message.SerializeAsString(), knows({group}));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded.value().groups[0].columns[0], column_of<std::int32_t>({100, 104, 102, 101}));
}

}  // namespace
}  // namespace pitbox
