#include "apps/sim/channel_set.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace pitbox {
namespace {

using enum SensorKind;

// A channel with a name of its own. `low`, `high`: an ADC's range. `step`: as in Sensor, and the
// factor of an integer.
struct Named {
  const char* name;
  const char* unit;
  SensorKind kind;
  Signal signal;
  double low = 0;
  double high = 0;
  double step = 0;
  StorageType type = StorageType::kF32;  // Of integers and counters.
};

// clang-format off
constexpr Named kChassis[] = {
    {"accel_lateral", "m/s2", kAdc, Signal::kAccelLat, -30, 30},
    {"accel_longitudinal", "m/s2", kAdc, Signal::kAccelLong, -30, 30},
    {"accel_vertical", "m/s2", kAdc, Signal::kAccelVert, -50, 50},
    {"yaw_rate", "deg/s", kAdc, Signal::kYawRate, -150, 150},
    {"roll_rate", "deg/s", kAdc, Signal::kRollRate, -150, 150},
    {"pitch_rate", "deg/s", kAdc, Signal::kPitchRate, -150, 150},
    {"steering_angle", "deg", kAdc, Signal::kSteering, -270, 270},
    {"brake_pressure_front", "bar", kAdc, Signal::kBrakeFront, 0, 120},
    {"brake_pressure_rear", "bar", kAdc, Signal::kBrakeRear, 0, 120},
    {"wheel_speed_fl", "km/h", kFloat, Signal::kWheelSpeedFl, 0, 0, 0.05},
    {"wheel_speed_fr", "km/h", kFloat, Signal::kWheelSpeedFr, 0, 0, 0.05},
    {"wheel_speed_rl", "km/h", kFloat, Signal::kWheelSpeedRl, 0, 0, 0.05},
    {"wheel_speed_rr", "km/h", kFloat, Signal::kWheelSpeedRr, 0, 0, 0.05},
    {"damper_fl", "mm", kAdc, Signal::kDamperFl, 0, 100},
    {"damper_fr", "mm", kAdc, Signal::kDamperFr, 0, 100},
    {"damper_rl", "mm", kAdc, Signal::kDamperRl, 0, 100},
    {"damper_rr", "mm", kAdc, Signal::kDamperRr, 0, 100},
    {"ride_height_front", "mm", kAdc, Signal::kRideFront, 0, 150},
    {"ride_height_rear", "mm", kAdc, Signal::kRideRear, 0, 150},
    {"roll_angle", "deg", kFloat, Signal::kRoll, 0, 0, 0.001},
    {"pitch_angle", "deg", kFloat, Signal::kPitch, 0, 0, 0.001}};

constexpr Named kEngine[] = {
    {"rpm", "1/min", kAdc, Signal::kRpm, 0, 10000},
    {"throttle", "%", kAdc, Signal::kThrottle, -2, 105},
    {"throttle_pedal", "%", kAdc, Signal::kThrottle, -2, 105},
    {"clutch", "%", kAdc, Signal::kClutch, -2, 105},
    {"torque", "Nm", kDecimal, Signal::kTorque, 0, 0, 0.1},
    {"manifold_pressure", "bar", kAdc, Signal::kManifold, 0, 2.5},
    {"ignition_angle", "deg", kDecimal, Signal::kIgnition, 0, 0, 0.1},
    {"injection_time", "ms", kDecimal, Signal::kInjection, 0, 0, 0.001},
    {"lambda_1", "", kFloat, Signal::kLambda, 0, 0, 0.01},
    {"lambda_2", "", kFloat, Signal::kLambda, 0, 0, 0.01},
    {"knock_1", "V", kAdc, Signal::kKnock, 0, 5},
    {"knock_2", "V", kAdc, Signal::kKnock, 0, 5},
    {"crankcase_vibration", "m/s2", kAdc, Signal::kVibration, -40, 40}};

constexpr Named kVehicle[] = {
    {"gear", "", kInteger, Signal::kGear, 0, 0, 1, StorageType::kI8},
    {"lap_number", "", kInteger, Signal::kLap, 0, 0, 1, StorageType::kU16},
    {"lap_distance", "m", kDecimal, Signal::kLapDistance, 0, 0, 0.1},
    {"lap_time", "s", kDecimal, Signal::kLapTime, 0, 0, 0.01},
    {"ground_speed", "km/h", kFloat, Signal::kSpeed, 0, 0, 0.05},
    {"oil_pressure", "bar", kAdc, Signal::kOilPressure, 0, 10},
    {"fuel_pressure", "bar", kAdc, Signal::kFuelPressure, 0, 10},
    {"water_pressure", "bar", kAdc, Signal::kWaterPressure, 0, 5},
    {"fuel_flow", "l/h", kDecimal, Signal::kFuelFlow, 0, 0, 0.1},
    {"tyre_temp_fl", "degC", kAdc, Signal::kTyreTempFl, 0, 200},
    {"tyre_temp_fr", "degC", kAdc, Signal::kTyreTempFr, 0, 200},
    {"tyre_temp_rl", "degC", kAdc, Signal::kTyreTempRl, 0, 200},
    {"tyre_temp_rr", "degC", kAdc, Signal::kTyreTempRr, 0, 200},
    {"tyre_pressure_fl", "bar", kAdc, Signal::kTyrePressureFl, 0, 4},
    {"tyre_pressure_fr", "bar", kAdc, Signal::kTyrePressureFr, 0, 4},
    {"tyre_pressure_rl", "bar", kAdc, Signal::kTyrePressureRl, 0, 4},
    {"tyre_pressure_rr", "bar", kAdc, Signal::kTyrePressureRr, 0, 4},
    {"brake_temp_fl", "degC", kAdc, Signal::kBrakeTempFl, 0, 1000},
    {"brake_temp_fr", "degC", kAdc, Signal::kBrakeTempFr, 0, 1000},
    {"brake_temp_rl", "degC", kAdc, Signal::kBrakeTempRl, 0, 1000},
    {"brake_temp_rr", "degC", kAdc, Signal::kBrakeTempRr, 0, 1000}};

constexpr Named kGps[] = {
    {"latitude", "deg", kInteger, Signal::kLatitude, 0, 0, 1e-7, StorageType::kI32},
    {"longitude", "deg", kInteger, Signal::kLongitude, 0, 0, 1e-7, StorageType::kI32},
    {"speed", "km/h", kInteger, Signal::kSpeed, 0, 0, 0.01, StorageType::kU16},
    {"heading", "deg", kInteger, Signal::kHeading, 0, 0, 0.01, StorageType::kU16},
    {"altitude", "m", kInteger, Signal::kAltitude, 0, 0, 0.01, StorageType::kI32},
    {"accel_lateral", "m/s2", kFloat, Signal::kAccelLat, 0, 0, 0.1},
    {"accel_longitudinal", "m/s2", kFloat, Signal::kAccelLong, 0, 0, 0.1},
    {"satellites", "", kDecimal, Signal::kAltitude, 0, 0, 1},
    {"hdop", "", kDecimal, Signal::kLambda, 0, 0, 0.01},
    {"fix_number", "", kCounter, Signal::kSpeed, 0, 0, 1, StorageType::kU32}};

constexpr Named kStatus[] = {
    {"oil_temp", "degC", kAdc, Signal::kOilTemp, 0, 200},
    {"water_temp", "degC", kAdc, Signal::kWaterTemp, 0, 150},
    {"gearbox_temp", "degC", kAdc, Signal::kGearboxTemp, 0, 200},
    {"air_temp", "degC", kAdc, Signal::kAirTemp, -40, 80},
    {"track_temp", "degC", kAdc, Signal::kTrackTemp, -40, 80},
    {"battery_voltage", "V", kAdc, Signal::kBattery, 0, 20},
    {"fuel_level", "l", kDecimal, Signal::kFuelLevel, 0, 0, 0.01},
    {"fuel_temp", "degC", kAdc, Signal::kTrackTemp, -40, 120},
    {"pit_lane", "", kFlag, Signal::kInPitLane, 0, 0, 0.5},
    {"pit_limiter", "", kFlag, Signal::kInPitLane, 0, 0, 0.5},
    {"standing", "", kFlag, Signal::kStanding, 0, 0, 0.5},
    {"brake_light", "", kFlag, Signal::kBrakeFront, 0, 0, 2},
    {"row_number", "", kCounter, Signal::kSpeed, 0, 0, 1, StorageType::kU32}};

// What numbered sensors mix, with the range each quantity has in practice.
struct Mixable {
  Signal signal;
  double low;
  double high;
};
constexpr Mixable kMixables[] = {
    {Signal::kAccelLat, -18, 18}, {Signal::kAccelLong, -14, 6},   {Signal::kSpeed, 0, 280},
    {Signal::kRpm, 1000, 8600},   {Signal::kDamperFl, 0, 80},     {Signal::kTyreTempFr, 40, 140},
    {Signal::kThrottle, 0, 100},  {Signal::kBrakeTempRl, 0, 700}, {Signal::kVibration, -4, 4},
    {Signal::kSteering, -90, 90}, {Signal::kOilTemp, 60, 140},    {Signal::kRoad, -13, 13},
    {Signal::kManifold, 0.2, 1},  {Signal::kBrakeFront, 0, 80},   {Signal::kFuelFlow, 0, 110},
    {Signal::kDamperRr, 0, 80},   {Signal::kYawRate, -60, 60}};
// clang-format on

Channel adc_channel(std::string name, std::string unit, double low, double high) {
  Channel channel{.name = std::move(name), .unit = std::move(unit)};
  if (low < 0 && low == -high) {
    channel.type = StorageType::kI16;
    channel.factor = high / 2047;
  } else {
    channel.type = StorageType::kU16;
    channel.factor = (high - low) / 4095;
    channel.offset = low;
  }
  return channel;
}

void add_named(const Named& named, ChannelGroup& group, std::vector<Sensor>& sensors) {
  Sensor sensor{.kind = named.kind, .signal = named.signal, .step = named.step};
  if (named.kind == kAdc) {
    group.channels.push_back(adc_channel(named.name, named.unit, named.low, named.high));
  } else {
    Channel channel{.name = named.name, .unit = named.unit, .type = named.type};
    if (named.kind == kFlag) channel.type = StorageType::kU8;
    if (named.kind == kInteger) channel.factor = named.step;
    group.channels.push_back(channel);
  }
  sensors.push_back(sensor);
}

// Sensors PREFIX_01, _02, ... until the group has `total` channels: a voltage of 0..5 V mixed from
// two quantities. Of ten, eight are ADC readings, one a float, one a decimal.
void add_numbered(const char* prefix, std::size_t total, ChannelGroup& group,
                  std::vector<Sensor>& sensors) {
  const std::size_t mixables = std::size(kMixables);
  const std::size_t shift = group.channels.size();
  for (std::size_t number = 1; group.channels.size() < total; ++number) {
    const Mixable& main = kMixables[(number * 7 + shift) % mixables];
    const Mixable& other = kMixables[(number * 5 + shift * 3 + 1) % mixables];
    const double share = 0.6 + 0.03 * static_cast<double>(number % 10);
    Sensor sensor{.signal = main.signal, .second = other.signal};
    sensor.gain = 5 * share / (main.high - main.low);
    sensor.second_gain = 5 * (1 - share) / (other.high - other.low);
    sensor.zero = -main.low * sensor.gain - other.low * sensor.second_gain;
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "%s_%02zu", prefix, number);
    if (number % 10 == 8 || number % 10 == 9) {
      sensor.kind = number % 10 == 8 ? kFloat : kDecimal;
      sensor.step = number % 10 == 8 ? 0.01 : 0.001;
      group.channels.push_back({.name = name.data(), .unit = "V"});
    } else {
      group.channels.push_back(adc_channel(name.data(), "V", 0, 5));
    }
    sensors.push_back(sensor);
  }
}

