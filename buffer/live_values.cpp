#include "buffer/live_values.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace pitbox {

LiveValues::LiveValues(std::vector<std::string> channels) : channels_(std::move(channels)) {}

void LiveValues::note(const RowBlock& block) {
  Car* car = find_car(block.car);
  if (car == nullptr) return;
  const Choice& choice = choice_for(*car, *block.definition);
  const Definition& definition = **block.definition;
  const std::byte* row = block.rows.data() + (block.count - 1) * definition.row_bytes();
  car->shown.receive_ns = block.receive_ns;
  for (const std::size_t index : choice.values) {
    LiveValue& value = car->shown.values[index];
    const double now = physical(definition.channels()[value.channel],
                                row + definition.column_offset(value.channel));
    // By bits: a NaN that stays is no change, a zero that changes its sign is.
    if (value.version != 0 &&
        std::bit_cast<std::uint64_t>(now) == std::bit_cast<std::uint64_t>(value.value)) {
      continue;
    }
    value.value = now;
    value.version = version_;
    changed_ = true;
  }
}

LiveValues::Car* LiveValues::find_car(std::string_view name) {
  const auto found = cars_.find(name);
  if (found != cars_.end()) return &found->second;
  if (cars_.size() >= kMaxLiveCars) return nullptr;
  Car car;
  car.shown.car = name;
  return &cars_.emplace(name, std::move(car)).first->second;
}

const LiveValues::Choice& LiveValues::choice_for(Car& car, const DefinitionPtr& definition) {
  const std::size_t size = car.choices.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = (car.last_choice + i) % size;
    if (car.choices[at].definition == definition) {
      car.last_choice = at;
      return car.choices[at];
    }
  }
  Choice choice{.definition = definition, .values = {}};
  std::vector<LiveValue>& shown = car.shown.values;
  const std::size_t most = channels_.empty() ? kLiveChannelsByDefault : kMaxLiveChannels;
  const std::vector<Channel>& channels = definition->channels();
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const std::string& name = channels[i].name;
    if (!channels_.empty() &&
        std::find(channels_.begin(), channels_.end(), name) == channels_.end()) {
      continue;
    }
    // A channel that is known already (a definition that replaces another) keeps its place.
    auto place = std::find_if(shown.begin(), shown.end(),
                              [&](const LiveValue& value) { return value.what().name == name; });
    if (place == shown.end()) {
      if (shown.size() >= most) continue;
      place = shown.insert(shown.end(), LiveValue{});
    }
    *place = LiveValue{.definition = definition,
                       .channel = static_cast<std::uint32_t>(i),
                       .value = 0,
                       .version = 0};
    choice.values.push_back(static_cast<std::size_t>(place - shown.begin()));
  }
  // Places taken over belong to this definition alone now, and the memory of definitions is
  // bounded like the places: by the oldest being forgotten.
  for (Choice& other : car.choices) {
    std::erase_if(other.values,
                  [&](std::size_t index) { return shown[index].definition != other.definition; });
  }
  constexpr std::size_t kMaxChoices = 256;
  if (car.choices.size() >= kMaxChoices) car.choices.erase(car.choices.begin());
  car.choices.push_back(std::move(choice));
  car.last_choice = car.choices.size() - 1;
  return car.choices.back();
}

LiveSnapshot LiveValues::take(std::int64_t wall_minus_boot_ns) {
  LiveSnapshot snapshot{.version = version_, .wall_minus_boot_ns = wall_minus_boot_ns, .cars = {}};
  for (const auto& [name, car] : cars_) {
    if (!car.shown.values.empty()) snapshot.cars.push_back(car.shown);
  }
  ++version_;
  changed_ = false;
  return snapshot;
}

}  // namespace pitbox
