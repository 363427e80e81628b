// What a live view carries: changes only, everything again every five seconds, nothing that is not
// a number, and merging that loses no channel.

#include "sync/live_view.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/sync/fake_journal.h"

namespace pitbox {
namespace {

LiveSnapshot snapshot_of(std::uint64_t version, double speed, std::uint64_t changed) {
  LiveSnapshot snapshot;
  snapshot.version = version;
  snapshot.wall_minus_boot_ns = 1000 * kNsPerMs;
  LiveCar car;
  car.car = "7";
  car.receive_ns = 5 * kNsPerMs;
  car.values.push_back({testing::make_definition("gps"), 0, speed, changed});
  snapshot.cars.push_back(car);
  return snapshot;
}

TEST(LiveViewFeed, GivesWhatChangedAndTheWallClock) {
  LiveViewFeed feed({});
  auto cars = feed.take(0, snapshot_of(1, 200, 1));
  ASSERT_EQ(cars.size(), 1U);
  EXPECT_EQ(cars[0].car, "7");
  EXPECT_EQ(cars[0].wall_time_ms, 1005);
  ASSERT_EQ(cars[0].values.size(), 1U);
  EXPECT_EQ(cars[0].values[0].channel, "speed");
  EXPECT_EQ(cars[0].values[0].unit, "km/h");
  EXPECT_TRUE(feed.take(100 * kNsPerMs, snapshot_of(2, 200, 1)).empty()) << "unchanged";
  EXPECT_EQ(feed.take(200 * kNsPerMs, snapshot_of(3, 201, 3)).size(), 1U);
}

TEST(LiveViewFeed, IsDueTenTimesASecond) {
  LiveViewFeed feed({});
  EXPECT_TRUE(feed.due(0));
  feed.take(0, {});
  EXPECT_FALSE(feed.due(99 * kNsPerMs));
  EXPECT_TRUE(feed.due(100 * kNsPerMs));
}

TEST(LiveViewFeed, RepeatsEverythingEveryFiveSecondsAndForANewConnection) {
  LiveViewFeed feed({});
  feed.take(0, snapshot_of(1, 200, 1));
  EXPECT_TRUE(feed.take(4900 * kNsPerMs, snapshot_of(2, 200, 1)).empty());
  EXPECT_EQ(feed.take(5000 * kNsPerMs, snapshot_of(3, 200, 1)).size(), 1U);
  EXPECT_TRUE(feed.take(5100 * kNsPerMs, snapshot_of(4, 200, 1)).empty());
  feed.restart();
  EXPECT_EQ(feed.take(5200 * kNsPerMs, snapshot_of(5, 200, 1)).size(), 1U);
}

TEST(LiveViewFeed, WhatIsNoNumberIsLeftOut) {
  LiveViewFeed feed({});
  EXPECT_TRUE(feed.take(0, snapshot_of(1, std::numeric_limits<double>::quiet_NaN(), 1)).empty());
  LiveViewFeed other({});
  EXPECT_TRUE(other.take(0, snapshot_of(1, std::numeric_limits<double>::infinity(), 1)).empty());
}

TEST(MergeLiveView, TakesTheNewerValueAndKeepsTheOthersUpToTheLimit) {
  LiveViewCar kept{"7", 1, {{"a", "", 1.0}, {"b", "", 2.0}}};
  LiveViewCar newer{"7", 2, {{"b", "", 3.0}}};
  for (std::size_t i = 0; i < kMaxLiveViewValues; ++i) {
    newer.values.push_back({"c" + std::to_string(i), "", 0.0});
  }
  merge_live_view(kept, newer);
  EXPECT_EQ(kept.wall_time_ms, 2);
  EXPECT_EQ(kept.values.size(), kMaxLiveViewValues);
  EXPECT_EQ(kept.values[0].value, 1.0);
  EXPECT_EQ(kept.values[1].value, 3.0);
}

}  // namespace
}  // namespace pitbox