struct Plan {
  const char* group;
  std::span<const Named> named;
  const char* prefix;
  std::size_t channels;
  double rate;
  double gt3_rate;
  bool is_scaled;
};

ChannelSet::Group build(const Plan& plan) {
  ChannelGroup group;
  group.group = plan.group;
  group.time_base = TimeBase::kCar;
  ChannelSet::Group built;
  built.rate = plan.rate;
  built.gt3_rate = plan.gt3_rate;
  built.is_scaled = plan.is_scaled;
  for (const Named& named : plan.named) add_named(named, group, built.sensors);
  add_numbered(plan.prefix, plan.channels, group, built.sensors);
  built.definition = Definition::make(std::move(group)).take();
  return built;
}

template <typename T>
void store(double value, std::byte* to) {
  const T typed = static_cast<T>(value);
  std::memcpy(to, &typed, sizeof(T));
}

void store_integer(StorageType type, double value, std::byte* to) {
  if (type == StorageType::kI8) return store<std::int8_t>(value, to);
  if (type == StorageType::kU16) return store<std::uint16_t>(value, to);
  if (type == StorageType::kI32) return store<std::int32_t>(value, to);
  return store<std::uint32_t>(value, to);
}

// Random bits, handed out a byte at a time: a noise of five steps needs no more.
class Noise {
 public:
  explicit Noise(SimRandom& random) : random_(random) {}
  int five_steps() {
    if (left_ == 0) {
      bits_ = random_.next();
      left_ = 8;
    }
    const auto byte = static_cast<int>(bits_ & 0xFFU);
    bits_ >>= 8U;
    --left_;
    return ((byte * 5) >> 8) - 2;
  }

