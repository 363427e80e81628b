// Goal: a batch gives back every bit of every row, whatever the rows, and its bytes and hash are
// what FORMAT.md says. Method: round trips over hard and typical columns of every storage type.

#include "proto/batch.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "batch_language.h"

namespace pitbox {
namespace {

using testing::Bytes;
using testing::column_of;
using testing::define;
using testing::group_of;
using testing::kAllTypes;
using testing::knows;
using testing::round_trip;

const std::size_t kRowCounts[] = {1, 2, 3, 4, 7, 8, 9, 13, 100, 257, 1000};

TEST(Batch, GivesBackEveryBitOfHardPatternsInEveryStorageType) {
  for (const StorageType type : kAllTypes) {
    for (const std::size_t rows : kRowCounts) {
      for (const auto& [name, patterns] : testing::hard_patterns(rows)) {
        SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
        round_trip({group_of(define("g", {type}), {column_of(type, patterns)})});
      }
    }
  }
}

TEST(Batch, GivesBackEveryBitOfTelemetryInEveryStorageType) {
  for (const StorageType type : kAllTypes) {
    for (const std::size_t rows : kRowCounts) {
      for (const auto& [name, numbers] : testing::telemetry(rows)) {
        SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
        round_trip({group_of(define("g", {type}), {testing::column_of_numbers(type, numbers)})});
      }
    }
  }
}

template <typename Float>
void expect_odd_floats_survive(StorageType type) {
  const auto odd = testing::odd_floats<Float>();
  round_trip({group_of(define("g", {type}), {column_of(odd)})});
  for (const Float value : odd) {
    for (const std::size_t rows : {3U, 20U, 100U}) {
      std::vector<Float> on_grid;
      for (std::size_t i = 0; i < rows; ++i) on_grid.push_back(static_cast<Float>(i) / 8);
      for (const std::size_t at : {std::size_t{0}, rows / 2, rows - 1}) {
        auto broken = on_grid;
        broken[at] = value;
        round_trip({group_of(define("g", {type}), {column_of(broken)})});
      }
    }
  }
}

TEST(Batch, KeepsNegativeZerosNansAndInfinitiesOnAndOffAGrid) {
  expect_odd_floats_survive<float>(StorageType::kF32);
  expect_odd_floats_survive<double>(StorageType::kF64);
}

// Further apart than half of all words, and the mean near one end.
TEST(Batch, GivesBackWordsOverMoreThanHalfOfTheirRange) {
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> one;
  std::vector<std::uint64_t> two;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    one.push_back(i % 4 == 3 ? random() % 0x7FFFFFFF : 0x80000001 + random() % 1000);
    const std::uint64_t high = i % 20 == 3 ? 1'390'000'000 + 17 * i : 35'000'000 + 31 * i;
    two.push_back(i % 10 == 3 ? high : 0x80000000 + random() % 50);
  }
  for (const std::size_t rows : {96U, 1000U}) {
    for (auto patterns : {one, two}) {
      patterns.resize(rows);
      for (const StorageType type : {StorageType::kI32, StorageType::kU32, StorageType::kF32}) {
        SCOPED_TRACE(std::string(to_string(type)) + ", " + std::to_string(rows));
        round_trip({group_of(define("g", {type}), {column_of(type, patterns)})});
      }
      for (std::uint64_t& pattern : patterns) pattern <<= 32U;
      round_trip(
          {group_of(define("g", {StorageType::kI64}), {column_of(StorageType::kI64, patterns)})});
    }
  }
}

TEST(Batch, IsDecodedIntoTheMemoryOfOthers) {
  DecodedBatch reused;
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t rows : {40U, 2U, 300U}) {
      std::vector<GroupRows> groups;
      for (std::size_t g = 0; g < 1 + rows % 3; ++g) {
        const DefinitionPtr definition =
            define("g" + std::to_string(g), {StorageType::kI16, StorageType::kF64},
                   g % 2 == 0 ? TimeBase::kCar : TimeBase::kNone);
        std::vector<std::uint64_t> numbers;
        for (std::size_t r = 0; r < rows; ++r) numbers.push_back(r * r * (g + 3));
        groups.push_back(group_of(definition, {column_of(StorageType::kI16, numbers),
                                               column_of(StorageType::kF64, numbers)}));
      }
      const EncodedBatch encoded = encode_batch("7", groups);
      const auto alone = decode_batch("7", encoded.blob, knows(groups));
      ASSERT_TRUE(alone.ok());
      ASSERT_TRUE(decode_batch("7", encoded.blob, knows(groups), reused).ok());
      EXPECT_EQ(reused.hash, encoded.hash);
      EXPECT_EQ(reused.rows, alone.value().rows);
      EXPECT_EQ(reused.samples, alone.value().samples);
      ASSERT_EQ(reused.groups.size(), groups.size());
      for (std::size_t g = 0; g < groups.size(); ++g) {
        EXPECT_EQ(reused.groups[g].source_ns, alone.value().groups[g].source_ns);
        EXPECT_EQ(reused.groups[g].receive_ns, alone.value().groups[g].receive_ns);
        EXPECT_EQ(reused.groups[g].columns, alone.value().groups[g].columns);
      }
      EXPECT_FALSE(decode_batch("7", "nothing", knows(groups), reused).ok());
      EXPECT_GE(memory_of(reused), rows * groups.size() * (8 + 2 + 8));
    }
  }
}

