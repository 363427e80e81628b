// ChannelSet: the 300 channels of a simulated car in eleven groups, and how each one's raw value is
// made from the car's state (docs/sim.md, "Channels"). The same for every car.
//
// Constant after construction; fill_row() may run on any thread, each call its own row and random
// source.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/sim/car.h"
#include "apps/sim/random.h"
#include "proto/definition.h"

namespace pitbox {

enum class SensorKind : std::uint8_t {
  kAdc,      // 12-bit steps, -2..+2 steps of noise.
  kDecimal,  // f32 rounded to `step`.
  kFloat,    // f32, noise of `step` in all bits.
  kInteger,  // The quantity itself, in steps of the channel's factor.
  kFlag,     // 1 above `step`, else 0.
  kCounter,  // Counts rows, modulo the type's range.
};

struct Sensor {
  SensorKind kind = SensorKind::kAdc;
  Signal signal = Signal::kSpeed;
  Signal second = Signal::kSpeed;  // Mixed in with `second_gain`.
  double gain = 1;
  double second_gain = 0;
  double zero = 0;
  double step = 0;
};

class ChannelSet {
 public:
  struct Group {
    DefinitionPtr definition;
    std::vector<Sensor> sensors;  // One per channel.
    double rate = 0;              // Hz at scale 1.
    double gt3_rate = 0;
    bool is_scaled = true;  // By --rate.
  };

  ChannelSet();

  const std::vector<Group>& groups() const { return groups_; }
  struct RowOf {
    const SimCar& car;
    int bias = 0;              // Of the car's own sensors, in ADC steps.
    std::uint64_t number = 0;  // Rows of this car and group before it.
  };
  // The raw values of one row, packed. REQUIRES: row.size() == definition->row_bytes().
  static void fill_row(const Group& group, const RowOf& of, SimRandom& random,
                       std::span<std::byte> row);

 private:
  std::vector<Group> groups_;
};

}  // namespace pitbox