 private:
  SimRandom& random_;
  std::uint64_t bits_ = 0;
  int left_ = 0;
};

void store_adc(const Channel& channel, double value, int disturbance, std::byte* to) {
  const bool both_ways = channel.type == StorageType::kI16;
  const double steps = std::floor((value - channel.offset) / channel.factor + 0.5) + disturbance;
  const double bounded = std::clamp(steps, both_ways ? -2048.0 : 0.0, both_ways ? 2047.0 : 4095.0);
  if (both_ways) return store<std::int16_t>(bounded, to);
  store<std::uint16_t>(bounded, to);
}

}  // namespace

ChannelSet::ChannelSet() {
  groups_.push_back(build({"chassis", kChassis, "chassis_sensor", 30, 1000, 20, true}));
  groups_.push_back(build({"suspension", {}, "suspension_sensor", 30, 1000, 20, true}));
  groups_.push_back(build({"engine", kEngine, "engine_sensor", 30, 1000, 20, true}));
  groups_.push_back(build({"structure", {}, "strain_gauge", 30, 1000, 20, true}));
  groups_.push_back(build({"vehicle", kVehicle, "vehicle_sensor", 30, 100, 10, true}));
  groups_.push_back(build({"aero", {}, "pressure_tap", 30, 100, 10, true}));
  groups_.push_back(build({"driveline", {}, "driveline_sensor", 30, 100, 10, true}));
  groups_.push_back(build({"body", {}, "body_sensor", 30, 100, 10, true}));
  groups_.push_back(build({"gps", kGps, "", 10, 20, 20, false}));
  groups_.push_back(build({"status", kStatus, "status_sensor", 25, 10, 4, true}));
  groups_.push_back(build({"climate", {}, "temperature", 25, 10, 4, true}));
}

