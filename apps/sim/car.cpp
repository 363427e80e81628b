#include "apps/sim/car.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

namespace pitbox {
namespace {

constexpr double kStep = 0.001;  // s
constexpr double kGravity = 9.81;
constexpr double kDegrees = 180 / std::numbers::pi;
constexpr double kPitSpeed = 60 / 3.6;
constexpr double kPitBox = -60.0;  // m from the line
constexpr double kPitBraking = 11.0;
constexpr double kBoxBraking = 6.0;
constexpr double kHardestBraking = 14.0;
constexpr double kWheelbase = 2.6;
constexpr double kTrackWidth = 1.6;
constexpr double kLaneChange = 40.0;  // m from one lane to the other

// Engine speed per km/h in each gear, and the road speed at which the next one is taken.
constexpr double kRpmPerKmh[] = {112, 78, 59, 46.5, 37.5, 31.5};
constexpr double kUpshiftKmh[] = {70, 105, 140, 180, 220, 1000};

// One step of a first-order lag with time constant `seconds`.
void follow(double& value, double target, double seconds) {
  value += (target - value) * (kStep / seconds);
}

double smooth_step(double part) {
  const double clamped = std::clamp(part, 0.0, 1.0);
  return clamped * clamped * (3 - 2 * clamped);
}

Signal nth(Signal first, std::size_t index) {
  return static_cast<Signal>(static_cast<std::size_t>(first) + index);
}

}  // namespace

SimCar::SimCar(const SimTrack& track, std::uint64_t seed) : track_(track), random_(seed) {
  distance_ = -random_.between(150, 900);
  car_pace_ = random_.between(0.985, 1.015);
  pace_ = car_pace_;
  next_stop_ = 2 + static_cast<std::uint32_t>(random_.between(0, 6));
  drift_phase_ = random_.between(0, 2 * std::numbers::pi);
  speed_ = track_.at(distance_).speed * 0.5;
  put(Signal::kAirTemp) = random_.between(18, 30);
  put(Signal::kTrackTemp) = value(Signal::kAirTemp) + random_.between(5, 15);
  put(Signal::kFuelLevel) = random_.between(80, 110);
  put(Signal::kOilTemp) = random_.between(85, 100);
  put(Signal::kWaterTemp) = random_.between(78, 88);
  put(Signal::kGearboxTemp) = random_.between(80, 100);
  put(Signal::kBattery) = random_.between(13.4, 13.9);
  for (std::size_t wheel = 0; wheel < 4; ++wheel) {
    put(nth(Signal::kTyreTempFl, wheel)) = random_.between(60, 75);
    put(nth(Signal::kBrakeTempFl, wheel)) = random_.between(200, 300);
  }
  put(Signal::kRpm) = 4000;
  put(Signal::kManifold) = 0.4;
  put(Signal::kOilPressure) = 4;
  measure();
}

void SimCar::step() {
  ++steps_;
  drive();
  measure();
}

double SimCar::target_speed() const {
  const double place = std::remainder(distance_, SimTrack::kLength);
  double target = track_.at(distance_).speed * pace_;
  if (!pitting_ || place > SimTrack::kPitGateDistance) return target;
  const double to_lane = std::max(0.0, -SimTrack::kPitGateDistance - place);
  target = std::min(target, std::sqrt(kPitSpeed * kPitSpeed + 2 * kPitBraking * to_lane));
  if (served_ || place > kPitBox + 1) return target;
  return std::min(target,
                  std::max(0.3, std::sqrt(2 * kBoxBraking * std::max(0.0, kPitBox - place))));
}

// Longitudinal motion towards the target, within what engine and brakes can do; the visit to the
// pits; the crossing of the line.
void SimCar::drive() {
  const double place = std::remainder(distance_, SimTrack::kLength);
  if (!pitting_ && lap_ == next_stop_ && place < -SimTrack::kPitLaneReach && place > -900) {
    pitting_ = true;
    served_ = false;
    standing_until_ = -1;
  }
  if (pitting_ && !served_ && place >= kPitBox) {
    if (standing_until_ < 0) {
      standing_until_ = steps_ + static_cast<std::int64_t>(random_.between(25e3, 45e3));
    }
    speed_ = 0;
    accel_ = 0;
    if (steps_ < standing_until_) return;
    served_ = true;
    put(Signal::kFuelLevel) = 105;
  }
  const double push = std::min(5.5, 330 / std::max(speed_, 5.0)) - 0.00065 * speed_ * speed_;
  accel_ = std::clamp((target_speed() - speed_) / 0.02, -kHardestBraking, std::max(push, 0.0));
  speed_ = std::max(0.0, speed_ + accel_ * kStep);
  const double before = distance_;
  distance_ += speed_ * kStep;
  cross_line(before);
  offset_ = 0;
  if (pitting_) {
    const double from_middle = std::abs(std::remainder(distance_, SimTrack::kLength));
    offset_ =
        SimTrack::kPitOffset * smooth_step((SimTrack::kPitLaneReach - from_middle) / kLaneChange);
    if (lap_ > next_stop_ && from_middle > SimTrack::kPitLaneReach) {
      pitting_ = false;
      next_stop_ = lap_ + 3 + static_cast<std::uint32_t>(random_.between(0, 6));
    }
  }
}

void SimCar::cross_line(double before) {
  const double line = static_cast<double>(lap_) * SimTrack::kLength;
  if (before >= line || distance_ < line) return;
  last_crossing_ms_ =
      static_cast<double>(steps_ - 1) + (line - before) / std::max(distance_ - before, 1e-12);
  ++lap_;
  pace_ = car_pace_ * random_.between(0.985, 1.015);
}

void SimCar::measure() {
  const SimTrack::Place place = track_.at(distance_, offset_);
  accel_smooth_ += (accel_ - accel_smooth_) * 0.02;
  measure_chassis(place);
  measure_engine();
  measure_heat();
  measure_position(place);
}

void SimCar::measure_chassis(const SimTrack::Place& place) {
  const double lateral = speed_ * speed_ * place.curvature;
  const double phase = 2 * std::numbers::pi * distance_ / SimTrack::kLength;
  const double road =
      2.5 * std::sin(phase * 1187) + 4 * std::sin(phase * 431) + 6 * std::sin(phase * 97);
  put(Signal::kVibration) = 3 * std::sin(phase * 2711);
  put(Signal::kAccelVert) = kGravity + (road - road_previous_) * 0.8;
  road_previous_ = road;
  put(Signal::kRoad) = road;
  put(Signal::kSpeed) = speed_ * 3.6;
  put(Signal::kAccelLat) = lateral;
  put(Signal::kAccelLong) = accel_smooth_;
  const double yaw_rate = speed_ * place.curvature * kDegrees;
  put(Signal::kYawRate) = yaw_rate;
  const double roll = lateral * 0.11;
  const double pitch = -accel_smooth_ * 0.08;
  put(Signal::kRollRate) = (roll - value(Signal::kRoll)) / kStep * 0.2;
  put(Signal::kPitchRate) = (pitch - value(Signal::kPitch)) / kStep * 0.2;
  put(Signal::kRoll) = roll;
  put(Signal::kPitch) = pitch;
  follow(put(Signal::kSteering),
         std::atan(place.curvature * (kWheelbase + speed_ * speed_ * 0.0025)) * kDegrees * 12,
         0.05);
  const double downforce = speed_ * speed_ * 0.004;
  for (std::size_t wheel = 0; wheel < 4; ++wheel) {
    const double side = wheel % 2 == 0 ? -1 : 1;  // Left wheels are the slower in a left turn.
    const double front = wheel < 2 ? 1 : -1;
    const double around = 1 + side * place.curvature * kTrackWidth / 2;
    const double slip = wheel < 2 ? 1 + std::min(0.0, accel_smooth_) * 0.004
                                  : 1 + std::max(0.0, accel_smooth_) * 0.006;
    put(nth(Signal::kWheelSpeedFl, wheel)) = speed_ * 3.6 * around * slip;
    put(nth(Signal::kDamperFl, wheel)) =
        25 + side * lateral * 0.9 - front * accel_smooth_ * 0.7 + downforce + road * 0.6;
  }
  put(Signal::kRideFront) = 62 + accel_smooth_ * 0.9 - downforce * 0.7 - road * 0.3;
  put(Signal::kRideRear) = 75 - accel_smooth_ * 0.9 - downforce * 0.9 - road * 0.3;
}

void SimCar::measure_engine() {
  const double speed = speed_ * 3.6;
  const auto index = static_cast<std::size_t>(gear_ - 1);
  if (gear_ < 6 && speed > kUpshiftKmh[index]) {
    ++gear_;
  } else if (gear_ > 1 && speed < kUpshiftKmh[index - 1] - 8) {
    --gear_;
  }
  const double drag = 0.00065 * speed_ * speed_;
  const double able = std::min(5.5, 330 / std::max(speed_, 5.0));
  const double throttle = std::clamp((accel_smooth_ + drag) / able, 0.0, 1.0) * 100;
  follow(put(Signal::kThrottle), throttle, 0.03);
  const double braking = std::max(0.0, -accel_smooth_ - drag - 0.8);
  follow(put(Signal::kBrakeFront), braking * 5.2, 0.015);
  follow(put(Signal::kBrakeRear), braking * 3.9, 0.015);
  follow(put(Signal::kClutch), speed < 5 ? 100 : 0, 0.1);
  put(Signal::kGear) = value(Signal::kStanding) > 0.5 ? 0 : gear_;
  const double rpm = std::max(1400.0, speed * kRpmPerKmh[gear_ - 1]);
  follow(put(Signal::kRpm), rpm, 0.025);
  const double load = value(Signal::kThrottle) / 100;
  put(Signal::kTorque) = load * (520 - std::abs(rpm - 6200) * 0.03) - 35 * (1 - load);
  follow(put(Signal::kManifold), 0.32 + 0.66 * load, 0.04);
  put(Signal::kLambda) = 0.88 + 0.12 * (1 - load);
  put(Signal::kIgnition) = 14 + rpm * 0.0022 - load * 6;
  put(Signal::kInjection) = 1.2 + load * 9.5;
  put(Signal::kKnock) = 0.35 + rpm * 0.00018 * load;
  put(Signal::kFuelFlow) = 4 + load * rpm * 0.0115;
  follow(put(Signal::kOilPressure), 1.6 + rpm * 0.00052 - (value(Signal::kOilTemp) - 95) * 0.01,
         0.2);
  put(Signal::kFuelPressure) = 5.1 - value(Signal::kFuelFlow) * 0.002;
  put(Signal::kWaterPressure) = 0.9 + rpm * 0.00006;
}

void SimCar::measure_heat() {
  const double air = value(Signal::kAirTemp);
  const double lateral = std::abs(value(Signal::kAccelLat));
  for (std::size_t wheel = 0; wheel < 4; ++wheel) {
    const bool outside = (wheel % 2 == 1) == (value(Signal::kAccelLat) > 0);
    const double work = (outside ? 1.3 : 0.6) * lateral * speed_ * 0.09 + speed_ * 0.35;
    double& tyre = put(nth(Signal::kTyreTempFl, wheel));
    follow(tyre, value(Signal::kTrackTemp) + 15 + work, 25);
    put(nth(Signal::kTyrePressureFl, wheel)) = 1.35 + (tyre - 20) * 0.0075;
    const double pressure = value(wheel < 2 ? Signal::kBrakeFront : Signal::kBrakeRear);
    double& brake = put(nth(Signal::kBrakeTempFl, wheel));
    brake += (pressure * speed_ * 0.055 - (brake - air) * (0.03 + speed_ * 0.0011)) * kStep;
  }
  const double power = value(Signal::kFuelFlow);
  follow(put(Signal::kOilTemp), 78 + power * 0.28 - speed_ * 0.05, 90);
  follow(put(Signal::kWaterTemp), 72 + power * 0.2 - speed_ * 0.08, 60);
  follow(put(Signal::kGearboxTemp), 70 + speed_ * 0.7, 150);
  follow(put(Signal::kBattery), 13.3 + value(Signal::kRpm) * 0.00006, 1);
  double& fuel = put(Signal::kFuelLevel);
  fuel = std::max(2.0, fuel - power / 3600 * kStep);
}

void SimCar::measure_position(const SimTrack::Place& place) {
  const double wander = drift_phase_ + static_cast<double>(steps_) * 2e-5;  // About 5 minutes.
  const SimPoint point =
      SimTrack::to_geo(place.x + 0.2 * std::sin(wander), place.y + 0.2 * std::cos(wander * 1.3));
  put(Signal::kLatitude) = point.latitude;
  put(Signal::kLongitude) = point.longitude;
  put(Signal::kAltitude) = 19 + 3 * std::sin(2 * std::numbers::pi * distance_ / SimTrack::kLength);
  double heading = 90 - place.heading * kDegrees;
  heading -= 360 * std::floor(heading / 360);
  put(Signal::kHeading) = heading;
  const double behind = distance_ - SimTrack::kLength * std::floor(distance_ / SimTrack::kLength);
  put(Signal::kLapDistance) = behind;
  put(Signal::kLap) = lap_;
  put(Signal::kLapTime) = (static_cast<double>(steps_) - last_crossing_ms_) / 1000;
  put(Signal::kInPitLane) = in_pit_lane() ? 1 : 0;
  put(Signal::kStanding) = speed_ < 0.05 ? 1 : 0;
}

}  // namespace pitbox
