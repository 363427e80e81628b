// Goal: a lap is timed to the millisecond, once, whatever happened between the two crossings;
// method: real recordings with known laps, and a small square track driven by hand.

#include "ingest/gps_lap_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "ingest/nmea_decoder.h"
#include "tests/ingest/record_collector.h"
#include "tests/ingest/shared_data.h"

namespace pitbox {
namespace {

constexpr std::int64_t kMs = 1'000'000;

GpsLapEngine::Options okc() {
  GpsLapEngine::Options options;
  options.start_finish = {
      {{28.41270817056385, -81.37973266418031}, {28.41273038679321, -81.37957048753776}}};
  options.sectors = {
      {{{28.4119049886871, -81.3790708193926}, {28.4118316342961, -81.3791856652217}}},
      {{{28.4115010664104, -81.3799856475317}, {28.4115084390461, -81.3798064021136}}}};
  return options;
}

// Decoder to engine, as the recorder joins them.
class EngineSink final : public RecordSink {
 public:
  explicit EngineSink(LapEngine& engine) : engine_(engine) {}
  void rows(const RowBlock& block) override { engine_.rows(block, laps); }
  void reject(RejectReason, std::uint64_t) override {}
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}
  std::vector<LapRecord> laps;

 private:
  LapEngine& engine_;
};

std::vector<std::int64_t> timed_ms(const std::vector<LapRecord>& laps) {
  std::vector<std::int64_t> times;
  for (const LapRecord& lap : laps) {
    if (lap.kind == LapKind::kTimed) times.push_back(lap.lap_time_ms);
  }
  return times;
}

void expect_sound_sectors(const std::vector<LapRecord>& laps) {
  for (const LapRecord& lap : laps) {
    if (lap.kind != LapKind::kTimed) {
      EXPECT_TRUE(lap.sector_time_ms.empty());
      continue;
    }
    ASSERT_EQ(lap.sector_time_ms.size(), 3U) << lap.lap;
    EXPECT_EQ(
        std::accumulate(lap.sector_time_ms.begin(), lap.sector_time_ms.end(), std::int64_t{0}),
        lap.lap_time_ms);
    for (const std::int64_t sector : lap.sector_time_ms) EXPECT_GT(sector, 5'000);
  }
}

struct Recording {
  const char* file;
  std::vector<std::int64_t> timed_ms;
};
const std::vector<Recording> kRecordings = {
    {"nmea/okc_2laps.nmea", {69'961, 68'742, 70'148}},
    {"nmea/okc_praga_laps.nmea", {62'726, 61'319}},
};

TEST(GpsLapEngine, FindsTheKnownLapsOfRealRecordings) {
  for (const Recording& recording : kRecordings) {
    SKIP_WITHOUT(shared_data(recording.file));
    const std::string file = read_whole(shared_data(recording.file));
    auto engine = GpsLapEngine::make(okc()).take();
    EngineSink sink(*engine);
    NmeaDecoder("46", true).decode(data_message(file), sink);
    EXPECT_EQ(timed_ms(sink.laps), recording.timed_ms);
    engine->finish(sink.laps);
    ASSERT_EQ(sink.laps.size(), recording.timed_ms.size() + 2);
    EXPECT_EQ(sink.laps.front().kind, LapKind::kOut);
    EXPECT_EQ(sink.laps.front().lap, 0U);
    EXPECT_EQ(sink.laps.back().kind, LapKind::kIn);
    EXPECT_EQ(sink.laps.back().lap, recording.timed_ms.size() + 1);
    for (std::size_t i = 0; i + 1 < sink.laps.size(); ++i) {
      EXPECT_TRUE(sink.laps[i].started_is_utc);
      EXPECT_NEAR(static_cast<double>(sink.laps[i].started_utc_ms + sink.laps[i].lap_time_ms),
                  static_cast<double>(sink.laps[i + 1].started_utc_ms), 1);
    }
    expect_sound_sectors(sink.laps);
  }
}

TEST(GpsLapEngine, FindsThemAlsoWhenTheBytesAreCutAndTheProcessDiesAtEveryKthPiece) {
  for (const Recording& recording : kRecordings) {
    SKIP_WITHOUT(shared_data(recording.file));
    const std::string file = read_whole(shared_data(recording.file));
    for (const unsigned k : {1U, 2U, 7U, 100U}) {
      std::mt19937 random(k);
      std::vector<LapRecord> laps;
      std::string decoder_state;
      std::string engine_state;
      std::size_t at = 0;
      while (at < file.size()) {
        NmeaDecoder decoder("46", true);
        auto engine = GpsLapEngine::make(okc()).take();
        ASSERT_TRUE(decoder.load(decoder_state).ok());
        ASSERT_TRUE(engine->load(engine_state).ok());
        EngineSink sink(*engine);
        for (unsigned i = 0; i < k && at < file.size(); ++i) {
          const std::size_t size = std::min<std::size_t>(1 + random() % 150, file.size() - at);
          decoder.decode(data_message(std::string_view(file).substr(at, size)), sink);
          at += size;
        }
        laps.insert(laps.end(), sink.laps.begin(), sink.laps.end());
        decoder_state = decoder.save();
        engine_state = engine->save();
        if (at == file.size()) engine->finish(laps);
      }
      EXPECT_EQ(timed_ms(laps), recording.timed_ms) << "k = " << k;
      EXPECT_EQ(laps.size(), recording.timed_ms.size() + 2);
      expect_sound_sectors(laps);
    }
  }
}

// A track along the equator, in metres: the line at x = 0, the car drives east there and comes back
// at y = 100. Sector lines at (500, 0) and (0, 100); a pit lane at y = -20 with its own gates.
class DrivenTrack : public ::testing::Test {
 protected:
  static GeoPoint at(double x, double y) { return {y / 111'320, x / 111'320}; }
  static GpsLapEngine::Options options() {
    GpsLapEngine::Options options;
    options.start_finish = {at(0, -30), at(0, 10)};
    options.sectors = {{at(500, -30), at(500, 10)}, {at(0, 90), at(0, 110)}};
    options.pit_entry = {at(-100, -25), at(-100, -15)};
    options.pit_exit = {at(100, -25), at(100, -15)};
    return options;
  }
  static DefinitionPtr definition(TimeBase time_base, const char* group = "gps") {
    return Definition::make({.group = group,
                             .time_base = time_base,
                             .channels = {{"fix_valid", "", StorageType::kU8, 1, 0},
                                          {"longitude", "deg", StorageType::kF64, 1, 0},
                                          {"latitude", "deg", StorageType::kF64, 1, 0}}})
        .take();
  }
  void fix(const std::string& car, std::int64_t time_ns, double x, double y, bool valid = true) {
    const GeoPoint where = at(x, y);
    std::vector<std::byte> row(17);
    row[0] = std::byte{valid};
    std::memcpy(row.data() + 1, &where.longitude, 8);
    std::memcpy(row.data() + 9, &where.latitude, 8);
    RowBlock block;
    block.car = car;
    block.definition = &definition_;
    block.count = 1;
    block.rows = row;
    if (definition_->has_source_time()) block.source_ns = {&time_ns, 1};
    block.receive_ns = time_ns + receive_offset_;
    engine_->rows(block, laps_);
  }
  // Drives straight on, a fix every 40 ms.
  void drive(double x, double y, double seconds, const std::string& car = "1") {
    const auto steps = static_cast<int>(std::lround(seconds * 25));
    for (int i = 1; i <= steps; ++i) {
      now_ += 40 * kMs;
      const double f = static_cast<double>(i) / steps;
      fix(car, now_, x_ + f * (x - x_), y_ + f * (y - y_));
    }
    x_ = x;
    y_ = y;
  }
  // From (-200, 0) once around in 60 s; the line is crossed 4 s after the start.
  void lap(double y_at_line = 0) {
    if (y_at_line != 0) drive(-150, y_at_line, 1);
    if (y_at_line == 0) drive(-150, 0, 1);
    drive(150, y_at_line, 6);
    drive(600, 0, 13);
    drive(600, 100, 10);
    drive(-200, 100, 20);
    drive(-200, 0, 10);
  }
  void restart() {
    const std::string state = engine_->save();
    engine_ = GpsLapEngine::make(options()).take();
    ASSERT_TRUE(engine_->load(state).ok());
    ASSERT_EQ(engine_->save(), state);
  }
  std::vector<LapKind> kinds() const {
    std::vector<LapKind> kinds;
    for (const LapRecord& each : laps_) kinds.push_back(each.kind);
    return kinds;
  }

  std::unique_ptr<GpsLapEngine> engine_ = GpsLapEngine::make(options()).take();
  DefinitionPtr definition_ = definition(TimeBase::kCar);
  std::vector<LapRecord> laps_;
  std::int64_t now_ = 0;
  std::int64_t receive_offset_ = 5'000 * kMs;
  double x_ = -200;
  double y_ = 0;
};

TEST_F(DrivenTrack, CountsOutTimedAndInLapsWithTheirSectors) {
  lap();
  lap();
  lap();
  engine_->finish(laps_);
  EXPECT_EQ(kinds(), (std::vector{LapKind::kOut, LapKind::kTimed, LapKind::kTimed, LapKind::kIn}));
  EXPECT_NEAR(static_cast<double>(laps_[0].lap_time_ms), 3'960, 1);
  EXPECT_EQ(laps_[1].lap_time_ms, 60'000);
  EXPECT_EQ(laps_[2].lap, 2U);
  ASSERT_EQ(laps_[1].sector_time_ms.size(), 3U);
  EXPECT_NEAR(static_cast<double>(laps_[1].sector_time_ms[0]), 13'111, 1);
  EXPECT_EQ(laps_[3].lap, 3U);
  EXPECT_EQ(laps_[3].evidence, "gps-line");
  EXPECT_FALSE(laps_[1].started_is_utc);
  EXPECT_NEAR(static_cast<double>(laps_[1].started_boot_ns), 9'000.0 * kMs, kMs);
}

TEST_F(DrivenTrack, RejectsTheOppositeDirectionAndLapsThatAreTooShort) {
  lap();
  drive(150, 0, 7);
  drive(-150, 0, 6);  // Backwards over the line.
  drive(150, 0, 6);   // And over it again, 12 s after the last crossing.
  drive(600, 0, 9);
  drive(600, 100, 10);
  drive(-200, 100, 20);
  drive(-200, 0, 10);
  lap();
  EXPECT_EQ(timed_ms(laps_).size(), 2U);
  EXPECT_EQ(timed_ms(laps_)[0], 60'000);
  EXPECT_EQ(timed_ms(laps_)[1], 68'000);
}

TEST_F(DrivenTrack, IgnoresCrossingsOutsideTheLineAndOverLongGaps) {
  lap();
  lap(60);  // Passes the line's end at y = 60.
  EXPECT_EQ(timed_ms(laps_).size(), 0U);
  drive(-20, 0, 3);
  now_ += 2'000 * kMs;  // Two seconds without a fix, over the line.
  x_ = 30;
  drive(150, 0, 4);
  drive(600, 0, 13);
  drive(600, 100, 10);
  drive(-200, 100, 20);
  drive(-200, 0, 10);
  EXPECT_EQ(timed_ms(laps_).size(), 0U);
  lap();
  ASSERT_EQ(laps_.size(), 2U);
  EXPECT_GT(laps_[1].lap_time_ms, 170'000);  // No cap on a lap's length.
}

TEST_F(DrivenTrack, IgnoresVoidFixes) {
  lap();
  fix("1", now_ + 20 * kMs, 600, 0, false);
  fix("1", now_ + 30 * kMs, -600, 0, false);
  lap();
  EXPECT_EQ(timed_ms(laps_), (std::vector<std::int64_t>{60'000}));
}

TEST_F(DrivenTrack, MarksLapsThroughThePitLane) {
  lap();
  lap();
  lap(-20);  // Entry at -100, line at 0, exit at 100.
  lap();
  lap();
  EXPECT_EQ(kinds(), (std::vector{LapKind::kOut, LapKind::kTimed, LapKind::kPit, LapKind::kPit,
                                  LapKind::kTimed}));
}

TEST_F(DrivenTrack, LeavesOutALapInWhichTheClockSteppedBack) {
  lap();
  lap();
  drive(-100, 0, 2);
  now_ -= 3'600'000 * kMs;  // The car's clock was set.
  drive(150, 0, 5);
  drive(600, 0, 13);
  drive(600, 100, 10);
  drive(-200, 100, 20);
  drive(-200, 0, 10);
  lap();
  EXPECT_EQ(timed_ms(laps_).size(), 2U);
  EXPECT_EQ(laps_.back().lap, 3U);
}

TEST_F(DrivenTrack, LeavesOutFixesThatComeLate) {
  lap();
  drive(-20, 0, 3.6);
  drive(20, 0, 0.8);
  fix("1", now_ - 500 * kMs, -5, 0);  // Must not bring the car back before the line.
  drive(150, 0, 2.6);
  drive(600, 0, 13);
  drive(600, 100, 10);
  drive(-200, 100, 20);
  drive(-200, 0, 10);
  lap();
  EXPECT_EQ(timed_ms(laps_), (std::vector<std::int64_t>{60'000, 60'000}));
}

TEST_F(DrivenTrack, GivesNoSectorTimesIfOneLineWasNotCrossed) {
  lap();
  drive(150, 0, 7);
  drive(600, 60, 13);  // Beside the first sector line.
  drive(600, 100, 10);
  drive(-200, 100, 20);
  drive(-200, 0, 10);
  lap();
  ASSERT_EQ(timed_ms(laps_).size(), 2U);
  EXPECT_FALSE(laps_[1].sector_time_ms.empty());
  EXPECT_TRUE(laps_[2].sector_time_ms.empty());
}

TEST_F(DrivenTrack, KeepsManyCarsApartAndOverARestart) {
  for (int round = 0; round < 3; ++round) {
    const auto start = now_;
    for (const char* car : {"1", "2", "007"}) {
      now_ = start;
      x_ = -200;
      y_ = 0;
      drive(150, 0, 7, car);
      restart();
      drive(600, 0, 13, car);
      drive(600, 100, 10, car);
      drive(-200, 100, 20, car);
      drive(-200, 0, 10, car);
    }
  }
  EXPECT_EQ(timed_ms(laps_), (std::vector<std::int64_t>(6, 60'000)));
}

TEST_F(DrivenTrack, UsesTheReceiveTimeWhereThereIsNoOther) {
  definition_ = definition(TimeBase::kNone);
  lap();
  lap();
  EXPECT_EQ(timed_ms(laps_), (std::vector<std::int64_t>{60'000}));
}

TEST_F(DrivenTrack, UsesOneGroupOfACarUntilItIsSilent) {
  lap();
  const DefinitionPtr first = definition_;
  definition_ = definition(TimeBase::kCar, "other");
  fix("1", now_ + 40 * kMs, 400, 0);
  definition_ = first;
  lap();
  EXPECT_EQ(timed_ms(laps_), (std::vector<std::int64_t>{60'000}));
  definition_ = definition(TimeBase::kCar, "other");
  now_ += 20'000 * kMs;
  fix("1", now_, -200, 0);
  lap();
  EXPECT_EQ(timed_ms(laps_).size(), 2U);
}

TEST_F(DrivenTrack, HasABoundOnItsCarsAndItsState) {
  for (int car = 0; car < 200; ++car) {
    const std::string name = std::to_string(1000 + car) + std::string(124, 'n');
    x_ = -200;
    drive(150, 0, 1, name);
  }
  EXPECT_EQ(laps_.size(), GpsLapEngine::kCarsMax);
  EXPECT_LE(engine_->save().size(), kMaxDecoderStateBytes);
  restart();
}

TEST_F(DrivenTrack, RefusesTheStateOfAnotherTrackAndTornStates) {
  lap();
  const std::string state = engine_->save();
  EXPECT_EQ(GpsLapEngine::make(okc()).take()->load(state).code(), Code::kCorrupt);
  for (std::size_t size = 1; size < state.size(); ++size) {
    EXPECT_EQ(GpsLapEngine::make(options()).take()->load(state.substr(0, size)).code(),
              Code::kCorrupt);
  }
}

TEST_F(DrivenTrack, RefusesLinesThatCannotBeOne) {
  GpsLapEngine::Options bad = options();
  bad.start_finish[1] = bad.start_finish[0];
  EXPECT_EQ(GpsLapEngine::make(bad).status().code(), Code::kRejected);
  bad = options();
  bad.pit_exit = {at(0, 0), at(0, 1'100)};
  EXPECT_EQ(GpsLapEngine::make(bad).status().code(), Code::kRejected);
  bad = options();
  bad.sectors.resize(16, bad.sectors[0]);
  EXPECT_EQ(GpsLapEngine::make(bad).status().code(), Code::kRejected);
  bad = options();
  bad.sectors[0][0].latitude = std::nan("");
  EXPECT_EQ(GpsLapEngine::make(bad).status().code(), Code::kRejected);
}

}  // namespace
}  // namespace pitbox
