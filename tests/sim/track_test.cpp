// The circuit is what docs/sim.md says: closed, 6 km, two minutes, its gates square across it.

#include "apps/sim/track.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace pitbox {
namespace {

constexpr double kEarthMetresPerDegree = 111320.0;

double metres(const SimPoint& a, const SimPoint& b) {
  const double east = (b.longitude - a.longitude) * kEarthMetresPerDegree *
                      std::cos(SimTrack::kStartLatitude * std::numbers::pi / 180);
  return std::hypot(east, (b.latitude - a.latitude) * kEarthMetresPerDegree);
}

TEST(SimTrack, IsClosedSmoothAndSixKilometresLong) {
  const SimTrack track;
  double length = 0;
  double turned = 0;
  for (int i = 0; i < 12000; ++i) {
    const auto here = track.at(i * 0.5);
    const auto next = track.at((i + 1) * 0.5);
    const double step = std::hypot(next.x - here.x, next.y - here.y);
    EXPECT_NEAR(step, 0.5, 0.02) << "at " << i * 0.5 << " m";
    const double turn = std::remainder(next.heading - here.heading, 2 * std::numbers::pi);
    EXPECT_LT(std::abs(turn), 0.05) << "at " << i * 0.5 << " m";
    length += step;
    turned += turn;
  }
  EXPECT_NEAR(length, 6000, 5);
  EXPECT_NEAR(turned, 2 * std::numbers::pi, 1e-6) << "it does not cross itself";
}

TEST(SimTrack, BeginsAtSebringsStartFinishPoint) {
  const SimTrack track;
  const auto start = track.at(0);
  const SimPoint point = SimTrack::to_geo(start.x, start.y);
  EXPECT_NEAR(point.latitude, 27.450222, 1e-9);
  EXPECT_NEAR(point.longitude, -81.353750, 1e-9);
}

TEST(SimTrack, TakesAboutTwoMinutes) {
  EXPECT_NEAR(SimTrack().lap_time(), 120, 3);
}

TEST(SimTrack, HasSlowCornersAndAFastStraight) {
  const SimTrack track;
  double slowest = 1000;
  double fastest = 0;
  for (int i = 0; i < 6000; ++i) {
    slowest = std::min(slowest, track.at(i).speed * 3.6);
    fastest = std::max(fastest, track.at(i).speed * 3.6);
  }
  EXPECT_LT(slowest, 100);
  EXPECT_GT(fastest, 255);
  EXPECT_LT(fastest, 270);
}

TEST(SimTrack, GateIsTwentyMetresWideAndSquareToTheTrack) {
  const SimTrack track;
  for (const auto& [gate, distance] :
       {std::pair(track.start_finish(), 0.0), std::pair(track.sector(0), 2000.0),
        std::pair(track.sector(1), 4000.0)}) {
    EXPECT_NEAR(metres(gate.left, gate.right), 20, 1e-3);
    const auto place = track.at(distance);
    const SimPoint ahead =
        SimTrack::to_geo(place.x + std::cos(place.heading), place.y + std::sin(place.heading));
    EXPECT_NEAR(metres(gate.left, ahead), metres(gate.right, ahead), 1e-3);
  }
}

TEST(SimTrack, PitGatesAreBesideTheRacingLine) {
  const SimTrack track;
  const auto place = track.at(-SimTrack::kPitGateDistance);
  const SimPoint line = SimTrack::to_geo(place.x, place.y);
  EXPECT_NEAR(metres(line, track.pit_entry().left), 5, 0.01);
  EXPECT_NEAR(metres(line, track.pit_entry().right), 11, 0.01);
}

TEST(SimTrack, PrintsATableThatNamesEveryGate) {
  const std::string text = SimTrack().toml();
  for (const char* key : {"[track]", "name = ", "start_finish = [[27.4", "sectors = [[[",
                          "min_lap_s = 20", "pit_entry = [[", "pit_exit = [["}) {
    EXPECT_NE(text.find(key), std::string::npos) << key << " in\n" << text;
  }
}

}  // namespace
}  // namespace pitbox
