// SimLaps: a lap of a car ends with every kRowsPerLap-th of its rows, so that journals of simulated
// runs have laps, and merge them. What a real engine makes of positions is tested elsewhere.

#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "buffer/lap_engine.h"

namespace pitbox::simulation {

class SimLaps final : public LapEngine {
 public:
  static constexpr std::uint64_t kRowsPerLap = 60;

  void rows(const RowBlock& block, std::vector<LapRecord>& out) override {
    Car& car = cars_[std::string(block.car)];
    for (std::size_t i = 0; i < block.count; ++i) {
      ++version_;
      if (++car.rows < kRowsPerLap) continue;
      car.rows = 0;
      LapRecord lap;
      lap.car = block.car;
      lap.lap = ++car.laps;
      lap.lap_time_ms = static_cast<std::int64_t>(kRowsPerLap);
      lap.started_boot_ns = block.receive_ns;
      lap.evidence = "count";
      out.push_back(std::move(lap));
    }
  }
  void finish(std::vector<LapRecord>&) override {
    cars_.clear();
    ++version_;
  }
  // "car rows laps" of each car.
  std::string save() const override {
    std::ostringstream text;
    for (const auto& [name, car] : cars_) {
      text << name << ' ' << car.rows << ' ' << car.laps << '\n';
    }
    return text.str();
  }
  Status load(std::string_view state) override {
    cars_.clear();
    std::istringstream text{std::string(state)};
    std::string name;
    Car car;
    while (text >> name >> car.rows >> car.laps) cars_[name] = car;
    return text.eof() ? Status() : Status::corrupt("laps: not what was saved");
  }
  std::uint64_t state_version() const override { return version_; }

 private:
  struct Car {
    std::uint64_t rows = 0;
    std::uint32_t laps = 0;
  };
  std::map<std::string, Car> cars_;
  std::uint64_t version_ = 0;
};

}  // namespace pitbox::simulation
