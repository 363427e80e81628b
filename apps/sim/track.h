// SimTrack: the closed 6 km circuit of the simulator, sampled every metre (docs/sim.md, "Track").
//
// Constant after construction; any thread may read. Distances run from the start/finish line in the
// direction of driving and are taken modulo the length. Positions are metres east and north of the
// start/finish point on its tangent plane.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace pitbox {

struct SimPoint {
  double latitude = 0;  // Degrees.
  double longitude = 0;
};

struct SimLine {
  SimPoint left;
  SimPoint right;
};

class SimTrack {
 public:
  static constexpr double kLength = 6000.0;
  static constexpr double kStartLatitude = 27.450222;
  static constexpr double kStartLongitude = -81.353750;
  static constexpr double kGateHalfWidth = 10.0;
  static constexpr double kPitOffset = 8.0;          // Of the pit lane, to the right.
  static constexpr double kPitLaneReach = 350.0;     // Before and after the line.
  static constexpr double kPitGateDistance = 300.0;  // Of the entry and exit gates from the line.

  SimTrack();

  struct Place {
    double x = 0;          // Metres east.
    double y = 0;          // Metres north.
    double heading = 0;    // Radians, counter-clockwise from east.
    double curvature = 0;  // 1/m, positive to the left.
    double speed = 0;      // Of the racing line at pace 1, m/s.
  };
  // `offset`: metres to the right of the racing line.
  Place at(double distance, double offset = 0) const;
  double length() const { return kLength; }
  // Of a flying lap at pace 1, in seconds.
  double lap_time() const { return lap_time_; }

  static SimPoint to_geo(double x, double y);
  SimLine start_finish() const { return gate(0, -kGateHalfWidth, kGateHalfWidth); }
  SimLine sector(std::size_t index) const;  // 0 or 1.
  SimLine pit_entry() const;
  SimLine pit_exit() const;
  // The [track] table of pitboxd's configuration.
  std::string toml() const;

 private:
  SimLine gate(double distance, double from_offset, double to_offset) const;
  void find_speeds();

  std::vector<Place> places_;  // One per metre.
  double lap_time_ = 0;
};

}  // namespace pitbox
