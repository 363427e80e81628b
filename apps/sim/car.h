// SimCar: one car's motion and what its sensors would measure, in steps of one millisecond
// (docs/sim.md, "Track"). Everything about it follows from the seed and the number of steps.
//
// One thread. step() costs about a microsecond and takes no memory.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "apps/sim/random.h"
#include "apps/sim/track.h"

namespace pitbox {

// What there is to measure, in the units of the comment. Channels are made from these
// (channel_set.cpp).
enum class Signal : std::uint8_t {
  kSpeed,        // km/h
  kLapDistance,  // m
  kLatitude,     // degrees
  kLongitude,
  kAltitude,  // m
  kHeading,   // degrees, clockwise from north
  kAccelLat,  // m/s2
  kAccelLong,
  kAccelVert,
  kYawRate,  // degrees/s
  kRollRate,
  kPitchRate,
  kRoll,  // degrees
  kPitch,
  kSteering,    // degrees at the wheel
  kThrottle,    // %
  kBrakeFront,  // bar
  kBrakeRear,
  kClutch,  // %
  kGear,
  kRpm,           // 1/min
  kTorque,        // Nm
  kWheelSpeedFl,  // km/h
  kWheelSpeedFr,
  kWheelSpeedRl,
  kWheelSpeedRr,
  kDamperFl,  // mm
  kDamperFr,
  kDamperRl,
  kDamperRr,
  kRideFront,  // mm
  kRideRear,
  kTyreTempFl,  // degrees C
  kTyreTempFr,
  kTyreTempRl,
  kTyreTempRr,
  kTyrePressureFl,  // bar
  kTyrePressureFr,
  kTyrePressureRl,
  kTyrePressureRr,
  kBrakeTempFl,  // degrees C
  kBrakeTempFr,
  kBrakeTempRl,
  kBrakeTempRr,
  kOilTemp,
  kOilPressure,  // bar
  kWaterTemp,
  kWaterPressure,
  kGearboxTemp,
  kFuelPressure,
  kFuelLevel,  // l
  kFuelFlow,   // l/h
  kManifold,   // bar
  kLambda,
  kIgnition,   // degrees before top dead centre
  kInjection,  // ms
  kKnock,      // V
  kBattery,    // V
  kAirTemp,
  kTrackTemp,
  kRoad,       // mm, the road's roughness under the car
  kVibration,  // m/s2, of the engine
  kLap,
  kLapTime,    // s
  kInPitLane,  // 0 or 1
  kStanding,   // 0 or 1
  kCount
};
inline constexpr std::size_t kSignals = static_cast<std::size_t>(Signal::kCount);

class SimCar {
 public:
  // `track` must outlive the car.
  SimCar(const SimTrack& track, std::uint64_t seed);

  // One millisecond passes.
  void step();

  double value(Signal signal) const { return values_[static_cast<std::size_t>(signal)]; }
  const std::array<double, kSignals>& values() const { return values_; }
  // Of the line, since the start: the truth that a lap engine may be measured with. In milliseconds
  // since the first step; 0 if it was not crossed yet.
  double last_crossing_ms() const { return last_crossing_ms_; }
  std::uint32_t lap() const { return lap_; }  // Crossings so far.
  bool in_pit_lane() const { return pitting_ && offset_ > SimTrack::kPitOffset - 1; }

 private:
  void drive();
  double target_speed() const;
  void cross_line(double before);
  void measure();
  void measure_chassis(const SimTrack::Place& place);
  void measure_engine();
  void measure_heat();
  void measure_position(const SimTrack::Place& place);
  double& put(Signal signal) { return values_[static_cast<std::size_t>(signal)]; }

  const SimTrack& track_;
  SimRandom random_;

  // Motion.
  std::int64_t steps_ = 0;
  double distance_ = 0;  // m since the line that began lap 0; negative before it.
  double speed_ = 0;     // m/s
  double accel_ = 0;     // m/s2
  double accel_smooth_ = 0;
  double offset_ = 0;  // m to the right
  double pace_ = 1;
  double car_pace_ = 1;
  std::uint32_t lap_ = 0;
  double last_crossing_ms_ = 0;
  bool pitting_ = false;         // This lap ends, and the next begins, in the pit lane.
  bool served_ = false;          // The stop of this visit is over.
  std::uint32_t next_stop_ = 0;  // The lap at whose end the car stops.
  std::int64_t standing_until_ = -1;
  int gear_ = 1;
  double drift_phase_ = 0;  // Of the position's wander.
  double road_previous_ = 0;

  std::array<double, kSignals> values_{};
};

}  // namespace pitbox
