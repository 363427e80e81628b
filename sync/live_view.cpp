#include "sync/live_view.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pitbox {

void merge_live_view(LiveViewCar& kept, LiveViewCar newer) {
  kept.wall_time_ms = newer.wall_time_ms;
  for (LiveViewValue& value : newer.values) {
    const auto same = std::find_if(kept.values.begin(), kept.values.end(),
                                   [&](const auto& old) { return old.channel == value.channel; });
    if (same != kept.values.end()) {
      *same = std::move(value);
    } else if (kept.values.size() < kMaxLiveViewValues) {
      kept.values.push_back(std::move(value));
    }
  }
}

std::vector<LiveViewCar> LiveViewFeed::take(BootNs now, const LiveSnapshot& snapshot) {
  next_at_ = now + to_ns(options_.period);
  const bool everything = now >= next_repeat_;
  if (everything) next_repeat_ = now + to_ns(options_.repeat);
  const std::uint64_t seen = std::exchange(seen_, snapshot.version);
  std::vector<LiveViewCar> cars;
  for (const LiveCar& car : snapshot.cars) {
    if (cars.size() >= kMaxLiveViewCars) break;
    LiveViewCar view{car.car, (car.receive_ns + snapshot.wall_minus_boot_ns) / 1'000'000, {}};
    for (const LiveValue& value : car.values) {
      if (!everything && value.version <= seen) continue;
      if (!std::isfinite(value.value) || view.values.size() >= kMaxLiveViewValues) continue;
      view.values.push_back({value.what().name, value.what().unit, value.value});
    }
    if (!view.values.empty()) cars.push_back(std::move(view));
  }
  return cars;
}

}  // namespace pitbox
