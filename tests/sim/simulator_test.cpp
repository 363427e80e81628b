// The field of cars: the same for the same seed, at the rates and with the kinds of channels that
// docs/sim.md promises, and driving laps of two minutes with stops.

#include "apps/sim/simulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "proto/content_hash.h"

namespace pitbox {
namespace {

std::unique_ptr<Simulator> given_cars(const SimulatorOptions& options) {
  auto made = Simulator::make(options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).take();
}

// Everything that was produced, as one hash; the tick must not matter.
std::uint64_t content_after(const SimulatorOptions& options, std::int64_t end_ms,
                            std::int64_t tick_ms) {
  auto simulator = given_cars(options);
  std::map<std::pair<std::size_t, std::size_t>, std::string> streams;
  for (std::int64_t at = tick_ms; at <= end_ms; at += tick_ms) {
    simulator->advance_to(at, [&](const SimulatedRows& rows) {
      std::string& stream = streams[{rows.car_index, rows.group_index}];
      stream.append(reinterpret_cast<const char*>(rows.rows.data()), rows.rows.size());
      for (const std::int64_t time : rows.source_ns) stream += std::to_string(time) + " ";
    });
  }
  // Times and rows interleave differently for different ticks: compare them sorted apart.
  std::uint64_t sum = 0;
  for (const auto& [key, stream] : streams) {
    std::string sorted = stream;
    std::sort(sorted.begin(), sorted.end());
    sum += hash64(std::as_bytes(std::span(sorted)), key.first * 100 + key.second);
  }
  return sum;
}

TEST(Simulator, ProducesTheSameForTheSameSeedWhateverTheTick) {
  const SimulatorOptions options{.cars = 2, .seed = 42};
  const std::uint64_t content = content_after(options, 1000, 10);
  EXPECT_EQ(content, content_after(options, 1000, 10));
  EXPECT_EQ(content, content_after(options, 1000, 50));
  EXPECT_NE(content, content_after({.cars = 2, .seed = 43}, 1000, 10));
}

TEST(Simulator, SendsAtTheDocumentedRates) {
  EXPECT_DOUBLE_EQ(given_cars({})->samples_per_second(), 132'700);
  EXPECT_DOUBLE_EQ(given_cars({.gt3 = true})->samples_per_second(), 4'000);
  auto simulator = given_cars({.cars = 2, .seed = 1, .rate_scale = 0.03});
  std::map<std::string, std::size_t> rows;
  simulator->advance_to(10'000, [&](const SimulatedRows& block) {
    if (block.car_index == 0) {
      rows[(*block.definition)->group().group] += block.source_ns.size();
    }
  });
  EXPECT_EQ(rows["chassis"], 300U);
  EXPECT_EQ(rows["vehicle"], 30U);
  EXPECT_EQ(rows["gps"], 200U) << "--rate leaves the position alone";
  EXPECT_EQ(rows["status"], 10U) << "no group below 1 Hz";
}

TEST(Simulator, StampsRowsEvenlyOnTheCarsClock) {
  auto simulator = given_cars({.cars = 1, .seed = 5});
  std::vector<std::int64_t> times;
  for (const std::int64_t at : {7, 10, 33, 100}) {
    simulator->advance_to(at, [&](const SimulatedRows& rows) {
      if (rows.group_index == 0) {
        times.insert(times.end(), rows.source_ns.begin(), rows.source_ns.end());
      }
    });
  }
  ASSERT_EQ(times.size(), 100U);
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i], simulator->clock_start_ns(0) + static_cast<std::int64_t>(i) * 1'000'000);
  }
}

TEST(Simulator, RefusesWhatItCannotDrive) {
  EXPECT_FALSE(Simulator::make({.cars = 0}).ok());
  EXPECT_FALSE(Simulator::make({.cars = kMaxSimulatedCars + 1}).ok());
  EXPECT_TRUE(Simulator::make({.cars = kMaxSimulatedCars}).ok());
  EXPECT_FALSE(Simulator::make({.rate_scale = 0}).ok());
  EXPECT_FALSE(Simulator::make({.rate_scale = -1}).ok());
  EXPECT_FALSE(Simulator::make({.rate_scale = std::nan("")}).ok());
}

