// Goal: rows come out of the builder as they went in, cut at its limits and nowhere else. Method:
// decode what it encoded.

#include "buffer/batch_builder.h"

#include <cstring>

#include "recorder_rig.h"

namespace pitbox {
namespace {

class BuilderRig {
 public:
  explicit BuilderRig(BatchBuilder::Options options = {}) : builder(options) {}

  void add(std::string_view car, std::uint64_t first, std::size_t count,
           const DefinitionPtr& definition = rig::numbered_definition()) {
    std::vector<std::int64_t> times(count, 5);
    std::vector<std::byte> rows(count * definition->row_bytes());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t number = first + i;
      std::memcpy(&rows[i * definition->row_bytes()], &number, sizeof number);
    }
    builder.add(RowBlock{.car = car,
                         .definition = &definition,
                         .count = count,
                         .source_ns = times,
                         .receive_ns = 9,
                         .rows = rows});
  }
  // Numbers of each batch taken.
  std::vector<std::vector<std::uint64_t>> take() {
    std::vector<std::vector<std::uint64_t>> result;
    for (const NewBatch& batch : builder.take()) {
      cars.push_back(batch.car);
      const auto lookup = [&](std::uint64_t prefix) -> DefinitionPtr {
        for (const DefinitionPtr& definition : batch.batch.definitions) {
          if (definition->prefix() == prefix) return definition;
        }
        return nullptr;
      };
      auto decoded = decode_batch(batch.car, batch.batch.blob, lookup);
      EXPECT_TRUE(decoded.ok()) << decoded.status().message();
      std::vector<std::uint64_t> numbers;
      for (const GroupColumns& group : decoded.value().groups) {
        for (std::size_t i = 0; i < group.row_count(); ++i) {
          std::uint64_t number = 0;
          std::memcpy(&number, &group.columns[0][i * 8], sizeof number);
          numbers.push_back(number);
        }
      }
      result.push_back(std::move(numbers));
    }
    return result;
  }

  BatchBuilder builder;
  std::vector<std::string> cars;
};

TEST(BatchBuilder, GivesOneBatchPerCarInTheOrderOfNamesAndIsEmptyAgain) {
  BuilderRig rig;
  EXPECT_TRUE(rig.builder.empty());
  rig.add("8", 10, 2);
  rig.add("7", 1, 2);
  rig.add("8", 12, 1);
  EXPECT_FALSE(rig.builder.empty());
  EXPECT_GT(rig.builder.bytes(), 0U);
  const auto batches = rig.take();
  EXPECT_EQ(rig.cars, (std::vector<std::string>{"7", "8"}));
  EXPECT_EQ(batches, (std::vector<std::vector<std::uint64_t>>{{1, 2}, {10, 11, 12}}));
  EXPECT_TRUE(rig.builder.empty());
  EXPECT_EQ(rig.builder.bytes(), 0U);
  EXPECT_TRUE(rig.take().empty());
  rig.add("8", 20, 1);
  EXPECT_EQ(rig.take(), (std::vector<std::vector<std::uint64_t>>{{20}}));
}

TEST(BatchBuilder, MergesEqualDefinitionsHeldByDifferentDecoders) {
  BuilderRig rig;
  const DefinitionPtr twin = Definition::make(rig::numbered_definition()->group()).take();
  ASSERT_NE(twin, rig::numbered_definition());
  rig.add("7", 1, 1);
  rig.add("7", 2, 1, twin);
  EXPECT_EQ(rig.take(), (std::vector<std::vector<std::uint64_t>>{{1, 2}}));
}

TEST(BatchBuilder, SealsAtTheRawLimitAndCutsABlockThatIsLargerThanIt) {
  // A row of 12 bytes costs 28 with its times: ten fit.
  BuilderRig rig({.batch_raw_bytes = 280, .batch_coded_bytes = 1 << 20, .cars_max = 256});
  rig.add("7", 1, 10);
  rig.add("7", 11, 1);
  rig.add("7", 12, 25);
  const auto batches = rig.take();
  ASSERT_EQ(batches.size(), 4U);
  EXPECT_EQ(batches[0].size(), 10U);
  EXPECT_EQ(batches[1].size(), 10U);
  EXPECT_EQ(batches[2].size(), 10U);
  EXPECT_EQ(batches[3].size(), 6U);
  EXPECT_EQ(batches[3].back(), 36U);
}

TEST(BatchBuilder, TakesARowThatIsLargerThanEveryLimit) {
  BuilderRig rig({.batch_raw_bytes = 1, .batch_coded_bytes = 1, .cars_max = 256});
  rig.add("7", 1, 3);
  EXPECT_EQ(rig.take().size(), 3U);
}

TEST(BatchBuilder, LearnsFromTheLastBatchHowLargeTheNextMayGrow) {
  BuilderRig rig(
      {.batch_raw_bytes = std::size_t{4} << 20, .batch_coded_bytes = 4096, .cars_max = 256});
  rig.add("7", 1, 20'000);
  EXPECT_GT(rig.builder.bytes(), 0U);
  const auto first = rig.take();
  rig.add("7", 1, 20'000);
  const auto second = rig.take();
  // At first a guess; then the ratio of numbers that compress far better than the guess.
  EXPECT_GT(first.size(), second.size());
}

TEST(BatchBuilder, AsksForACommitWhenCarsAreManyAndForgetsTheIdleOnes) {
  BuilderRig rig({.batch_raw_bytes = 1 << 20, .batch_coded_bytes = 1 << 20, .cars_max = 4});
  rig.add("1", 1, 1);
  rig.take();
  rig.add("2", 1, 1);
  rig.add("3", 1, 1);
  EXPECT_FALSE(rig.builder.wants_commit());
  rig.add("4", 1, 1);
  EXPECT_TRUE(rig.builder.wants_commit());
  EXPECT_EQ(rig.take().size(), 3U);
  EXPECT_FALSE(rig.builder.wants_commit());
  for (int i = 0; i < 6; ++i) rig.add("new" + std::to_string(i), 1, 1);
  EXPECT_EQ(rig.take().size(), 6U) << "nothing is dropped";
}

TEST(BatchBuilder, ForgetsEverythingWhenToldTo) {
  BuilderRig rig({.batch_raw_bytes = 280, .batch_coded_bytes = 1 << 20, .cars_max = 256});
  rig.add("7", 1, 25);
  rig.builder.clear();
  EXPECT_TRUE(rig.builder.empty());
  EXPECT_TRUE(rig.take().empty());
  rig.add("7", 1, 1);
  EXPECT_EQ(rig.take(), (std::vector<std::vector<std::uint64_t>>{{1}}));
}

TEST(BatchBuilder, TellsABlockWhoseSpansDisagree) {
  const DefinitionPtr definition = rig::numbered_definition();
  const std::vector<std::int64_t> times(2);
  const std::vector<std::byte> rows(24);
  RowBlock block{.car = "7",
                 .definition = &definition,
                 .count = 2,
                 .source_ns = times,
                 .receive_ns = 0,
                 .rows = rows};
  EXPECT_TRUE(consistent(block));
  block.count = 1;
  EXPECT_FALSE(consistent(block));
  block.count = 2;
  block.source_ns = {};
  EXPECT_FALSE(consistent(block)) << "its definition has source times";
  block.source_ns = times;
  block.rows = std::span(rows).first(23);
  EXPECT_FALSE(consistent(block));
  block.definition = nullptr;
  EXPECT_FALSE(consistent(block));
}

}  // namespace
}  // namespace pitbox
