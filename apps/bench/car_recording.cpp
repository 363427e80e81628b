#include "apps/bench/car_recording.h"

#include <algorithm>
#include <random>
#include <utility>

#include "apps/bench/synthetic_car.h"
#include "apps/sim/simulator.h"
#include "proto/check.h"
#include "proto/transpose.h"

namespace pitbox {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kBootedNs = 77 * kSecondNs;  // The box's clock when the car's begins.

// What network and wakeups add to when a datagram is complete.
class Delay {
 public:
  std::int64_t next() { return static_cast<std::int64_t>(random_() % 90'000); }

 private:
  std::mt19937 random_{1};
};

CarRecording finished(std::string name, double seconds, std::vector<GroupRows> groups) {
  CarRecording recording{
      .name = std::move(name), .seconds = seconds, .groups = std::move(groups), .samples = 0};
  for (const GroupRows& group : recording.groups) {
    recording.samples += group.row_count() * group.definition->channels().size();
  }
  return recording;
}

}  // namespace

std::vector<GroupRows> CarRecording::slice(std::int64_t from_ns, std::int64_t to_ns) const {
  std::vector<GroupRows> cut;
  for (const GroupRows& group : groups) {
    const auto place = [&](std::int64_t time) {
      return std::lower_bound(group.source_ns.begin(), group.source_ns.end(), time) -
             group.source_ns.begin();
    };
    const auto first = place(from_ns);
    const auto last = place(to_ns);
    if (first == last) continue;
    const auto row_bytes = static_cast<std::ptrdiff_t>(group.definition->row_bytes());
    cut.push_back(
        {.definition = group.definition,
         .source_ns = {group.source_ns.begin() + first, group.source_ns.begin() + last},
         .receive_ns = {group.receive_ns.begin() + first, group.receive_ns.begin() + last},
         .rows = {group.rows.begin() + first * row_bytes, group.rows.begin() + last * row_bytes}});
  }
  return cut;
}

std::string CarRecording::columns() const {
  std::string all;
  std::vector<std::byte> transposed;
  for (const GroupRows& group : groups) {
    transposed.resize(group.rows.size());
    transpose_rows(*group.definition, group.rows, transposed);
    all.append(reinterpret_cast<const char*>(transposed.data()), transposed.size());
  }
  return all;
}

CarRecording record_synthetic_car(double seconds) {
  SyntheticCar car(1);
  Delay delay;
  std::vector<GroupRows> groups;
  for (const SyntheticCar::Group& its : SyntheticCar::groups()) {
    GroupRows group{.definition = its.definition, .source_ns = {}, .receive_ns = {}, .rows = {}};
    const auto rows = static_cast<std::size_t>(seconds * 1e9) /
                      static_cast<std::size_t>(its.period_ns) / its.rows_per_datagram *
                      its.rows_per_datagram;
    for (std::size_t row = 0; row < rows; ++row) {
      group.source_ns.push_back(static_cast<std::int64_t>(row) * its.period_ns);
      car.append_row(its, group.source_ns.back(), group.rows);
      if ((row + 1) % its.rows_per_datagram != 0) continue;
      const std::int64_t complete = group.source_ns.back() + its.period_ns;
      group.receive_ns.resize(row + 1, kBootedNs + complete + delay.next());
    }
    groups.push_back(std::move(group));
  }
  return finished("synthetic car", seconds, std::move(groups));
}

CarRecording record_simulated_car(double seconds) {
  SimulatorOptions options;
  options.cars = 1;
  auto made = Simulator::make(options);
  CHECK(made.ok());
  Simulator& simulator = *made.value();
  Delay delay;
  std::vector<GroupRows> groups;
  std::int64_t received = 0;
  const auto collect = [&](const SimulatedRows& rows) {
    if (groups.size() <= rows.group_index) groups.resize(rows.group_index + 1);
    GroupRows& group = groups[rows.group_index];
    group.definition = *rows.definition;
    group.source_ns.insert(group.source_ns.end(), rows.source_ns.begin(), rows.source_ns.end());
    group.receive_ns.resize(group.source_ns.size(), received);
    group.rows.insert(group.rows.end(), rows.rows.begin(), rows.rows.end());
  };
  for (std::int64_t ms = 1; ms <= static_cast<std::int64_t>(seconds * 1e3); ++ms) {
    received = kBootedNs + ms * 1'000'000 + delay.next();
    simulator.advance_to(ms, collect);
  }
  // Its clock began somewhere.
  std::int64_t began = groups.front().source_ns.front();
  for (const GroupRows& group : groups) began = std::min(began, group.source_ns.front());
  for (GroupRows& group : groups) {
    for (std::int64_t& time : group.source_ns) time -= began;
  }
  return finished("simulated car", seconds, std::move(groups));
}

std::vector<std::vector<GroupRows>> loops_of_simulated_cars(std::size_t cars,
                                                            std::int64_t length_ns) {
  SimulatorOptions options;
  options.cars = cars;
  auto made = Simulator::make(options);
  CHECK(made.ok());
  Simulator& simulator = *made.value();
  std::vector<std::vector<GroupRows>> loops(cars);
  simulator.advance_to(length_ns / 1'000'000, [&](const SimulatedRows& rows) {
    auto& groups = loops[rows.car_index];
    if (groups.size() <= rows.group_index) groups.resize(rows.group_index + 1);
    GroupRows& group = groups[rows.group_index];
    group.definition = *rows.definition;
    const std::int64_t began = simulator.clock_start_ns(rows.car_index);
    for (const std::int64_t time : rows.source_ns) group.source_ns.push_back(time - began);
    group.rows.insert(group.rows.end(), rows.rows.begin(), rows.rows.end());
  });
  return loops;
}

}  // namespace pitbox
