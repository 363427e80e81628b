#include "apps/bench/load.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "apps/bench/car_recording.h"
#include "apps/sim/simulator.h"
#include "ingest/native_encoder.h"
#include "proto/batch.h"
#include "proto/check.h"

namespace pitbox {
namespace {

// ingest/NATIVE.md
constexpr std::size_t kSequenceAt = 24;
constexpr std::size_t kBaseTimeAt = 32;

template <typename Value>
void add_at(char* at, Value change) {
  Value value;
  std::memcpy(&value, at, sizeof value);
  value += change;
  std::memcpy(at, &value, sizeof value);
}

// What a car has sent once its loop is over, from 0 on its clock.
std::vector<GroupRows> loop_of_synthetic_car(std::uint32_t number) {
  SyntheticCar values(number);
  std::vector<GroupRows> groups;
  for (const SyntheticCar::Group& its : SyntheticCar::groups()) {
    GroupRows& group = groups.emplace_back();
    group.definition = its.definition;
    for (std::int64_t at = 0; at < Load::kLoopNs; at += its.period_ns) {
      group.source_ns.push_back(at);
      values.append_row(its, at, group.rows);
    }
  }
  return groups;
}

}  // namespace

std::size_t most_cars(LoadCar kind) {
  return kind == LoadCar::kSynthetic ? Load::kCarsMax : kMaxSimulatedCars;
}

const char* name_of(LoadCar kind) {
  return kind == LoadCar::kSynthetic ? "synthetic" : "simulated";
}

std::optional<LoadCar> load_car(std::string_view name) {
  for (const LoadCar kind : {LoadCar::kSynthetic, LoadCar::kSimulated}) {
    if (name == name_of(kind)) return kind;
  }
  return std::nullopt;
}

Result<Load> Load::make(std::size_t cars, std::uint32_t sender, LoadCar kind) {
  if (cars < 1 || cars > most_cars(kind)) {
    return Status(Code::kRejected, "1 to " + std::to_string(most_cars(kind)) + " cars");
  }
  Load load;
  const auto recordings = kind == LoadCar::kSimulated ? loops_of_simulated_cars(cars, kLoopNs)
                                                      : std::vector<std::vector<GroupRows>>();
  for (std::size_t car = 0; car < cars; ++car) {
    const auto number = static_cast<std::uint32_t>(car + 1);
    for (const GroupRows& rows :
         kind == LoadCar::kSimulated ? recordings[car] : loop_of_synthetic_car(number)) {
      Status added = load.add_group(std::to_string(number), rows, sender);
      if (!added.ok()) return added;
    }
  }
  std::stable_sort(load.datagrams_.begin(), load.datagrams_.end(),
                   [](const Datagram& a, const Datagram& b) { return a.due_ns < b.due_ns; });
  return load;
}

Status Load::add_group(const std::string& car, const GroupRows& group, std::uint32_t sender) {
  const auto number = static_cast<std::uint16_t>(groups_.size());
  const Definition& definition = *group.definition;
  NativeEncoder encoder(sender);
  auto announcement = encoder.announce(number, car, group.definition);
  if (!announcement.ok()) return announcement.status();
  announcements_.push_back(std::move(announcement).take());
  groups_.push_back({.car = car, .definition = group.definition});
  CHECK(group.source_ns.size() >= 2);
  const std::int64_t period_ns = group.source_ns[1] - group.source_ns[0];
  std::span<const std::int64_t> times(group.source_ns);
  std::span<const std::byte> rows(group.rows);
  while (!times.empty()) {
    std::string datagram;
    const std::size_t taken = encoder.append_rows(number, times, rows, kDatagramBytes, datagram);
    CHECK(taken > 0);
    const std::size_t row_bytes = taken * definition.row_bytes();
    datagrams_.push_back({.at = bytes_.size(),
                          .length = datagram.size(),
                          .rows_at = bytes_.size() + datagram.size() - row_bytes,
                          .times_at = times_.size(),
                          .due_ns = times[taken - 1] + period_ns,
                          .group = number});
    bytes_ += datagram;
    times_.insert(times_.end(), times.begin(), times.begin() + static_cast<std::ptrdiff_t>(taken));
    samples_per_loop_ += taken * definition.channels().size();
    ++groups_.back().per_loop;
    times = times.subspan(taken);
    rows = rows.subspan(row_bytes);
  }
  return {};
}

double Load::samples_per_second() const {
  return static_cast<double>(samples_per_loop_) * 1e9 / static_cast<double>(kLoopNs);
}

std::span<const char> Load::next() {
  const Datagram& datagram = datagrams_[next_];
  char* const at = bytes_.data() + datagram.at;
  if (loop_ > 0) {
    add_at<std::uint64_t>(at + kSequenceAt, groups_[datagram.group].per_loop);
    add_at<std::int64_t>(at + kBaseTimeAt, kLoopNs);
  }
  if (++next_ == datagrams_.size()) {
    next_ = 0;
    ++loop_;
  }
  return {at, datagram.length};
}

std::uint64_t Load::samples(std::uint64_t count) const {
  std::uint64_t samples = count / datagrams_.size() * samples_per_loop_;
  for (std::size_t i = 0; i < count % datagrams_.size(); ++i) {
    const Group& group = groups_[datagrams_[i].group];
    samples += datagrams_[i].row_count(group) * group.definition->channels().size();
  }
  return samples;
}

LoadTotals Load::totals(std::uint64_t count) const {
  LoadTotals totals{.datagrams = count, .samples = samples(count)};
  for (std::uint64_t i = 0; i < count; ++i) {
    // What stands in the datagram now may be of another loop.
    const auto loop_ns = static_cast<std::int64_t>(i / datagrams_.size()) * kLoopNs;
    const Datagram& datagram = datagrams_[i % datagrams_.size()];
    const Group& group = groups_[datagram.group];
    const std::size_t row_bytes = group.definition->row_bytes();
    const auto rows = std::as_bytes(std::span(bytes_).subspan(datagram.rows_at));
    for (std::size_t row = 0; row < datagram.row_count(group); ++row) {
      totals.add(identify_row(group.car, group.definition->group().group,
                              times_[datagram.times_at + row] + loop_ns,
                              rows.subspan(row * row_bytes, row_bytes)));
    }
  }
  return totals;
}

std::string Load::values() const {
  std::string values;
  for (const Datagram& datagram : datagrams_) {
    values.append(bytes_, datagram.rows_at, datagram.at + datagram.length - datagram.rows_at);
  }
  return values;
}

}  // namespace pitbox