// Whatever the channel was before.
TEST(Batch, GivesBackEveryBitWithTheMemoryOfEarlierBatches) {
  for (const StorageType type : kAllTypes) {
    const DefinitionPtr definition = define("g", {type});
    BatchMemory memory;
    for (int round = 0; round < 2; ++round) {
      for (const std::size_t rows : kRowCounts) {
        for (const auto& [name, numbers] : testing::telemetry(rows)) {
          SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
          round_trip({group_of(definition, {testing::column_of_numbers(type, numbers)})}, &memory);
        }
        for (const auto& [name, patterns] : testing::hard_patterns(rows)) {
          SCOPED_TRACE(std::string(to_string(type)) + ", " + name + ", " + std::to_string(rows));
          round_trip({group_of(definition, {column_of(type, patterns)})}, &memory);
        }
      }
    }
  }
}

TEST(Batch, GivesBackRowsOfManyChannelsOfSeveralWidths) {
  for (const std::size_t rows : kRowCounts) {
    for (const std::size_t channels : {3U, 4U, 5U, 16U, 19U, 37U}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(channels) + " channels");
      std::vector<StorageType> types(channels, StorageType::kF32);
      types.insert(types.begin() + 2, {StorageType::kU8, StorageType::kF64});
      types.insert(types.end(), channels, StorageType::kU32);
      std::vector<Bytes> columns;
      for (std::size_t c = 0; c < types.size(); ++c) {
        std::vector<std::uint64_t> patterns;
        for (std::size_t r = 0; r < rows; ++r) patterns.push_back((r + 1) * 0x9E3779B9U ^ c);
        columns.push_back(column_of(types[c], patterns));
      }
      round_trip({group_of(define("g", types), columns)});
    }
  }
}

TEST(Batch, CostsAlmostNothingForWhatDoesNotChange) {
  std::vector<StorageType> types(20, StorageType::kF64);
  const Bytes column = column_of(std::vector<double>(1000, 0.1));
  auto group = group_of(define("g", types, TimeBase::kCar), std::vector<Bytes>(20, column));
  for (std::size_t i = 0; i < 1000; ++i) {
    group.receive_ns[i] = 1'000'000 * static_cast<std::int64_t>(i);
  }
  EXPECT_LT(round_trip({group}).blob.size(), 120U);
}

TEST(Batch, NeverGrowsMuchBeyondTheRawBytes) {
  std::vector<StorageType> types(kAllTypes.begin(), kAllTypes.end());
  std::vector<Bytes> columns;
  columns.reserve(types.size());
  for (const StorageType type : types) {
    columns.push_back(column_of(type, testing::hard_patterns(500)[3].patterns));
  }
  const auto group = group_of(define("g", types), columns);
  EXPECT_LT(round_trip({group}).blob.size(), group.rows.size() + std::size_t{500} * 8 + 100);
}

std::vector<GroupRows> three_groups() {
  std::vector<GroupRows> groups;
  for (const std::size_t rows : {100U, 10U, 1U}) {
    std::vector<Bytes> columns;
    for (const StorageType type : {StorageType::kI16, StorageType::kF32}) {
      columns.push_back(testing::column_of_numbers(type, testing::telemetry(rows)[1].numbers));
    }
    const TimeBase base = rows == 10 ? TimeBase::kNone : TimeBase::kUtc;
    groups.push_back(group_of(
        define("rows " + std::to_string(rows), {StorageType::kI16, StorageType::kF32}, base),
        columns));
  }
  return groups;
}

