// What a live view carries: the newest physical values of chosen channels, for viewers that draw
// and do not decode. Unsequenced and unjournaled: the first thing to be shed, never a record.
//
// LiveViewFeed turns the recorder's snapshots into what is due: what changed since the last look,
// and everything again every 5 s, because a room may forget (ROOM.md, "LiveView"). What could not
// be sent is merged with what is newer, value by value, so shedding costs time and never a channel.
//
// Limits: kMaxLiveViewValues values a car, kMaxLiveViewCars cars; values that are not finite are
// left out, as the protocol demands.
//
// Threads: one (the link's); the snapshot is the recorder's, published.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "buffer/clock.h"
#include "buffer/live_values.h"

namespace pitbox {

inline constexpr std::size_t kMaxLiveViewValues = 64;
inline constexpr std::size_t kMaxLiveViewCars = 128;

struct LiveViewValue {
  std::string channel;
  std::string unit;
  double value = 0;
};

struct LiveViewCar {
  std::string car;
  std::int64_t wall_time_ms = 0;
  std::vector<LiveViewValue> values;
};

// `newer` over `kept`, value by value; channels beyond the limit are left out.
void merge_live_view(LiveViewCar& kept, LiveViewCar newer);

class LiveViewFeed {
 public:
  struct Options {
    std::chrono::nanoseconds period = std::chrono::milliseconds(100);
    std::chrono::nanoseconds repeat = std::chrono::seconds(5);
  };
  explicit LiveViewFeed(const Options& options) : options_(options) {}

  bool due(BootNs now) const { return now >= next_at_; }
  BootNs next_at() const { return next_at_; }
  std::vector<LiveViewCar> take(BootNs now, const LiveSnapshot& snapshot);
  // The room knows nothing yet: the next take() gives everything.
  void restart() { next_repeat_ = 0; }

 private:
  const Options options_;
  BootNs next_at_ = 0;
  BootNs next_repeat_ = 0;
  std::uint64_t seen_ = 0;  // Version of the last snapshot.
};

}  // namespace pitbox
