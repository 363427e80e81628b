#include "apps/sim/track.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace pitbox {
namespace {

constexpr double kMetresPerDegree = 111320.0;
constexpr std::size_t kPlaces = 6000;

constexpr double kLateralLimit = 15.0;   // m/s2
constexpr double kBrakingLimit = 13.0;   // m/s2
constexpr double kTractionLimit = 5.5;   // m/s2
constexpr double kPowerPerMass = 330.0;  // W/kg
constexpr double kDrag = 0.00065;        // 1/m
constexpr double kSpeedLimit = 74.0;     // m/s

struct Point {
  double x;
  double y;
};

// Control points of the B-spline; the first is in the middle of the main straight. Close pairs make
// the slow corners.
// clang-format off
constexpr Point kControl[] = {
    {0, 0}, {250, 0}, {500, 0}, {700, 0}, {880, 10}, {935, 35}, {950, 90}, {960, 200}, {880, 262},
    {760, 235}, {640, 225}, {590, 262}, {585, 320}, {640, 420}, {760, 480}, {960, 455}, {1050, 470},
    {1085, 520}, {1100, 640}, {1080, 735}, {1030, 752}, {960, 715}, {780, 640}, {600, 660},
    {470, 655}, {420, 620}, {405, 560}, {380, 470}, {330, 440}, {270, 470}, {230, 560}, {180, 690},
    {60, 745}, {-120, 740}, {-270, 715}, {-310, 670}, {-305, 610}, {-250, 520}, {-250, 460},
    {-300, 425}, {-420, 400}, {-560, 360}, {-640, 270}, {-650, 170}, {-625, 60}, {-585, 15},
    {-510, 0}, {-380, 0}, {-200, 0}};
// clang-format on
constexpr std::size_t kControls = std::size(kControl);

// The spline in fine steps, scaled so that it is SimTrack::kLength long, its first point at 0, 0.
std::vector<Point> fine_curve() {
  constexpr std::size_t kSteps = 400;  // Per control point: about 0.3 m.
  std::vector<Point> curve;
  curve.reserve(kControls * kSteps);
  for (std::size_t i = 0; i < kControls; ++i) {
    for (std::size_t j = 0; j < kSteps; ++j) {
      const double u = static_cast<double>(j) / kSteps;
      const double w[4] = {(1 - u) * (1 - u) * (1 - u) / 6, (3 * u * u * u - 6 * u * u + 4) / 6,
                           (-3 * u * u * u + 3 * u * u + 3 * u + 1) / 6, u * u * u / 6};
      Point sum{0, 0};
      for (std::size_t k = 0; k < 4; ++k) {
        const Point& control = kControl[(i + k + kControls - 1) % kControls];
        sum.x += w[k] * control.x;
        sum.y += w[k] * control.y;
      }
      curve.push_back(sum);
    }
  }
  double length = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const Point& next = curve[(i + 1) % curve.size()];
    length += std::hypot(next.x - curve[i].x, next.y - curve[i].y);
  }
  const double scale = SimTrack::kLength / length;
  const Point origin = curve[0];
  for (Point& point : curve) {
    point.x = (point.x - origin.x) * scale;
    point.y = (point.y - origin.y) * scale;
  }
  return curve;
}

// Points of the curve at whole metres along it.
std::vector<Point> every_metre(const std::vector<Point>& curve) {
  std::vector<Point> points;
  points.reserve(kPlaces);
  double walked = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const Point& from = curve[i];
    const Point& to = curve[(i + 1) % curve.size()];
    const double step = std::hypot(to.x - from.x, to.y - from.y);
    while (points.size() < kPlaces && static_cast<double>(points.size()) < walked + step) {
      const double part = (static_cast<double>(points.size()) - walked) / step;
      points.push_back({from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part});
    }
    walked += step;
  }
  while (points.size() < kPlaces) points.push_back(curve[0]);  // Rounding at the very end.
  return points;
}

double turn(double from, double to) {
  return std::remainder(to - from, 2 * std::numbers::pi);
}

}  // namespace