TEST(Batch, OrdersGroupsByPrefixAndLeavesOutEmptyOnes) {
  auto groups = three_groups();
  const auto encoded = round_trip(groups);
  EXPECT_TRUE(std::ranges::is_sorted(encoded.definitions, {}, &Definition::prefix));
  EXPECT_EQ(encoded.rows, 111U);
  EXPECT_EQ(encoded.samples, 222U);

  std::reverse(groups.begin(), groups.end());
  groups.push_back(GroupRows{define("empty", {StorageType::kU8}), {}, {}, {}});
  const auto again = encode_batch("7", groups);
  EXPECT_EQ(again.blob, encoded.blob);
  EXPECT_EQ(again.hash, encoded.hash);

  const auto named = batch_definitions(encoded.blob);
  ASSERT_TRUE(named.ok());
  ASSERT_EQ(named.value().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(named.value()[i], encoded.definitions[i]->prefix());
  }
}

TEST(Batch, KnowsItsFirstAndLastReceiveTimeInAnyOrderOfRows) {
  auto groups = three_groups();
  groups[1].receive_ns[4] = -5;
  groups[2].receive_ns[0] = 9'000'000'000'000'000'000;
  const auto encoded = round_trip(groups);
  EXPECT_EQ(encoded.first_receive_ns, -5);
  EXPECT_EQ(encoded.last_receive_ns, 9'000'000'000'000'000'000);
}

TEST(Batch, KeepsTimesAtTheEndsOfTheirRange) {
  auto groups = three_groups();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  groups[0].source_ns[0] = kLeast;
  groups[0].source_ns[1] = kMost;
  groups[2].source_ns[0] = kMost;
  groups[1].receive_ns.assign(10, kLeast);
  round_trip(groups);
}

TEST(Batch, HashesTheCarTheNamesTheCountsTheTimesAndTheColumns) {
  const auto groups = three_groups();
  const auto encoded = encode_batch("7", groups);
  ContentHasher hasher;
  hasher.add("7");
  for (const DefinitionPtr& definition : encoded.definitions) {
    const auto group = std::ranges::find(groups, definition, &GroupRows::definition);
    hasher.add(std::as_bytes(std::span(definition->name())));
    hasher.add_u64(group->row_count());
    hasher.add(std::as_bytes(std::span(group->source_ns)));
    hasher.add(std::as_bytes(std::span(group->receive_ns)));
    for (std::size_t c = 0; c < 2; ++c) {
      const std::size_t width = width_of(definition->channels()[c].type);
      for (std::size_t r = 0; r < group->row_count(); ++r) {
        const std::size_t at = r * definition->row_bytes() + definition->column_offset(c);
        hasher.add(std::span(group->rows).subspan(at, width));
      }
    }
  }
  EXPECT_EQ(hasher.finish(), encoded.hash);
  EXPECT_NE(encode_batch("8", groups).hash, encoded.hash);
}

TEST(Batch, IdentifiesRowsAloneAndTogetherAlike) {
  for (const GroupRows& group : three_groups()) {
    const auto encoded = encode_batch("41", std::span(&group, 1));
    const auto decoded = decode_batch("41", encoded.blob, knows({group}));
    ASSERT_TRUE(decoded.ok());
    std::vector<RowIdentity> together;
    identify_rows("41", decoded.value().groups[0], together);
    ASSERT_EQ(together.size(), group.row_count());
    const std::size_t row_bytes = group.definition->row_bytes();
    for (std::size_t r = 0; r < group.row_count(); ++r) {
      const std::int64_t source = group.source_ns.empty() ? 0 : group.source_ns[r];
      const auto row = std::span(group.rows).subspan(r * row_bytes, row_bytes);
      EXPECT_EQ(together[r], identify_row("41", group.definition->group().group, source, row));
    }
  }
}

