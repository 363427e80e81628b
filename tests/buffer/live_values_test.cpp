// Goal: viewers get the newest value of the chosen channels and can tell what changed. Method: by
// hand.

#include "buffer/live_values.h"

#include <gtest/gtest.h>

#include <cstring>

namespace pitbox {
namespace {

DefinitionPtr definition(const std::string& group, const std::vector<std::string>& channels) {
  ChannelGroup made{.group = group, .time_base = TimeBase::kNone, .channels = {}};
  for (const std::string& name : channels) {
    made.channels.push_back(
        {.name = name, .unit = "km/h", .type = StorageType::kU8, .factor = 2, .offset = 1});
  }
  return Definition::make(made).take();
}

void note(LiveValues& live, const std::string& car, const DefinitionPtr& what,
          const std::vector<std::uint8_t>& rows, std::int64_t receive_ns = 1) {
  live.note(RowBlock{.car = car,
                     .definition = &what,
                     .count = rows.size() / what->row_bytes(),
                     .source_ns = {},
                     .receive_ns = receive_ns,
                     .rows = std::as_bytes(std::span(rows))});
}

TEST(LiveValues, ShowsTheLastRowsPhysicalValuesAndTheVersionOfTheirChange) {
  LiveValues live({"speed", "rpm"});
  const DefinitionPtr fast = definition("fast", {"x", "speed", "rpm"});
  EXPECT_FALSE(live.changed());
  note(live, "7", fast, {1, 2, 3, 4, 5, 6}, 42);
  EXPECT_TRUE(live.changed());
  const LiveSnapshot first = live.take(8);
  ASSERT_EQ(first.cars.size(), 1U);
  EXPECT_EQ(first.cars[0].car, "7");
  EXPECT_EQ(first.cars[0].receive_ns, 42);
  EXPECT_EQ(first.wall_minus_boot_ns, 8);
  ASSERT_EQ(first.cars[0].values.size(), 2U);
  EXPECT_EQ(first.cars[0].values[0].what().name, "speed");
  EXPECT_DOUBLE_EQ(first.cars[0].values[0].value, 11);
  EXPECT_FALSE(live.changed());
  note(live, "7", fast, {9, 5, 7});
  const LiveSnapshot second = live.take(8);
  EXPECT_EQ(second.cars[0].values[0].version, first.version) << "speed stayed";
  EXPECT_EQ(second.cars[0].values[1].version, second.version);
  note(live, "7", fast, {0, 5, 7});
  EXPECT_FALSE(live.changed());
}

TEST(LiveValues, TakesTheFirstSixteenChannelsIfNoneWereChosen) {
  LiveValues live({});
  std::vector<std::string> names;
  names.reserve(20);
  for (int i = 0; i < 20; ++i) names.push_back("c" + std::to_string(i));
  note(live, "7", definition("a", {"first"}), {1});
  note(live, "7", definition("b", names), std::vector<std::uint8_t>(20, 1));
  EXPECT_EQ(live.take(0).cars[0].values.size(), kLiveChannelsByDefault);
}

TEST(LiveValues, LetsANewDefinitionTakeAChannelOver) {
  LiveValues live({"speed"});
  note(live, "7", definition("a", {"speed"}), {1});
  note(live, "7", definition("a", {"speed", "more"}), {2, 0});
  const LiveSnapshot snapshot = live.take(0);
  ASSERT_EQ(snapshot.cars[0].values.size(), 1U);
  EXPECT_DOUBLE_EQ(snapshot.cars[0].values[0].value, 5);
}

TEST(LiveValues, ShowsAtMostItsNumberOfCars) {
  LiveValues live({});
  const DefinitionPtr one = definition("a", {"x"});
  for (std::size_t i = 0; i < kMaxLiveCars + 5; ++i) note(live, std::to_string(i), one, {1});
  EXPECT_EQ(live.take(0).cars.size(), kMaxLiveCars);
}

}  // namespace
}  // namespace pitbox