TEST(Simulator, GivesEveryCarItsOwnNumber) {
  auto simulator = given_cars({.cars = kMaxSimulatedCars});
  const auto& numbers = simulator->car_numbers();
  EXPECT_EQ(std::set<std::string>(numbers.begin(), numbers.end()).size(), kMaxSimulatedCars);
}

TEST(ChannelSet, HasThreeHundredChannelsTwoThirdsOfThemNoisyTwelveBitReadings) {
  const ChannelSet set;
  std::size_t channels = 0;
  std::size_t readings = 0;
  for (const ChannelSet::Group& group : set.groups()) {
    ASSERT_EQ(group.sensors.size(), group.definition->channels().size());
    for (std::size_t i = 0; i < group.sensors.size(); ++i) {
      ++channels;
      const StorageType type = group.definition->channels()[i].type;
      if (group.sensors[i].kind != SensorKind::kAdc) continue;
      EXPECT_TRUE(type == StorageType::kI16 || type == StorageType::kU16);
      ++readings;
    }
  }
  EXPECT_EQ(channels, 300U);
  EXPECT_GE(readings, 200U);
}

TEST(ChannelSet, ReadingsStayInTwelveBitsAndVaryByFourSteps) {
  auto simulator = given_cars({.cars = 1, .seed = 3});
  const auto& groups = simulator->channel_set().groups();
  // Standing state, many rows: what varies then is noise alone.
  SimRandom random(1);
  const ChannelSet::Group& group = groups[1];
  std::vector<std::byte> row(group.definition->row_bytes());
  std::map<int, int> seen;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    ChannelSet::fill_row(group, {simulator->car(0), 0, number}, random, row);
    const double value = raw_value(group.definition->channels()[0].type, row.data());
    EXPECT_GE(value, 0);
    EXPECT_LE(value, 4095);
    ++seen[static_cast<int>(value)];
  }
  ASSERT_EQ(seen.size(), 5U) << "two steps to either side";
  for (const auto& [value, count] : seen) EXPECT_NEAR(count, 4000, 400) << value;
}

TEST(SimCar, DrivesLapsOfAboutTwoMinutesAndStopsNowAndThen) {
  const SimTrack track;
  SimCar car(track, 11);
  std::vector<double> laps;
  int stops = 0;
  bool was_standing = false;
  double previous = 0;
  std::uint32_t lap = 0;
  for (int ms = 0; ms < 1'800'000; ++ms) {
    car.step();
    const bool is_standing = car.value(Signal::kStanding) > 0.5;
    if (is_standing && !was_standing) {
      ++stops;
      EXPECT_TRUE(car.in_pit_lane());
    }
    was_standing = is_standing;
    if (car.lap() == lap) continue;
    if (lap > 0) laps.push_back((car.last_crossing_ms() - previous) / 1000);
    previous = car.last_crossing_ms();
    lap = car.lap();
  }
  ASSERT_GE(laps.size(), 12U);
  EXPECT_GE(stops, 2);
  int flying = 0;
  for (const double seconds : laps) {
    EXPECT_GT(seconds, 112);
    EXPECT_LT(seconds, 210);
    if (seconds < 126) ++flying;
  }
  EXPECT_GE(flying, static_cast<int>(laps.size()) - 2 * (stops + 1));
}

TEST(SimCar, ItsQuantitiesAgreeWithItsMotion) {
  const SimTrack track;
  SimCar car(track, 7);
  double fastest = 0;
  double hardest_braking = 0;
  for (int ms = 0; ms < 150'000; ++ms) {
    car.step();
    fastest = std::max(fastest, car.value(Signal::kSpeed));
    hardest_braking = std::max(hardest_braking, car.value(Signal::kBrakeFront));
    EXPECT_LT(std::abs(car.value(Signal::kAccelLat)), 18);
    EXPECT_GE(car.value(Signal::kRpm), 1000);
    EXPECT_LE(car.value(Signal::kRpm), 9000);
    if (car.value(Signal::kBrakeFront) > 10) {
      EXPECT_LT(car.value(Signal::kThrottle), 60);
    }
  }
  EXPECT_GT(fastest, 240);
  EXPECT_GT(hardest_braking, 40);
}

}  // namespace
}  // namespace pitbox