void ChannelSet::fill_row(const Group& group, const RowOf& of, SimRandom& random,
                          std::span<std::byte> row) {
  CHECK(row.size() == group.definition->row_bytes());
  Noise noise(random);
  const auto& channels = group.definition->channels();
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const Sensor& sensor = group.sensors[i];
    const Channel& channel = channels[i];
    std::byte* to = row.data() + group.definition->column_offset(i);
    const double value = of.car.value(sensor.signal) * sensor.gain +
                         of.car.value(sensor.second) * sensor.second_gain + sensor.zero;
    switch (sensor.kind) {
      case kAdc:
        store_adc(channel, value, of.bias * (static_cast<int>(i % 5) - 2) + noise.five_steps(), to);
        break;
      case kDecimal:
        store<float>(std::round(value / sensor.step) * sensor.step, to);
        break;
      case kFloat:
        store<float>(value + random.between(-sensor.step, sensor.step), to);
        break;
      case kInteger:
        store_integer(channel.type, std::round(value / channel.factor), to);
        break;
      case kFlag:
        store<std::uint8_t>(value > sensor.step ? 1 : 0, to);
        break;
      case kCounter:
        store_integer(channel.type, static_cast<double>(of.number & 0xFFFFFFFFU), to);
        break;
    }
  }
}

}  // namespace pitbox
