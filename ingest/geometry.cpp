#include "ingest/geometry.h"

#include <cmath>
#include <numbers>

namespace pitbox {
namespace {

constexpr double kMetresPerDegree = 111320.0;

}  // namespace

TimingLine::TimingLine(const GeoLine& line)
    : origin_(line[0]),
      metres_per_longitude_(kMetresPerDegree *
                            std::cos(line[0].latitude * std::numbers::pi / 180.0)) {
  end_ = project(line[1]);
}

TimingLine::Plane TimingLine::project(const GeoPoint& point) const {
  double east = point.longitude - origin_.longitude;
  if (east > 180.0) east -= 360.0;  // A track may lie across the date line.
  if (east < -180.0) east += 360.0;
  return {east * metres_per_longitude_, (point.latitude - origin_.latitude) * kMetresPerDegree};
}

double TimingLine::length_m() const {
  return std::hypot(end_.x, end_.y);
}

std::optional<LineCrossing> TimingLine::crossing(const GeoPoint& from, const GeoPoint& to) const {
  const Plane a = project(from);
  const Plane b = project(to);
  const double side_before = end_.x * a.y - end_.y * a.x;
  const double side_after = end_.x * b.y - end_.y * b.x;
  if ((side_before < 0) == (side_after < 0)) return std::nullopt;
  const double fraction = side_before / (side_before - side_after);
  const double x = a.x + fraction * (b.x - a.x);
  const double y = a.y + fraction * (b.y - a.y);
  const double along = (x * end_.x + y * end_.y) / (end_.x * end_.x + end_.y * end_.y);
  if (!(along >= 0.0 && along <= 1.0)) return std::nullopt;
  return LineCrossing{fraction, side_before < 0};
}

}  // namespace pitbox
