// Geometry of lap timing: points on the earth, lines between two of them, and when a car that drove
// straight from one fix to the next crossed such a line. Plain functions and values; any thread.
//
// The plane is local to the line: metres east and north of its first point, x = dlon * cos(lat0) *
// 111320, y = dlat * 111320. Over the tens of metres between two fixes the error is far below GPS's
// own; where on the two segments they meet does not depend on the scale at all.

#pragma once

#include <array>
#include <optional>

namespace pitbox {

// Latitude and longitude in degrees, WGS 84.
struct GeoPoint {
  double latitude = 0;
  double longitude = 0;
  friend bool operator==(const GeoPoint&, const GeoPoint&) = default;
};
using GeoLine = std::array<GeoPoint, 2>;

struct LineCrossing {
  double fraction = 0;   // Of the way from the first fix to the second, 0..1.
  bool forward = false;  // From the line's right side to its left, looking from its first point on.
};

// A line ready for many questions.
class TimingLine {
 public:
  explicit TimingLine(const GeoLine& line);

  double length_m() const;
  // Where the straight way from `from` to `to` crosses the line between its two points; nothing if
  // it does not. A fix exactly on the line belongs to its left side, so that two ways that meet
  // there cross once and not twice.
  std::optional<LineCrossing> crossing(const GeoPoint& from, const GeoPoint& to) const;

 private:
  struct Plane {
    double x = 0;
    double y = 0;
  };
  Plane project(const GeoPoint& point) const;

  GeoPoint origin_;
  double metres_per_longitude_ = 0;
  Plane end_;  // Of the line; it begins at 0, 0.
};

}  // namespace pitbox
