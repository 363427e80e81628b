#include "apps/bench/synthetic_car.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

enum class Signal : std::uint8_t { kConverter, kDecimal, kFlag, kFullFloat };

// Of each hundred channels: 60, 23, 5 and 12; mixed, so that every group has of each.
Signal signal_of(std::size_t channel) {
  const std::size_t place = channel * 37 % 100;
  if (place < 60) return Signal::kConverter;
  if (place < 83) return Signal::kDecimal;
  return place < 88 ? Signal::kFlag : Signal::kFullFloat;
}

SyntheticCar::Group make_group(const char* name, std::size_t channels, std::int64_t hertz,
                               std::size_t first_channel) {
  ChannelGroup group;
  group.group = name;
  group.time_base = TimeBase::kCar;
  for (std::size_t i = 0; i < channels; ++i) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "ch%03zu", first_channel + i);
    group.channels.push_back(Channel{.name = text.data(), .unit = "", .type = StorageType::kF32});
  }
  auto definition = Definition::make(std::move(group));
  CHECK(definition.ok());
  CHECK(SyntheticCar::kSamplesPerDatagram % channels == 0);
  return {.definition = std::move(definition).take(),
          .channels = channels,
          .period_ns = 1'000'000'000 / hertz,
          .rows_per_datagram = SyntheticCar::kSamplesPerDatagram / channels,
          .first_channel = first_channel};
}

}  // namespace

const std::vector<SyntheticCar::Group>& SyntheticCar::groups() {
  static const std::vector<Group> kGroups = {
      make_group("fast a", 70, 1000, 0),    make_group("fast b", 50, 1000, 70),
      make_group("medium a", 70, 100, 120), make_group("medium b", 50, 100, 190),
      make_group("slow", 50, 10, 240),      make_group("gps", 10, 20, 290)};
  return kGroups;
}

void SyntheticCar::append_row(const Group& group, std::int64_t at_ns, std::vector<std::byte>& out) {
  const double seconds = static_cast<double>(at_ns) * 1e-9;
  for (std::size_t i = 0; i < group.channels; ++i) {
    const float sample = value(group.first_channel + i, seconds);
    const auto* bytes = reinterpret_cast<const std::byte*>(&sample);
    out.insert(out.end(), bytes, bytes + sizeof sample);
  }
}

// A slow curve of the channel's own, and the noise of its kind.
float SyntheticCar::value(std::size_t channel, double seconds) {
  const double pace = 0.3 + 0.17 * static_cast<double>(channel % 19);
  const double curve = std::sin(seconds * pace + static_cast<double>(channel) + phase_);
  switch (signal_of(channel)) {
    case Signal::kConverter: {
      constexpr double kMiddle = 2048;
      const double step = std::round(kMiddle + 1500 * curve + 2 * noise());
      // Over the sensor's range, as its maker's sheet gives it.
      const double factor = 0.01 * static_cast<double>(1 + channel % 7);
      return static_cast<float>(step * factor);
    }
    case Signal::kDecimal: {
      const double scale = channel % 2 == 0 ? 10 : 100;
      return static_cast<float>(std::round(900 * curve + 3 * noise()) / scale);
    }
    case Signal::kFlag:
      return curve > 0.7 ? 1.0F : 0.0F;
    case Signal::kFullFloat:
      return static_cast<float>(50 * curve + 0.02 * noise());
  }
  return 0;
}

// Twelve even numbers summed: close enough to normal, and the same everywhere.
double SyntheticCar::noise() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random_()) / 4294967296.0;
  return sum;
}

}  // namespace pitbox
