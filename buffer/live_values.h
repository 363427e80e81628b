// LiveValues: the latest physical value of chosen channels of every car, for viewers that draw
// without decoding batches. Unsequenced and never journaled; a value that was overtaken is not
// missed.
//
// Cost: only the last row of a block is looked at, and only its chosen columns; which those are is
// worked out once per car and definition.
//
// Limits: kMaxLiveChannels values a car, kMaxLiveCars cars; later ones are not shown.
//
// Threads: the recorder's. snapshot() is a value for other threads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "buffer/decoder.h"
#include "proto/definition.h"

namespace pitbox {

inline constexpr std::size_t kMaxLiveChannels = 64;
inline constexpr std::size_t kMaxLiveCars = 128;
inline constexpr std::size_t kLiveChannelsByDefault = 16;

struct LiveValue {
  DefinitionPtr definition;
  std::uint32_t channel = 0;  // Index in it.
  double value = 0;           // Physical.
  // Of the snapshot in which it last changed: who has seen snapshot n sends what is greater.
  std::uint64_t version = 0;

  const Channel& what() const { return definition->channels()[channel]; }
};
struct LiveCar {
  std::string car;
  std::int64_t receive_ns = 0;  // Of the last row looked at; CLOCK_BOOTTIME.
  std::vector<LiveValue> values;
};
struct LiveSnapshot {
  std::uint64_t version = 0;
  std::int64_t wall_minus_boot_ns = 0;  // Adds up with receive_ns to a wall clock.
  std::vector<LiveCar> cars;
};

class LiveValues {
 public:
  // Names of channels; empty: the first kLiveChannelsByDefault of each car, in order of arrival.
  explicit LiveValues(std::vector<std::string> channels);

  // REQUIRES: consistent(block), at least one row.
  void note(const RowBlock& block);
  // Something changed since the last take().
  bool changed() const { return changed_; }
  LiveSnapshot take(std::int64_t wall_minus_boot_ns);

 private:
  struct Choice {
    DefinitionPtr definition;
    std::vector<std::size_t> values;  // Indices into the car's values.
  };
  struct Car {
    LiveCar shown;
    std::vector<Choice> choices;  // One per definition seen.
    std::size_t last_choice = 0;
  };
  Car* find_car(std::string_view name);
  const Choice& choice_for(Car& car, const DefinitionPtr& definition);

  const std::vector<std::string> channels_;
  std::map<std::string, Car, std::less<>> cars_;
  std::uint64_t version_ = 1;  // Of the snapshot that take() gives next.
  bool changed_ = false;
};

}  // namespace pitbox
