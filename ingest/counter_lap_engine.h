// CounterLapEngine: laps of any number of cars, as the cars or games count and time them
// themselves.
//
//   A counter    A channel with the number of laps and one with the time of the last whole lap, in
//                one group. Which names these are is a table (counter_profiles in the .cpp): those
//                of the games and loggers whose formats are read here, and for Pitbox's own format
//                `lap`, `last_lap_time` and, if there is one, `in_pit`.
//   A lap        ended when the counter went up by one. Its time is the last lap's time once that
//                has changed; if it does not change within 2 s, it was the same again. A counter
//                that jumps or goes back (a flashback, a new session) begins anew, without a lap.
//   Units        Of the time channel: ms, s or min; without one, what the format says.
//   Sectors      Where the group has the times of the first two: the third is what is left.
//   Kind         `out` and `in` where the format says so, `pit` if the car was in the pit lane in
//                any part of it, else `timed`.
//
// The source's own time, else the receive time, serves for the 2 s and for when the lap began.
//
// Limits: kCarsMax cars between two calls of finish(); later ones get no laps here. A lap is at
// most a day long. save() is at most 24 KiB.
//
// Threads: the recorder's. Rows of other groups cost a pointer comparison or a hash look-up a
// block.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/timed_laps.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

class StateReader;

class CounterLapEngine final : public TimedLaps {
 public:
  static constexpr std::size_t kCarsMax = 96;
  static constexpr std::size_t kStateBytesMax = std::size_t{24} << 10;

  void rows(const RowBlock& block, std::vector<LapRecord>& out) override;
  void finish(std::vector<LapRecord>& out) override;
  std::string save() const override;
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override { return version_; }
  // Its counter was seen to count.
  bool times(std::string_view car) const override;

 private:
  // Which columns of a definition matter; -1 for none.
  struct Columns {
    DefinitionPtr definition;  // Keeps the pointer that it is known by.
    int counter = -1;
    int last_time = -1;
    double ms_per_unit = 0;
    bool counts_completed = false;  // The counter is the last lap's number, not the present one's.
    std::array<int, 2> sector{-1, -1};
    std::array<int, 2> sector_minutes{-1, -1};
    int pit = -1;
    int status = -1;
    bool has_counter() const { return counter >= 0; }
  };
  // What a row says.
  struct Reading {
    std::int64_t time_ns = 0;
    std::int64_t receive_ns = 0;
    std::uint32_t counter = 0;
    std::int64_t last_ms = 0;
  };
  // What is known of a lap beside its time.
  struct Notes {
    bool has_pit = false;
    bool is_out = false;
    bool is_in = false;
    std::array<std::int64_t, 2> sector_ms{};  // 0: not known (yet).
  };
  // A lap that ended, whose time is not known yet.
  struct Ended {
    std::uint32_t lap = 0;
    std::int64_t time_ns = 0;
    std::int64_t receive_ns = 0;
    Notes notes;
  };
  struct Car {
    std::uint64_t source = 0;  // Definition prefix of the group whose counter is used.
    bool is_utc = false;
    bool has_counted = false;
    Reading last;
    Notes notes;  // Of the lap in progress.
    std::optional<Ended> ended;
  };
  using Cars = std::map<std::string, Car, std::less<>>;

  const Columns& columns_of(const DefinitionPtr& definition);
  static std::optional<Reading> read(const Columns& columns, const RowBlock& block,
                                     std::size_t row);
  static void note(const Columns& columns, const std::byte* row, Notes& notes);
  Cars::iterator car_for(const RowBlock& block, const Reading& reading);
  static void advance(const std::string& name, Car& car, const Reading& reading,
                      bool counts_completed, std::vector<LapRecord>& out);
  static void end_lap(const std::string& name, Car& car, std::int64_t lap_ms,
                      std::vector<LapRecord>& out);
  static std::optional<Car> load_car(StateReader& in);

  Cars cars_;
  std::unordered_map<const Definition*, Columns> columns_;
  const Columns* last_columns_ = nullptr;
  std::uint64_t version_ = 0;
};

}  // namespace pitbox
