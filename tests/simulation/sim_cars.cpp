#include "tests/simulation/sim_cars.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "buffer/clock.h"
#include "proto/check.h"

namespace pitbox::simulation {
namespace {

constexpr std::size_t kDatagramBytes = 1400;
constexpr std::int64_t kAnnounceEvery = 500 * kNsPerMs;
constexpr std::int64_t kCarClockStart = 86'400'000'000'000;  // Its own; nobody else's.

DefinitionPtr definition_of(const std::string& name, std::size_t channels) {
  ChannelGroup group;
  group.group = name;
  group.time_base = TimeBase::kCar;
  group.channels.push_back({.name = "number", .unit = "", .type = StorageType::kU64});
  for (std::size_t i = 1; i < channels; ++i) {
    group.channels.push_back(
        {.name = "value" + std::to_string(i), .unit = "V", .type = StorageType::kU16});
  }
  auto made = Definition::make(group);
  CHECK(made.ok());
  return std::move(made).take();
}

}  // namespace

SimCars::SimCars(const std::int64_t& world_ns, Dice& dice, std::size_t cars,
                 std::size_t first_number)
    : world_ns_(world_ns), dice_(dice) {
  const std::vector<DefinitionPtr> kinds = {definition_of("fast", 6), definition_of("slow", 3)};
  for (std::size_t i = 0; i < cars; ++i) {
    Car car{.name = std::to_string(first_number + i),
            .encoder = NativeEncoder(static_cast<std::uint32_t>(dice.next() | 1)),
            .groups = {}};
    for (const DefinitionPtr& kind : kinds) {
      const std::int64_t period = dice.between(2, 40) * kNsPerMs;
      car.groups.push_back({.definition = kind, .period_ns = period, .next_ns = world_ns});
    }
    car.send_every_ns = dice.between(5, 60) * kNsPerMs;
    cars_.push_back(std::move(car));
  }
}

void SimCars::announce(std::size_t number) {
  Car& car = cars_[number];
  for (std::size_t g = 0; g < car.groups.size(); ++g) {
    auto packet =
        car.encoder.announce(static_cast<std::uint16_t>(g + 1), car.name, car.groups[g].definition);
    CHECK(packet.ok());
    waiting_.push_back({.car = number, .bytes = std::move(packet).take()});
  }
  car.announce_at_ns = world_ns_ + kAnnounceEvery;
}

void SimCars::send(std::size_t number) {
  Car& car = cars_[number];
  for (std::size_t g = 0; g < car.groups.size(); ++g) {
    Group& group = car.groups[g];
    const std::size_t row_bytes = group.definition->row_bytes();
    std::vector<std::int64_t> times;
    std::vector<std::byte> rows;
    for (; group.next_ns <= world_ns_; group.next_ns += group.period_ns) {
      times.push_back(kCarClockStart + group.next_ns);
      rows.resize(rows.size() + row_bytes);
      std::byte* const row = &rows[rows.size() - row_bytes];
      const std::uint64_t row_number = ++group.made;
      std::memcpy(row, &row_number, sizeof row_number);
      for (std::size_t at = sizeof row_number; at < row_bytes; at += sizeof(std::uint16_t)) {
        const auto value = static_cast<std::uint16_t>(2048 + dice_.below(5));
        std::memcpy(row + at, &value, sizeof value);
      }
    }
    std::size_t done = 0;
    while (done < times.size()) {
      Datagram datagram{.car = number, .bytes = {}};
      const std::size_t taken = car.encoder.append_rows(
          static_cast<std::uint16_t>(g + 1), std::span(times).subspan(done),
          std::span(rows).subspan(done * row_bytes), kDatagramBytes, datagram.bytes);
      CHECK(taken > 0);
      for (std::size_t i = done; i < done + taken; ++i) {
        datagram.rows.push_back(identify_row(car.name, group.definition->group().group, times[i],
                                             std::span(rows).subspan(i * row_bytes, row_bytes)));
      }
      done += taken;
      datagram.packet = {number * car.groups.size() + g,
                         car.encoder.sequence(static_cast<std::uint16_t>(g + 1))};
      waiting_.push_back(std::move(datagram));
    }
  }
}

void SimCars::drive() {
  if (!is_driving_) return;
  for (std::size_t i = 0; i < cars_.size(); ++i) {
    Car& car = cars_[i];
    if (world_ns_ >= car.announce_at_ns) announce(i);
    if (world_ns_ < car.send_at_ns) continue;
    send(i);
    car.send_at_ns = world_ns_ + car.send_every_ns;
  }
}

void SimCars::skip() {
  for (Car& car : cars_) {
    for (Group& group : car.groups) group.next_ns = std::max(group.next_ns, world_ns_);
  }
}

void SimCars::receive(MessageRing& ring, BootNs boot_now) {
  while (!waiting_.empty()) {
    const Datagram& datagram = waiting_.front();
    const auto bytes = std::as_bytes(std::span(datagram.bytes));
    if (!ring.publish(1, boot_now, bytes).ok()) return;  // Full: it waits on.
    for (const RowIdentity& row : datagram.rows) {
      const bool is_new =
          heard_.emplace(row.key, Row{row.content, world_ns_, packets_.size()}).second;
      CHECK(is_new);
    }
    Car& car = cars_[datagram.car];
    if (datagram.rows.empty()) {
      ++car.announced;
    } else {
      packets_.push_back(datagram.packet);
      packets_.back().may_be_unknown = car.announced < car.groups.size();
      packets_.back().ring_id = ring.id();
      packets_.back().ring_end = ring.head();
    }
    waiting_.pop_front();
  }
}

std::size_t SimCars::released(const MessageRing& ring) const {
  std::size_t count = packets_.size();
  while (count > 0 && packets_[count - 1].ring_id == ring.id() &&
         packets_[count - 1].ring_end > ring.tail()) {
    --count;
  }
  return count;
}

void SimCars::forget_announcements(const MessageRing& ring) {
  for (std::size_t i = released(ring); i < packets_.size(); ++i) packets_[i].may_be_unknown = true;
  for (Car& car : cars_) car.announced = 0;
}

void SimCars::cut_power() {
  waiting_.clear();
  for (Car& car : cars_) car.announced = 0;
}

}  // namespace pitbox::simulation
