// Goal: a lap that a car or game counted itself is told once, with its own time, however the two
// channels change, whoever else is on the track, and whether the process died in between; method:
// rows made by hand, one group per format.

#include "ingest/counter_lap_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace pitbox {
namespace {

constexpr std::int64_t kLapRowNs = 100'000'000;

DefinitionPtr lap_group(std::vector<Channel> channels, TimeBase base = TimeBase::kNone) {
  auto made =
      Definition::make({.group = "laps", .time_base = base, .channels = std::move(channels)});
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).take();
}

DefinitionPtr own_format(const char* unit = "s") {
  return lap_group({{"lap", "", StorageType::kF64, 1, 0},
                    {"last_lap_time", unit, StorageType::kF64, 1, 0},
                    {"in_pit", "", StorageType::kF64, 1, 0}});
}

// As F1 23 and later send it, as far as it matters here; f64 throughout.
DefinitionPtr game_format() {
  std::vector<Channel> channels;
  for (const char* name :
       {"currentLapNum", "lastLapTimeInMS", "sector1TimeMSPart", "sector1TimeMinutesPart",
        "sector2TimeMSPart", "sector2TimeMinutesPart", "pitStatus", "driverStatus"}) {
    channels.push_back({name, "", StorageType::kF64, 1, 0});
  }
  return lap_group(std::move(channels), TimeBase::kCar);
}

class CounterLaps : public ::testing::Test {
 protected:
  // A row of the car's group, a tenth of a second after the one before.
  void row(const std::vector<double>& values) { row_of("27", values); }
  void row_of(std::string_view car, const std::vector<double>& values) {
    now_ns_ += kLapRowNs;
    ASSERT_EQ(values.size(), definition_->channels().size());
    std::vector<std::byte> bytes(values.size() * sizeof(double));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    const std::int64_t source_ns = now_ns_ + source_offset_ns_;
    RowBlock block;
    block.car = car;
    block.definition = &definition_;
    block.count = 1;
    block.receive_ns = now_ns_;
    if (definition_->has_source_time()) block.source_ns = std::span(&source_ns, 1);
    block.rows = bytes;
    engine_->rows(block, laps_);
  }
  void rows(int count, const std::vector<double>& values) {
    for (int i = 0; i < count; ++i) row(values);
  }
  void restart() {
    const std::string state = engine_->save();
    EXPECT_LE(state.size(), CounterLapEngine::kStateBytesMax);
    engine_ = std::make_unique<CounterLapEngine>();
    ASSERT_TRUE(engine_->load(state).ok());
    EXPECT_EQ(engine_->save(), state);
  }

  DefinitionPtr definition_ = own_format();
  std::unique_ptr<CounterLapEngine> engine_ = std::make_unique<CounterLapEngine>();
  std::vector<LapRecord> laps_;
  std::int64_t now_ns_ = 1'000'000'000'000;
  std::int64_t source_offset_ns_ = 0;
};

