// GpsLapEngine: laps of any number of cars, from the positions in their records: when did a car
// cross the start/finish line?
//
//   A crossing   The straight way from one fix to the next, less than 2 s later, meets the line
//                between its two points. Its time is interpolated along the way, to the nanosecond.
//   Direction    The first crossing says which way the track is driven; crossings the other way are
//                ignored, and so are those less than `min_lap` after the last one.
//   Laps         Lap 0, the out lap, is from a car's first fix to its first crossing; then one lap
//                from each crossing to the next; when the session ends, the in lap from the last
//                crossing to the last fix. A lap with any part in the pit lane (entry crossed in
//                it, or not left since an entry in the lap before) is `pit`.
//   Sectors      Their lines count only in order, in either direction. A lap in which one was not
//                crossed has no sector times.
//   Milliseconds The difference of two crossings, rounded once. Sector times are differences of the
//                rounded times since the lap's start, so they add up to the lap time exactly.
//
// Time is the group's source time, else the receive time. Where it steps back by 2 s or more, or
// jumps by a day, the lap in progress cannot be timed: it ends at the next crossing without a
// record. A fix that is up to 2 s older than the last one (a late packet) is left out.
//
// A row is a fix if it has both position channels, they are finite, possible and not exactly 0, 0,
// and the channel `fix_valid`, if the group has it, is not 0. If several groups of a car have
// positions, the first one heard is used until it has been silent for 10 s.
//
// Limits: kCarsMax cars between two calls of finish(); later ones get no laps (their records are
// kept like all others). kSectorsMax sector lines. save() is at most 64 KiB.
//
// Threads: the recorder's. Rows without positions cost a pointer comparison or a hash look-up a
// block.

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/geometry.h"
#include "ingest/timed_laps.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

class GpsLapEngine final : public TimedLaps {
 public:
  static constexpr std::size_t kCarsMax = 128;
  static constexpr std::size_t kSectorsMax = 15;

  struct Options {
    GeoLine start_finish;
    std::vector<GeoLine> sectors;  // Where the first sector ends, the second, ...
    std::optional<GeoLine> pit_entry;
    std::optional<GeoLine> pit_exit;
    std::chrono::nanoseconds min_lap = std::chrono::seconds(20);
    std::string latitude = "latitude";  // Channel names.
    std::string longitude = "longitude";
    std::string fix_valid = "fix_valid";
    std::string evidence = "gps-line";
  };
  // kRejected if it is shorter than 1 m or longer than 1 km, or not on earth.
  static Status check_line(const GeoLine& line);
  // kRejected, naming the line, if one does not pass check_line(), or there are too many.
  static Result<std::unique_ptr<GpsLapEngine>> make(Options options);

  void rows(const RowBlock& block, std::vector<LapRecord>& out) override;
  void finish(std::vector<LapRecord>& out) override;
  std::string save() const override;
  // kCorrupt also if the state was saved for other lines.
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override { return version_; }
  // It has positions.
  bool times(std::string_view car) const override { return cars_.contains(car); }

 private:
  // Which columns of a definition matter; -1 for none.
  struct Columns {
    DefinitionPtr definition;  // Keeps the pointer that it is known by.
    int latitude = -1;
    int longitude = -1;
    int fix_valid = -1;
    bool has_position() const { return latitude >= 0 && longitude >= 0; }
  };
  struct Fix {
    GeoPoint where;
    std::int64_t time_ns = 0;
    std::int64_t receive_ns = 0;
  };
  struct Car {
    std::uint64_t source = 0;  // Definition prefix of the group whose positions are used.
    TimeBase time_base = TimeBase::kNone;
    Fix last;
    std::int8_t direction = 0;  // 1: forward, -1: the other way, 0: not known yet.
    std::uint32_t lap = 0;      // In progress.
    bool is_timeable = true;    // No clock step since it began.
    bool has_pit = false;       // Some of it was in the pit lane.
    bool in_pit = false;
    std::int64_t start_ns = 0;
    std::int64_t start_boot_ns = 0;
    std::uint8_t sectors = 0;  // Lines crossed so far.
    std::array<std::int64_t, kSectorsMax> sector_ns{};
  };
  enum class Line : std::uint8_t { kStartFinish, kSector, kPitEntry, kPitExit };
  struct Crossing {
    Line line = Line::kStartFinish;
    std::size_t index = 0;  // Of the sector line.
    std::int64_t time_ns = 0;
    bool forward = false;
  };
  using Cars = std::map<std::string, Car, std::less<>>;

  explicit GpsLapEngine(Options options);
  const Columns& columns_of(const DefinitionPtr& definition);
  Cars::iterator car_for(const RowBlock& block, const Definition& definition, const Fix& fix);
  static void restart_clock(Car& car, const Fix& fix);
  std::optional<GeoPoint> position(const Columns& columns, const std::byte* row) const;
  void advance(const std::string& name, Car& car, const Fix& fix, std::vector<LapRecord>& out);
  void cross(const std::string& name, Car& car, const Crossing& crossing, std::int64_t boot_ns,
             std::vector<LapRecord>& out);
  void find_crossings(const Car& car, const Fix& fix);
  LapRecord record(const std::string& name, const Car& car, LapKind kind,
                   std::int64_t end_ns) const;
  std::uint64_t fingerprint() const;

  const Options options_;
  const TimingLine start_finish_;
  std::vector<TimingLine> sectors_;
  std::optional<TimingLine> pit_entry_;
  std::optional<TimingLine> pit_exit_;
  Cars cars_;
  std::unordered_map<const Definition*, Columns> columns_;
  const Columns* last_columns_ = nullptr;
  std::vector<Crossing> crossings_;  // Of the step at hand; memory used again.
  std::uint64_t version_ = 0;
};

}  // namespace pitbox