SimTrack::SimTrack() {
  const std::vector<Point> points = every_metre(fine_curve());
  places_.resize(kPlaces);
  constexpr std::size_t kReach = 3;  // Metres to either side over which direction is taken.
  for (std::size_t i = 0; i < kPlaces; ++i) {
    const Point& ahead = points[(i + kReach) % kPlaces];
    const Point& behind = points[(i + kPlaces - kReach) % kPlaces];
    places_[i].x = points[i].x;
    places_[i].y = points[i].y;
    places_[i].heading = std::atan2(ahead.y - behind.y, ahead.x - behind.x);
  }
  for (std::size_t i = 0; i < kPlaces; ++i) {
    places_[i].curvature = turn(places_[(i + kPlaces - kReach) % kPlaces].heading,
                                places_[(i + kReach) % kPlaces].heading) /
                           (2.0 * kReach);
  }
  find_speeds();
}

// What the corner allows, then what acceleration allows from behind, then what braking allows from
// ahead; twice around, so that the start has no influence.
void SimTrack::find_speeds() {
  for (Place& place : places_) {
    const double curvature = std::max(std::abs(place.curvature), 1e-6);
    place.speed = std::min(kSpeedLimit, std::sqrt(kLateralLimit / curvature));
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < kPlaces; ++i) {
      const double behind = places_[(i + kPlaces - 1) % kPlaces].speed;
      const double push =
          std::min(kTractionLimit, kPowerPerMass / std::max(behind, 5.0)) - kDrag * behind * behind;
      const double reached = std::sqrt(behind * behind + 2 * std::max(push, 0.0));
      places_[i].speed = std::min(places_[i].speed, reached);
    }
    for (std::size_t i = kPlaces; i-- > 0;) {
      const double ahead = places_[(i + 1) % kPlaces].speed;
      places_[i].speed = std::min(places_[i].speed, std::sqrt(ahead * ahead + 2 * kBrakingLimit));
    }
  }
  for (const Place& place : places_) lap_time_ += 1.0 / place.speed;
}

SimTrack::Place SimTrack::at(double distance, double offset) const {
  double wrapped = std::fmod(distance, kLength);
  if (wrapped < 0) wrapped += kLength;
  const auto index = static_cast<std::size_t>(wrapped) % kPlaces;
  const double part = wrapped - std::floor(wrapped);
  const Place& here = places_[index];
  const Place& next = places_[(index + 1) % kPlaces];
  Place place;
  place.heading = here.heading + turn(here.heading, next.heading) * part;
  place.curvature = here.curvature + (next.curvature - here.curvature) * part;
  place.speed = here.speed + (next.speed - here.speed) * part;
  place.x = here.x + (next.x - here.x) * part + std::sin(place.heading) * offset;
  place.y = here.y + (next.y - here.y) * part - std::cos(place.heading) * offset;
  return place;
}

SimPoint SimTrack::to_geo(double x, double y) {
  const double east = kMetresPerDegree * std::cos(kStartLatitude * std::numbers::pi / 180);
  return {kStartLatitude + y / kMetresPerDegree, kStartLongitude + x / east};
}

SimLine SimTrack::gate(double distance, double from_offset, double to_offset) const {
  const Place left = at(distance, from_offset);
  const Place right = at(distance, to_offset);
  return {to_geo(left.x, left.y), to_geo(right.x, right.y)};
}

SimLine SimTrack::sector(std::size_t index) const {
  return gate(kLength * static_cast<double>(index + 1) / 3, -kGateHalfWidth, kGateHalfWidth);
}

SimLine SimTrack::pit_entry() const {
  return gate(-kPitGateDistance, kPitOffset - 3, kPitOffset + 3);
}

SimLine SimTrack::pit_exit() const {
  return gate(kPitGateDistance, kPitOffset - 3, kPitOffset + 3);
}

std::string SimTrack::toml() const {
  const auto line = [](const SimLine& gate) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "[[%.9f, %.9f], [%.9f, %.9f]]", gate.left.latitude,
                  gate.left.longitude, gate.right.latitude, gate.right.longitude);
    return std::string(text.data());
  };
  return "[track]\nname = \"Pitbox simulator 6 km\"\nstart_finish = " + line(start_finish()) +
         "\nsectors = [" + line(sector(0)) + ",\n           " + line(sector(1)) +
         "]\nmin_lap_s = 20\npit_entry = " + line(pit_entry()) +
         "\npit_exit = " + line(pit_exit()) + "\n";
}

}  // namespace pitbox