TEST_F(CounterLaps, TakesCounterAndTimeThatChangeTogether) {
  rows(3, {1, 0, 0});
  row({2, 92.345, 0});
  rows(2, {2, 92.345, 0});
  row({3, 91.5, 0});
  ASSERT_EQ(laps_.size(), 2U);
  EXPECT_EQ(laps_[0].car, "27");
  EXPECT_EQ(laps_[0].lap, 1U);
  EXPECT_EQ(laps_[0].lap_time_ms, 92'345);
  EXPECT_EQ(laps_[0].kind, LapKind::kTimed);
  EXPECT_EQ(laps_[0].evidence, "counter");
  EXPECT_FALSE(laps_[0].started_is_utc);
  EXPECT_EQ(laps_[0].started_boot_ns, 1'000'000'000'000 + 4 * kLapRowNs - 92'345'000'000);
  EXPECT_EQ(laps_[1].lap, 2U);
  EXPECT_EQ(laps_[1].lap_time_ms, 91'500);
}

TEST_F(CounterLaps, WaitsForATimeThatChangesLater) {
  rows(3, {1, 88, 0});
  rows(5, {2, 88, 0});
  EXPECT_TRUE(laps_.empty());
  row({2, 89.25, 0});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap, 1U);
  EXPECT_EQ(laps_[0].lap_time_ms, 89'250);
  EXPECT_EQ(laps_[0].started_boot_ns, 1'000'000'000'000 + 4 * kLapRowNs - 89'250'000'000);
}

TEST_F(CounterLaps, TakesATimeThatStaysForTwoSecondsForTheSameAgain) {
  rows(3, {1, 88, 0});
  rows(20, {2, 88, 0});
  EXPECT_TRUE(laps_.empty());
  row({2, 88, 0});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap_time_ms, 88'000);
}

TEST_F(CounterLaps, TellsNothingOfACounterThatJumpsGoesBackOrHasNoTime) {
  rows(2, {5, 90, 0});
  row({7, 91, 0});
  row({6, 92, 0});
  row({1, 0, 0});
  row({2, 0, 0});
  rows(30, {2, 0, 0});
  EXPECT_TRUE(laps_.empty());
  row({3, 93, 0});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap, 2U);
}

TEST_F(CounterLaps, ForgetsALapThatAFlashbackTookBackBeforeItsTimeCame) {
  rows(3, {4, 90, 0});
  row({5, 90, 0});
  row({4, 90, 0});
  rows(40, {4, 90, 0});
  EXPECT_TRUE(laps_.empty());
  row({5, 91, 0});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap, 4U);
  EXPECT_EQ(laps_[0].lap_time_ms, 91'000);
}

TEST_F(CounterLaps, IgnoresRowsThatCannotBe) {
  rows(2, {1, 0, 0});
  row({std::nan(""), 90, 0});
  row({1.5, 90, 0});
  row({-1, 90, 0});
  row({1e12, 90, 0});
  row({2, std::nan(""), 0});
  EXPECT_TRUE(laps_.empty());
  row({2, 1e9, 0});  // More than a day.
  EXPECT_TRUE(laps_.empty());
  row({2, 90, 0});
  EXPECT_EQ(laps_.size(), 1U);
}

TEST_F(CounterLaps, SaysWhichLapsWereInThePitLane) {
  row({1, 0, 1});
  row({1, 0, 0});
  row({2, 130, 0});
  row({2, 130, 0});
  row({3, 90, 0});
  ASSERT_EQ(laps_.size(), 2U);
  EXPECT_EQ(laps_[0].kind, LapKind::kPit);
  EXPECT_EQ(laps_[1].kind, LapKind::kTimed);
}

TEST_F(CounterLaps, ReadsUnitsAndLeavesOtherOnesAlone) {
  const std::vector<std::pair<const char*, std::int64_t>> units = {
      {"ms", 2}, {"s", 1'500}, {"min", 90'000}, {"", 1'500}};
  for (const auto& [unit, want_ms] : units) {
    SCOPED_TRACE(unit);
    laps_.clear();
    engine_ = std::make_unique<CounterLapEngine>();
    definition_ = own_format(unit);
    row({1, 0, 0});
    row({2, 1.5, 0});
    ASSERT_EQ(laps_.size(), 1U);
    EXPECT_EQ(laps_[0].lap_time_ms, want_ms);
  }
  engine_ = std::make_unique<CounterLapEngine>();
  laps_.clear();
  definition_ = own_format("hours");
  row({1, 0, 0});
  row({2, 1.5, 0});
  EXPECT_TRUE(laps_.empty());
  EXPECT_FALSE(engine_->times("27"));
}

TEST_F(CounterLaps, AddsUpTheSectorsOfAGame) {
  definition_ = game_format();
  //   lap  last  s1ms min s2ms min pit status
  row({7, 80'000, 0, 0, 0, 0, 0, 4});
  row({7, 80'000, 31'050, 0, 0, 0, 0, 4});
  row({7, 80'000, 31'050, 0, 1'200, 1, 0, 4});
  row({8, 122'345, 0, 0, 0, 0, 0, 4});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap, 7U);
  EXPECT_EQ(laps_[0].lap_time_ms, 122'345);
  EXPECT_EQ(laps_[0].sector_time_ms, (std::vector<std::int64_t>{31'050, 61'200, 30'095}));
  // Joined after the first sector: none.
  row({8, 122'345, 0, 0, 30'000, 0, 0, 4});
  row({9, 90'000, 0, 0, 0, 0, 0, 4});
  ASSERT_EQ(laps_.size(), 2U);
  EXPECT_TRUE(laps_[1].sector_time_ms.empty());
}

TEST_F(CounterLaps, TellsOutAndInLapsOfAGame) {
  definition_ = game_format();
  row({1, 0, 0, 0, 0, 0, 2, 0});
  row({1, 0, 0, 0, 0, 0, 0, 3});
  row({2, 110'000, 0, 0, 0, 0, 0, 1});
  row({3, 90'000, 0, 0, 0, 0, 0, 2});
  row({4, 120'000, 0, 0, 0, 0, 1, 0});
  ASSERT_EQ(laps_.size(), 3U);
  EXPECT_EQ(laps_[0].kind, LapKind::kOut);
  EXPECT_EQ(laps_[1].kind, LapKind::kTimed);
  EXPECT_EQ(laps_[2].kind, LapKind::kIn);
}

TEST_F(CounterLaps, NumbersALapByWhatTheCounterCounts) {
  definition_ = lap_group(
      {{"LapCount", "", StorageType::kF64, 1, 0}, {"LapTime", "", StorageType::kF64, 1, 0}});
  row({0, 0});
  row({1, 2.1067});
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap, 1U);
  EXPECT_EQ(laps_[0].lap_time_ms, 126'402);
}

TEST_F(CounterLaps, KeepsCarsApart) {
  row_of("7", {1, 0, 0});
  row_of("8", {4, 80, 0});
  row_of("7", {2, 90, 0});
  row_of("8", {5, 81, 0});
  ASSERT_EQ(laps_.size(), 2U);
  EXPECT_EQ(laps_[0].car, "7");
  EXPECT_EQ(laps_[0].lap, 1U);
  EXPECT_EQ(laps_[1].car, "8");
  EXPECT_EQ(laps_[1].lap, 4U);
}

TEST_F(CounterLaps, TellsTheSameAfterARestartBetweenAnyTwoRows) {
  const std::vector<std::vector<double>> story = {{1, 0, 1},  {1, 0, 0},  {2, 0, 0},  {2, 95, 0},
                                                  {2, 95, 0}, {3, 94, 1}, {4, 94, 0}, {4, 99, 0},
                                                  {3, 99, 0}, {4, 98, 0}};
  for (const auto& values : story) row(values);
  const std::vector<LapRecord> want = std::exchange(laps_, {});
  ASSERT_EQ(want.size(), 4U);
  engine_ = std::make_unique<CounterLapEngine>();
  now_ns_ = 1'000'000'000'000;
  for (const auto& values : story) {
    row(values);
    restart();
  }
  ASSERT_EQ(laps_.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(laps_[i].lap, want[i].lap);
    EXPECT_EQ(laps_[i].lap_time_ms, want[i].lap_time_ms);
    EXPECT_EQ(laps_[i].kind, want[i].kind);
    EXPECT_EQ(laps_[i].started_boot_ns, want[i].started_boot_ns);
  }
}

TEST_F(CounterLaps, RefusesEveryTruncationOfAState) {
  row({1, 0, 1});
  row({2, 0, 0});
  const std::string state = engine_->save();
  for (std::size_t size = 1; size < state.size(); ++size) {
    EXPECT_EQ(CounterLapEngine().load(state.substr(0, size)).code(), Code::kCorrupt) << size;
  }
  EXPECT_EQ(CounterLapEngine().load(state + "x").code(), Code::kCorrupt);
}

TEST_F(CounterLaps, HoldsAsManyCarsAsItSays) {
  for (std::size_t i = 0; i <= CounterLapEngine::kCarsMax; ++i) {
    const std::string car = std::string(kMaxNameBytes - 4, 'c') + std::to_string(1000 + i);
    row_of(car, {1, 0, 0});
    row_of(car, {2, 0, 0});
    EXPECT_EQ(engine_->times(car), i < CounterLapEngine::kCarsMax);
  }
  restart();
}

TEST_F(CounterLaps, TellsALapWhoseTimeWasNotSureWhenTheSessionEnds) {
  rows(3, {1, 88, 0});
  rows(3, {2, 88, 0});
  EXPECT_TRUE(laps_.empty());
  engine_->finish(laps_);
  ASSERT_EQ(laps_.size(), 1U);
  EXPECT_EQ(laps_[0].lap_time_ms, 88'000);
  EXPECT_TRUE(engine_->save().empty());
}

}  // namespace
}  // namespace pitbox
