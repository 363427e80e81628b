// Simulator: a field of cars and the rows their sensors produce, as a function of the options and
// of nothing else (docs/sim.md). It neither sends nor waits; drive.h does.
//
// One thread. Memory is taken at the start, and grows only with the rows of one advance().

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/sim/car.h"
#include "apps/sim/channel_set.h"
#include "apps/sim/track.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

struct SimulatorOptions {
  std::size_t cars = 1;  // 1..kMaxSimulatedCars
  std::uint64_t seed = 1;
  double rate_scale = 1.0;  // > 0
  bool gt3 = false;         // The 4,000 samples/s preset; `rate_scale` multiplies it too.
};

// A receiver remembers 512 groups (ingest/NATIVE.md), and a car has eleven.
inline constexpr std::size_t kMaxSimulatedCars = 46;

// Rows of one group of one car that came due together. Valid during the call only.
struct SimulatedRows {
  std::string_view car;
  std::size_t car_index = 0;
  std::size_t group_index = 0;
  const DefinitionPtr* definition = nullptr;
  std::span<const std::int64_t> source_ns;
  std::span<const std::byte> rows;
};

class Simulator {
 public:
  // kRejected, naming the option, if one is out of bounds.
  static Result<std::unique_ptr<Simulator>> make(const SimulatorOptions& options);

  // Drives on to `milliseconds` after the start and hands over the rows that came due, car by car,
  // group by group, at most one call for each. REQUIRES: not before the last call's.
  using RowSink = std::function<void(const SimulatedRows&)>;
  void advance_to(std::int64_t milliseconds, const RowSink& sink);

  const std::vector<std::string>& car_numbers() const { return numbers_; }
  const ChannelSet& channel_set() const { return channels_; }
  const SimTrack& track() const { return track_; }
  const SimCar& car(std::size_t index) const { return fleet_[index].car; }
  // The car's own clock at the start.
  std::int64_t clock_start_ns(std::size_t index) const { return fleet_[index].clock_start_ns; }
  double group_rate(std::size_t group) const { return rates_[group]; }
  double samples_per_second() const;  // Of one car.

 private:
  struct GroupState {
    SimRandom random;
    std::uint64_t rows_made = 0;
    std::vector<std::int64_t> source_ns;  // Due in this advance.
    std::vector<std::byte> rows;
  };
  struct CarState {
    SimCar car;
    std::int64_t clock_start_ns = 0;
    int bias = 0;
    std::vector<GroupState> groups;
  };

  explicit Simulator(const SimulatorOptions& options);
  void make_rows(CarState& state, std::int64_t before_ns);

  SimTrack track_;
  ChannelSet channels_;
  std::vector<double> rates_;  // Hz, by group.
  std::vector<std::string> numbers_;
  std::vector<CarState> fleet_;
  std::int64_t now_ms_ = 0;
};

}  // namespace pitbox
