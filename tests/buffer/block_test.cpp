// Goal: a batch that was merged into a block comes back with every bit and under its hash, and
// bytes of strangers in a block or a reference are refused, not believed.

#include "buffer/block.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pitbox {
namespace {

const std::string kCar = "7";

DefinitionPtr group_of(const std::string& name, TimeBase base) {
  ChannelGroup group;
  group.group = name;
  group.time_base = base;
  group.channels = {Channel{.name = "speed", .unit = "km/h", .type = StorageType::kF32},
                    Channel{.name = "gear", .unit = "", .type = StorageType::kI8}};
  auto made = Definition::make(group);
  CHECK(made.ok());
  return std::move(made).take();
}

// Batch `index` of a car: `rows` rows at 100 Hz, and in every third one a row of a slow group.
EncodedBatch batch_at(int index, int rows) {
  static const DefinitionPtr kFast = group_of("fast", TimeBase::kCar);
  static const DefinitionPtr kSlow = group_of("slow", TimeBase::kNone);
  const auto fill = [&](const DefinitionPtr& definition, int count) {
    GroupRows group{.definition = definition, .source_ns = {}, .receive_ns = {}, .rows = {}};
    for (int i = 0; i < count; ++i) {
      const std::int64_t at = (index * std::int64_t{100} + i) * 10'000'000;
      if (definition->has_source_time()) group.source_ns.push_back(at);
      group.receive_ns.push_back(at + 1'000 + i % 7);
      const float speed = static_cast<float>((index * 31 + i * 7) % 400) * 0.5F;
      std::byte row[5];
      std::memcpy(row, &speed, sizeof speed);
      row[4] = static_cast<std::byte>(index % 7);
      group.rows.insert(group.rows.end(), row, row + 5);
    }
    return group;
  };
  std::vector<GroupRows> groups = {fill(kFast, rows)};
  if (index % 3 == 0) groups.push_back(fill(kSlow, 1));
  return encode_batch(kCar, groups);
}

struct Merged {
  std::vector<EncodedBatch> batches;
  std::map<std::uint64_t, DefinitionPtr> definitions;
  NewBlock block;

  DefinitionLookup lookup() const {
    return [this](std::uint64_t prefix) {
      const auto found = definitions.find(prefix);
      return found == definitions.end() ? DefinitionPtr() : found->second;
    };
  }
  BlockExpander expander() const {
    return BlockExpander(
        [this](std::uint64_t wanted, const std::string&) -> Result<std::string> {
          if (wanted != block.block) return Status::rejected("no such block");
          return block.blob;
        },
        lookup());
  }
  StoredEntry entry(std::size_t index) const {
    StoredEntry entry;
    entry.first = entry.last = block.members[index].sequence;
    entry.car = kCar;
    entry.hashes = {batches[index].hash};
    for (const DefinitionPtr& definition : batches[index].definitions) {
      entry.definitions.push_back(definition->prefix());
    }
    entry.bytes = block.members[index].reference;
    return entry;
  }
};

// Sequences 10, 13, 16, ...: those in between are another car's.
Merged merge(int batches, int rows) {
  Merged merged;
  BlockBuilder builder(kCar);
  for (int i = 0; i < batches; ++i) {
    merged.batches.push_back(batch_at(i, rows));
    for (const DefinitionPtr& definition : merged.batches.back().definitions) {
      merged.definitions[definition->prefix()] = definition;
    }
    const auto decoded = decode_batch(kCar, merged.batches.back().blob, merged.lookup());
    CHECK(decoded.ok());
    CHECK(builder.add(10 + 3 * static_cast<std::uint64_t>(i), merged.batches.back().blob.size(),
                      decoded.value()));
  }
  auto block = builder.finish();
  CHECK(block.has_value());
  merged.block = *std::move(block);
  return merged;
}

TEST(Block, GivesBackEveryBatchUnderItsHash) {
  const Merged merged = merge(60, 10);
  EXPECT_EQ(merged.block.first, 10U);
  EXPECT_EQ(merged.block.block, 187U);
  BlockExpander expander = merged.expander();
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < merged.batches.size(); ++i) {
    StoredEntry entry = merged.entry(i);
    const Status expanded = expander.expand(entry);
    ASSERT_TRUE(expanded.ok()) << expanded.message();
    const auto decoded = decode_batch(kCar, entry.bytes, merged.lookup());
    ASSERT_TRUE(decoded.ok()) << decoded.status().message();
    EXPECT_EQ(decoded.value().hash, merged.batches[i].hash);
    EXPECT_EQ(decoded.value().rows, merged.batches[i].rows);
    before += merged.batches[i].blob.size();
  }
  std::uint64_t after = merged.block.blob.size();
  for (const NewBlock::Member& member : merged.block.members) after += member.reference.size();
  EXPECT_LT(after, before / 2) << "headers of small batches are what it saves";
}

TEST(Block, IsLeftOutWhereItWouldSaveNothing) {
  BlockBuilder builder(kCar);
  const EncodedBatch batch = batch_at(0, 10);
  std::map<std::uint64_t, DefinitionPtr> definitions;
  for (const DefinitionPtr& one : batch.definitions) definitions[one->prefix()] = one;
  const auto decoded =
      decode_batch(kCar, batch.blob, [&](std::uint64_t prefix) { return definitions.at(prefix); });
  ASSERT_TRUE(decoded.ok());
  ASSERT_TRUE(builder.add(1, 10, decoded.value()));  // Smaller than it can be.
  EXPECT_FALSE(builder.finish().has_value());
  EXPECT_EQ(builder.batches(), 0U);
}

TEST(Block, TakesNoMoreThanItsLimit) {
  BlockBuilder builder(kCar);
  const EncodedBatch batch = batch_at(0, 5'000);
  std::map<std::uint64_t, DefinitionPtr> definitions;
  for (const DefinitionPtr& one : batch.definitions) definitions[one->prefix()] = one;
  const auto decoded =
      decode_batch(kCar, batch.blob, [&](std::uint64_t prefix) { return definitions.at(prefix); });
  ASSERT_TRUE(decoded.ok());
  std::uint64_t taken = 0;
  while (builder.add(taken + 1, batch.blob.size(), decoded.value())) ++taken;
  // 21 bytes a row, times included.
  EXPECT_EQ(taken, kMaxBlockRawBytes / (5'000 * 21));
  ASSERT_TRUE(builder.finish().has_value());
  EXPECT_TRUE(builder.add(1, batch.blob.size(), decoded.value())) << "it is empty again";
}

TEST(Block, CountsTheColumnsOfABatchOnce) {
  BlockBuilder builder(kCar);
  const EncodedBatch batch = batch_at(1, 1);
  std::map<std::uint64_t, DefinitionPtr> definitions;
  for (const DefinitionPtr& one : batch.definitions) definitions[one->prefix()] = one;
  const auto decoded =
      decode_batch(kCar, batch.blob, [&](std::uint64_t prefix) { return definitions.at(prefix); });
  ASSERT_TRUE(decoded.ok());
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    ASSERT_TRUE(builder.add(i, batch.blob.size(), decoded.value()));
  }
  // 21 bytes a row, and 64 for each of two channels and two times.
  EXPECT_EQ(builder.raw_bytes(), 1000U * 21 + 4 * 64);
}

// A sender may announce one group again and again, each time with another meaning.
TEST(Block, TakesNoMoreGroupsThanABatchMayHave) {
  BlockBuilder builder(kCar);
  std::uint64_t taken = 0;
  for (; taken < 2 * kMaxBatchGroups; ++taken) {
    GroupRows rows{.definition = group_of("g" + std::to_string(taken), TimeBase::kNone),
                   .source_ns = {},
                   .receive_ns = {1},
                   .rows = std::vector<std::byte>(5)};
    const EncodedBatch batch = encode_batch(kCar, std::span(&rows, 1));
    const auto decoded =
        decode_batch(kCar, batch.blob, [&](std::uint64_t) { return rows.definition; });
    ASSERT_TRUE(decoded.ok());
    if (!builder.add(taken + 1, batch.blob.size(), decoded.value())) break;
  }
  EXPECT_EQ(taken, kMaxBatchGroups);
  static_cast<void>(builder.finish());
}

// Of two that claim a block, one with another car in it, only that one is refused.
TEST(Block, ARowOfAnotherCarCostsNoOther) {
  const Merged merged = merge(6, 10);
  BlockExpander expander(
      [&](std::uint64_t, const std::string& car) {
        return car == kCar ? Result<std::string>(merged.block.blob)
                           : Result<std::string>(Status::corrupt("its block is another car's"));
      },
      merged.lookup());
  StoredEntry damaged = merged.entry(0);
  damaged.car = "8";
  EXPECT_EQ(expander.expand(damaged).code(), Code::kCorrupt);
  StoredEntry good = merged.entry(1);
  EXPECT_TRUE(expander.expand(good).ok());
}

TEST(Block, ADefinitionThatComesLaterMakesItReadable) {
  const Merged merged = merge(6, 10);
  bool is_known = false;
  BlockExpander expander(
      [&](std::uint64_t, const std::string&) { return Result<std::string>(merged.block.blob); },
      [&](std::uint64_t prefix) { return is_known ? merged.lookup()(prefix) : DefinitionPtr(); });
  StoredEntry entry = merged.entry(1);
  EXPECT_EQ(expander.expand(entry).code(), Code::kCorrupt);
  is_known = true;
  EXPECT_TRUE(expander.expand(entry).ok());
}

TEST(Block, RefusesReferencesThatDoNotFitIt) {
  const Merged merged = merge(6, 10);
  const auto reference = parse_block_reference(merged.block.members[1].reference, 1);
  ASSERT_TRUE(reference.ok());
  const auto refused = [&](const BlockReference& other, Code code) {
    BlockExpander expander = merged.expander();
    StoredEntry entry = merged.entry(1);
    entry.bytes = pack_block_reference(other);
    const Status status = expander.expand(entry);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), code) << status.message();
  };
  BlockReference other = reference.value();
  other.block = 99;
  refused(other, Code::kRejected);
  for (const RowSlice slice : {RowSlice{51, 10}, RowSlice{60, 1}, RowSlice{0, 0}, RowSlice{0, 61},
                               RowSlice{~std::uint64_t{0}, 2}, RowSlice{11, 10}}) {
    other = reference.value();
    other.slices[0] = slice;
    refused(other, Code::kCorrupt);
  }
  other = reference.value();
  other.slices.clear();
  refused(other, Code::kCorrupt);
  other.slices = {reference.value().slices[0], reference.value().slices[0]};
  refused(other, Code::kCorrupt);
}

TEST(Block, RefusesDefinitionsOutOfOrderAndThoseItLacks) {
  const Merged merged = merge(6, 10);
  for (const auto& definitions : {std::vector<std::uint64_t>{}, std::vector<std::uint64_t>{1},
                                  std::vector<std::uint64_t>(2, 0)}) {
    BlockExpander expander = merged.expander();
    StoredEntry entry = merged.entry(0);
    const std::vector<std::uint64_t> own = entry.definitions;
    entry.definitions = definitions;
    if (definitions.size() == 2) entry.definitions = {own[1], own[0]};
    entry.bytes = pack_block_reference(
        {.block = merged.block.block,
         .bytes = 1,
         .share = 1,
         .slices = std::vector<RowSlice>(entry.definitions.size(), RowSlice{0, 1})});
    EXPECT_EQ(expander.expand(entry).code(), Code::kCorrupt);
  }
}

TEST(Block, KnowsAReferenceFromABatch) {
  const Merged merged = merge(6, 10);
  for (const EncodedBatch& batch : merged.batches) EXPECT_FALSE(is_block_reference(batch.blob));
  for (std::size_t i = 0; i < merged.batches.size(); ++i) {
    const std::string& reference = merged.block.members[i].reference;
    const std::size_t groups = merged.batches[i].definitions.size();
    EXPECT_TRUE(is_block_reference(reference));
    EXPECT_TRUE(parse_block_reference(reference, groups).ok());
    EXPECT_FALSE(parse_block_reference(reference + '\1', groups).ok());
    for (std::size_t cut = 0; cut < reference.size(); ++cut) {
      EXPECT_FALSE(parse_block_reference(reference.substr(0, cut), groups).ok());
    }
  }
}

}  // namespace
}  // namespace pitbox
