// Goal: laps of every car of an F1 game, as the game counts and times them; method: lap data as
// each format sends it, through the decoder into the engine.

#include <gtest/gtest.h>

#include <map>

#include "ingest/counter_lap_engine.h"
#include "ingest/f1_decoder.h"
#include "tests/ingest/f1_datagrams.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kLapDataId = 2;
constexpr std::uint8_t kActiveStatus = 2;

class LapSink final : public RecordSink {
 public:
  void rows(const RowBlock& block) override { engine.rows(block, laps); }
  void reject(RejectReason, std::uint64_t) override { ADD_FAILURE() << "something was rejected"; }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}
  CounterLapEngine engine;
  std::vector<LapRecord> laps;
};

// What lap data says of a car.
struct F1Standing {
  std::uint8_t lap = 1;
  std::uint32_t last_ms = 0;
  std::uint16_t sector1_ms = 0;
  std::uint16_t sector2_ms = 0;
  std::uint8_t pit_status = 0;
  std::uint8_t driver_status = 4;
};

class F1Laps : public ::testing::TestWithParam<F1Format> {
 protected:
  // By slot.
  void lap_data(const std::map<std::size_t, F1Standing>& cars) {
    head_.format = GetParam();
    head_.id = kLapDataId;
    head_.session_time += 0.1F;
    std::string datagram = f1_datagram(head_);
    for (const auto& [slot, car] : cars) {
      const auto put = [&, slot = slot](std::string_view field, auto value) {
        put_at(datagram, f1_place(head_, slot, field), value);
      };
      put("currentLapNum", car.lap);
      put("lastLapTimeInMS", car.last_ms);
      put("sector1TimeMSPart", car.sector1_ms);
      put("sector2TimeMSPart", car.sector2_ms);
      put("pitStatus", car.pit_status);
      put("driverStatus", car.driver_status);
      put("resultStatus", kActiveStatus);
    }
    decoder_.decode(data_message(datagram), sink_);
  }

  F1Head head_;
  F1Decoder decoder_;
  LapSink sink_;
};

TEST_P(F1Laps, AreThoseOfTheGame) {
  lap_data({{3, {.lap = 1}}, {7, {.lap = 1, .driver_status = 3}}});
  lap_data({{3, {.lap = 1, .sector1_ms = 31'050}}, {7, {.lap = 1, .driver_status = 3}}});
  lap_data({{3, {.lap = 1, .sector1_ms = 31'050, .sector2_ms = 30'200}}, {7, {.lap = 1}}});
  lap_data({{3, {.lap = 2, .last_ms = 92'345}}, {7, {.lap = 1}}});
  lap_data(
      {{3, {.lap = 2, .last_ms = 92'345, .pit_status = 1}}, {7, {.lap = 2, .last_ms = 110'000}}});
  lap_data({{3, {.lap = 3, .last_ms = 115'000}}, {7, {.lap = 2, .last_ms = 110'000}}});
  ASSERT_EQ(sink_.laps.size(), 3U);
  const LapRecord& first = sink_.laps[0];
  EXPECT_EQ(first.car, "slot-3");
  EXPECT_EQ(first.lap, 1U);
  EXPECT_EQ(first.lap_time_ms, 92'345);
  EXPECT_EQ(first.kind, LapKind::kTimed);
  EXPECT_EQ(first.sector_time_ms, (std::vector<std::int64_t>{31'050, 30'200, 31'095}));
  EXPECT_EQ(sink_.laps[1].car, "slot-7");
  EXPECT_EQ(sink_.laps[1].kind, LapKind::kOut);
  EXPECT_EQ(sink_.laps[2].car, "slot-3");
  EXPECT_EQ(sink_.laps[2].lap, 2U);
  EXPECT_EQ(sink_.laps[2].kind, LapKind::kPit);
}

TEST_P(F1Laps, AreTakenBackByAFlashbackAndToldAgain) {
  lap_data({{0, {.lap = 4, .last_ms = 90'000}}});
  lap_data({{0, {.lap = 5, .last_ms = 91'000}}});
  head_.session_time -= 5;
  lap_data({{0, {.lap = 4, .last_ms = 90'000}}});
  lap_data({{0, {.lap = 5, .last_ms = 90'500}}});
  ASSERT_EQ(sink_.laps.size(), 2U);
  EXPECT_EQ(sink_.laps[1].lap, 4U);
  EXPECT_EQ(sink_.laps[1].lap_time_ms, 90'500);
}

std::string year_of(const ::testing::TestParamInfo<F1Format>& format) {
  return std::to_string(2022 + static_cast<int>(format.param));
}
INSTANTIATE_TEST_SUITE_P(EveryFormat, F1Laps, ::testing::ValuesIn(kF1EveryFormat), year_of);

}  // namespace
}  // namespace pitbox