// A ledger of hours appends the rows of thousands of batches; moving all of them at each one took
// minutes.
TEST(Batch, IdentifiesRowsOfManyBatchesWithoutMovingThemEachTime) {
  const GroupRows group = three_groups().front();
  const auto encoded = encode_batch("41", std::span(&group, 1));
  const auto decoded = decode_batch("41", encoded.blob, knows({group}));
  ASSERT_TRUE(decoded.ok());
  std::vector<RowIdentity> rows;
  int moves = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t capacity = rows.capacity();
    identify_rows("41", decoded.value().groups[0], rows);
    moves += rows.capacity() == capacity ? 0 : 1;
  }
  EXPECT_EQ(rows.size(), 1000 * group.row_count());
  EXPECT_LT(moves, 32);
}

TEST(Batch, TellsRowsApartByCarGroupTimeAndValue) {
  const std::array<std::byte, 2> row{std::byte{1}, std::byte{2}};
  const std::array<std::byte, 2> other{std::byte{1}, std::byte{3}};
  const RowIdentity identity = identify_row("1", "engine", 5, row);
  EXPECT_NE(identify_row("2", "engine", 5, row).key, identity.key);
  EXPECT_NE(identify_row("1", "gps", 5, row).key, identity.key);
  EXPECT_NE(identify_row("1", "engine", 6, row).key, identity.key);
  EXPECT_NE(identify_row("1e", "ngine", 5, row).key, identity.key);
  EXPECT_EQ(identify_row("1", "engine", 5, other).key, identity.key);
  EXPECT_NE(identify_row("1", "engine", 5, other).content, identity.content);
}

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    out += "0123456789abcdef"[static_cast<std::uint8_t>(byte) >> 4];
    out += "0123456789abcdef"[static_cast<std::uint8_t>(byte) & 15];
  }
  return out;
}

// If this fails, journals of earlier versions may have become unreadable: change the bytes here
// only together with FORMAT.md and a reader for the old ones.
TEST(Batch, HasTheBytesThatFormatMdDescribes) {
  std::vector<GroupRows> groups = {group_of(
      define("a", {StorageType::kI16, StorageType::kF32, StorageType::kU8}, TimeBase::kUtc),
      {column_of<std::int16_t>({100, 103, 101, 99, 108, 100}),
       column_of<float>({0.1F, 0.2F, 0.4F, 0.3F, 0.2F, 0.1F}),
       column_of<std::uint8_t>({5, 5, 5, 5, 5, 5})})};
  const auto encoded = round_trip(groups);
  EXPECT_EQ(hex_of(encoded.blob),
            "0a084684fcbf33f5e1441201061a0553067491062a1b0139c0843d"
            "00000201f6c1caf384a3020aca01014201020000010a");
  EXPECT_EQ(encoded.hash.hex(), "95c9267520725922b13ff01ca0dd0c9c");
}

TEST(Batch, HasTheBytesThatFormatMdDescribesForFewRows) {
  const DefinitionPtr definition =
      define("a", {StorageType::kI16, StorageType::kF32, StorageType::kU8}, TimeBase::kUtc);
  GroupRows group =
      group_of(definition, {column_of<std::int16_t>({-100, 103}), column_of<float>({0.1F, 0.2F}),
                            column_of<std::uint8_t>({5, 200})});
  group.source_ns = {1'000, 51'000};
  group.receive_ns = {501'000, 551'300};
  const auto encoded = round_trip({group});
  // Mode; source times 1000, + 50000; delays 500000, + 300; -100, + 203; planes of two floats;
  // 5, + 195.
  EXPECT_EQ(hex_of(encoded.blob),
            "0a084684fcbf33f5e1441201022a1a"
            "02"
            "d00fa08d06"
            "c0843dd804"
            "c7019603"
            "cdcdcccccc4c3d3e"
            "0a8603");
}

TEST(Batch, KeepsNoiseAsItIsWhereDifferencesWouldBeLonger) {
  std::mt19937_64 random(1);
  for (const StorageType type : {StorageType::kI64, StorageType::kU64, StorageType::kU32}) {
    std::vector<StorageType> types(40, type);
    std::vector<Bytes> columns;
    std::size_t raw = 0;
    for (std::size_t c = 0; c < types.size(); ++c) {
      columns.push_back(column_of(type, {random(), random()}));
      raw += columns.back().size();
    }
    const auto encoded = round_trip({group_of(define("noise", types), columns)});
    EXPECT_LT(encoded.blob.size(), raw + 48) << to_string(type);
  }
}

}  // namespace
}  // namespace pitbox
