#include "apps/sim/simulator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "buffer/clock.h"

namespace pitbox {
namespace {

// Numbers with and without leading zeros, as on real grids.
constexpr const char* kNumbers[] = {"7",  "04", "66", "12", "31", "911", "023", "48", "96", "1",
                                    "63", "77", "14", "8",  "45", "57",  "021", "70", "34", "93"};

constexpr double kNsPerSecondExact = 1e9;

// When row `number` of a group is due, in ns since the start. Counted from the number and not by
// adding up, so that a rate like 33.3 Hz does not drift.
std::int64_t due_ns(std::uint64_t number, double rate) {
  return static_cast<std::int64_t>(
      std::floor(static_cast<double>(number) * kNsPerSecondExact / rate));
}

}  // namespace

Result<std::unique_ptr<Simulator>> Simulator::make(const SimulatorOptions& options) {
  if (options.cars < 1 || options.cars > kMaxSimulatedCars) {
    return Status(Code::kRejected, "cars must be 1 to " + std::to_string(kMaxSimulatedCars) +
                                       ", not " + std::to_string(options.cars));
  }
  if (!std::isfinite(options.rate_scale) || options.rate_scale < 0.0001 ||
      options.rate_scale > 100) {
    return Status(Code::kRejected, "rate must be 0.0001 to 100");
  }
  return std::unique_ptr<Simulator>(new Simulator(options));
}

Simulator::Simulator(const SimulatorOptions& options) {
  for (const ChannelSet::Group& group : channels_.groups()) {
    const double rate = options.gt3 ? group.gt3_rate : group.rate;
    rates_.push_back(group.is_scaled ? std::max(1.0, rate * options.rate_scale) : rate);
  }
  SimRandom seeds(options.seed);
  fleet_.reserve(options.cars);
  for (std::size_t i = 0; i < options.cars; ++i) {
    numbers_.push_back(i < std::size(kNumbers) ? kNumbers[i] : std::to_string(100 + i));
    SimRandom own(seeds.next());
    CarState state{.car = SimCar(track_, own.next()), .groups = {}};
    state.clock_start_ns = static_cast<std::int64_t>(own.between(60e3, 600e3)) * kNsPerMs;
    state.bias = static_cast<int>(own.between(-8, 9));
    for (std::size_t group = 0; group < rates_.size(); ++group) {
      GroupState made{.random = SimRandom(own.next()), .source_ns = {}, .rows = {}};
      state.groups.push_back(std::move(made));
    }
    fleet_.push_back(std::move(state));
  }
}

double Simulator::samples_per_second() const {
  double sum = 0;
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    sum += rates_[i] * static_cast<double>(channels_.groups()[i].sensors.size());
  }
  return sum;
}

void Simulator::make_rows(CarState& state, std::int64_t before_ns) {
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    GroupState& group = state.groups[i];
    const ChannelSet::Group& plan = channels_.groups()[i];
    const std::size_t row_bytes = plan.definition->row_bytes();
    for (std::int64_t due = due_ns(group.rows_made, rates_[i]); due < before_ns;
         due = due_ns(group.rows_made, rates_[i])) {
      const std::size_t end = group.rows.size();
      group.rows.resize(end + row_bytes);
      ChannelSet::fill_row(plan, {state.car, state.bias, group.rows_made}, group.random,
                           std::span(group.rows).subspan(end));
      group.source_ns.push_back(state.clock_start_ns + due);
      ++group.rows_made;
    }
  }
}

void Simulator::advance_to(std::int64_t milliseconds, const RowSink& sink) {
  CHECK(milliseconds >= now_ms_);
  for (std::size_t i = 0; i < fleet_.size(); ++i) {
    CarState& state = fleet_[i];
    // The state after n steps is that of n ms; rows due within the next millisecond read it.
    for (std::int64_t at = now_ms_; at < milliseconds; ++at) {
      make_rows(state, (at + 1) * kNsPerMs);
      state.car.step();
    }
    for (std::size_t g = 0; g < rates_.size(); ++g) {
      GroupState& group = state.groups[g];
      if (group.source_ns.empty()) continue;
      sink({.car = numbers_[i],
            .car_index = i,
            .group_index = g,
            .definition = &channels_.groups()[g].definition,
            .source_ns = group.source_ns,
            .rows = group.rows});
      group.source_ns.clear();
      group.rows.clear();
    }
  }
  now_ms_ = milliseconds;
}

}  // namespace pitbox
