#include "ingest/gps_lap_engine.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "ingest/state_bytes.h"
#include "proto/content_hash.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kLapStateFormat = 1;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kStepMaxNs = 2 * kSecondNs;  // Between the fixes of a crossing.
constexpr std::int64_t kJumpNs = 86'400 * kSecondNs;
constexpr std::int64_t kOtherGroupNs = 10 * kSecondNs;
constexpr std::size_t kDefinitionsMax = 1024;  // Remembered; a definition costs one look.
constexpr double kLineMetresMin = 1;
constexpr double kLineMetresMax = 1000;

// Everything of a car but its name and its sector times.
constexpr std::size_t kSavedCarBytes = 8 + 1 + 4 * 8 + 1 + 4 + 1 + 2 * 8 + 1;
static_assert(16 + GpsLapEngine::kCarsMax *
                       (1 + kMaxNameBytes + kSavedCarBytes + GpsLapEngine::kSectorsMax * 8) <=
              kMaxDecoderStateBytes);

// Half a millisecond is rounded up.
std::int64_t rounded_ms(std::int64_t ns) {
  return ns / 1'000'000 + (ns % 1'000'000 >= 500'000 ? 1 : 0);
}

bool is_on_earth(const GeoPoint& point) {
  return std::abs(point.latitude) <= 90 && std::abs(point.longitude) <= 180;  // False for NaN.
}

}  // namespace

Status GpsLapEngine::check_line(const GeoLine& line) {
  if (!is_on_earth(line[0]) || !is_on_earth(line[1])) {
    return {Code::kRejected, "its points are not latitudes and longitudes in degrees"};
  }
  const double metres = TimingLine(line).length_m();
  if (metres >= kLineMetresMin && metres <= kLineMetresMax) return {};
  return {Code::kRejected, "its length is not 1..1000 m"};
}

Result<std::unique_ptr<GpsLapEngine>> GpsLapEngine::make(Options options) {
  if (options.sectors.size() > kSectorsMax) {
    return Status(Code::kRejected, "there are more than 15 sector lines");
  }
  if (options.min_lap < std::chrono::nanoseconds::zero()) {
    return Status(Code::kRejected, "the shortest lap is negative");
  }
  Status checked = check_line(options.start_finish).within("start/finish line");
  for (std::size_t i = 0; i < options.sectors.size() && checked.ok(); ++i) {
    checked = check_line(options.sectors[i]).within("sector line " + std::to_string(i + 1));
  }
  if (checked.ok() && options.pit_entry) {
    checked = check_line(*options.pit_entry).within("pit entry");
  }
  if (checked.ok() && options.pit_exit) checked = check_line(*options.pit_exit).within("pit exit");
  if (!checked.ok()) return checked;
  return std::unique_ptr<GpsLapEngine>(new GpsLapEngine(std::move(options)));
}

GpsLapEngine::GpsLapEngine(Options options)
    : options_(std::move(options)), start_finish_(options_.start_finish) {
  for (const GeoLine& line : options_.sectors) sectors_.emplace_back(line);
  if (options_.pit_entry) pit_entry_.emplace(*options_.pit_entry);
  if (options_.pit_exit) pit_exit_.emplace(*options_.pit_exit);
}

const GpsLapEngine::Columns& GpsLapEngine::columns_of(const DefinitionPtr& definition) {
  if (last_columns_ != nullptr && last_columns_->definition == definition) return *last_columns_;
  if (columns_.size() >= kDefinitionsMax && !columns_.contains(definition.get())) columns_.clear();
  const auto [at, is_new] = columns_.try_emplace(definition.get());
  if (is_new) {
    at->second = {.definition = definition,
                  .latitude = definition->find(options_.latitude),
                  .longitude = definition->find(options_.longitude),
                  .fix_valid = definition->find(options_.fix_valid)};
  }
  last_columns_ = &at->second;
  return at->second;
}

std::optional<GeoPoint> GpsLapEngine::position(const Columns& columns, const std::byte* row) const {
  const Definition& definition = *columns.definition;
  const auto value = [&](int column) {
    const auto index = static_cast<std::size_t>(column);
    return physical(definition.channels()[index], row + definition.column_offset(index));
  };
  if (columns.fix_valid >= 0 && value(columns.fix_valid) == 0.0) return std::nullopt;
  const GeoPoint where{value(columns.latitude), value(columns.longitude)};
  if (!is_on_earth(where) || where == GeoPoint{}) return std::nullopt;
  return where;
}

void GpsLapEngine::rows(const RowBlock& block, std::vector<LapRecord>& out) {
  const Columns& columns = columns_of(*block.definition);
  if (!columns.has_position()) return;
  const Definition& definition = *columns.definition;
  const bool has_time = definition.has_source_time();
  auto at = cars_.end();
  for (std::size_t row = 0; row < block.count; ++row) {
    const auto where = position(columns, block.rows.data() + row * definition.row_bytes());
    if (!where) continue;
    const Fix fix{*where, has_time ? block.source_ns[row] : block.receive_ns, block.receive_ns};
    if (at == cars_.end()) {
      at = car_for(block, definition, fix);
      if (at == cars_.end()) return;
    }
    advance(at->first, at->second, fix, out);
    ++version_;
  }
}

// The car, if `definition` is where its positions come from; else end().
GpsLapEngine::Cars::iterator GpsLapEngine::car_for(const RowBlock& block,
                                                   const Definition& definition, const Fix& fix) {
  const TimeBase time_base = definition.group().time_base;
  auto at = cars_.find(block.car);
  if (at == cars_.end()) {
    if (cars_.size() >= kCarsMax || block.car.size() > kMaxNameBytes) return cars_.end();
    at = cars_.emplace(std::string(block.car), Car{}).first;
    Car& car = at->second;
    car.source = definition.prefix();
    car.time_base = time_base;
    car.last = fix;
    car.start_ns = fix.time_ns;
    car.start_boot_ns = fix.receive_ns;
    return at;
  }
  Car& car = at->second;
  if (car.source == definition.prefix()) return at;
  const std::int64_t silent = fix.receive_ns - car.last.receive_ns;
  if (silent >= 0 && silent < kOtherGroupNs) return cars_.end();
  car.source = definition.prefix();
  if (car.time_base != time_base) restart_clock(car, fix);
  car.time_base = time_base;
  return at;
}

// The clock that the lap in progress began on is gone.
void GpsLapEngine::restart_clock(Car& car, const Fix& fix) {
  car.last = fix;
  car.sectors = 0;
  car.is_timeable = car.lap == 0;  // An out lap just begins anew.
  car.start_ns = fix.time_ns;
  car.start_boot_ns = fix.receive_ns;
}

void GpsLapEngine::advance(const std::string& name, Car& car, const Fix& fix,
                           std::vector<LapRecord>& out) {
  std::int64_t step = 0;
  std::int64_t since_start = 0;
  const bool is_absurd = __builtin_sub_overflow(fix.time_ns, car.last.time_ns, &step) ||
                         __builtin_sub_overflow(fix.time_ns, car.start_ns, &since_start);
  if (is_absurd || step <= -kStepMaxNs || step >= kJumpNs) {
    restart_clock(car, fix);
    return;
  }
  if (step < 0) return;
  if (step < kStepMaxNs) {
    find_crossings(car, fix);
    for (const Crossing& crossing : crossings_) {
      const std::int64_t boot_ns = fix.receive_ns - (fix.time_ns - crossing.time_ns);
      cross(name, car, crossing, boot_ns, out);
    }
  }
  car.last = fix;
}

// In the order in which the car came to them.
void GpsLapEngine::find_crossings(const Car& car, const Fix& fix) {
  crossings_.clear();
  const auto look = [&](const TimingLine& line, Line kind, std::size_t index) {
    const auto found = line.crossing(car.last.where, fix.where);
    if (!found) return;
    const auto way = static_cast<double>(fix.time_ns - car.last.time_ns);
    crossings_.push_back({.line = kind,
                          .index = index,
                          .time_ns = car.last.time_ns + std::llround(found->fraction * way),
                          .forward = found->forward});
  };
  if (pit_entry_) look(*pit_entry_, Line::kPitEntry, 0);
  look(start_finish_, Line::kStartFinish, 0);
  for (std::size_t i = 0; i < sectors_.size(); ++i) look(sectors_[i], Line::kSector, i);
  if (pit_exit_) look(*pit_exit_, Line::kPitExit, 0);
  std::stable_sort(
      crossings_.begin(), crossings_.end(),
      [](const Crossing& left, const Crossing& right) { return left.time_ns < right.time_ns; });
}

void GpsLapEngine::cross(const std::string& name, Car& car, const Crossing& crossing,
                         std::int64_t boot_ns, std::vector<LapRecord>& out) {
  switch (crossing.line) {
    case Line::kSector:
      if (car.lap > 0 && crossing.index == car.sectors) {
        car.sector_ns[car.sectors++] = crossing.time_ns;
      }
      return;
    case Line::kPitEntry:
      car.in_pit = true;
      car.has_pit = true;
      return;
    case Line::kPitExit:
      car.in_pit = false;
      return;
    case Line::kStartFinish:
      break;
  }
  const std::int8_t direction = crossing.forward ? 1 : -1;
  if (car.direction == 0) car.direction = direction;
  if (car.direction != direction) return;
  const bool is_lap = car.lap > 0 && car.is_timeable;
  if (is_lap && crossing.time_ns - car.start_ns < options_.min_lap.count()) return;
  if (car.lap == 0) {
    out.push_back(record(name, car, LapKind::kOut, crossing.time_ns));
  } else if (car.is_timeable) {
    out.push_back(
        record(name, car, car.has_pit ? LapKind::kPit : LapKind::kTimed, crossing.time_ns));
  }
  ++car.lap;
  car.is_timeable = true;
  car.start_ns = crossing.time_ns;
  car.start_boot_ns = boot_ns;
  car.sectors = 0;
  // Without an exit line, or if a gap hid the exit, a stop must not mark more laps than the one it
  // began in and the one it ended in.
  car.has_pit = car.in_pit && pit_exit_.has_value();
  car.in_pit = false;
}

LapRecord GpsLapEngine::record(const std::string& name, const Car& car, LapKind kind,
                               std::int64_t end_ns) const {
  LapRecord lap;
  lap.car = name;
  lap.lap = car.lap;
  lap.kind = kind;
  lap.lap_time_ms = rounded_ms(end_ns - car.start_ns);
  const bool has_finish = kind == LapKind::kTimed || kind == LapKind::kPit;
  if (has_finish && !sectors_.empty() && car.sectors == sectors_.size()) {
    std::int64_t before_ms = 0;
    for (std::size_t i = 0; i < sectors_.size(); ++i) {
      const std::int64_t until_ms = rounded_ms(car.sector_ns[i] - car.start_ns);
      lap.sector_time_ms.push_back(until_ms - before_ms);
      before_ms = until_ms;
    }
    lap.sector_time_ms.push_back(lap.lap_time_ms - before_ms);
  }
  lap.started_is_utc = car.time_base == TimeBase::kUtc;
  if (lap.started_is_utc) lap.started_utc_ms = rounded_ms(car.start_ns);
  lap.started_boot_ns = car.start_boot_ns;
  lap.evidence = options_.evidence;
  return lap;
}

void GpsLapEngine::finish(std::vector<LapRecord>& out) {
  for (const auto& [name, car] : cars_) {
    if (car.lap > 0 && car.is_timeable && car.last.time_ns > car.start_ns) {
      out.push_back(record(name, car, LapKind::kIn, car.last.time_ns));
    }
  }
  cars_.clear();
  ++version_;
}

// Names the lines: a lap in progress means nothing on another track.
std::uint64_t GpsLapEngine::fingerprint() const {
  StateWriter lines;
  const auto add = [&](const GeoLine& line) {
    for (const GeoPoint& point : line) {
      lines.put(point.latitude);
      lines.put(point.longitude);
    }
  };
  const auto add_optional = [&](const std::optional<GeoLine>& line) {
    lines.put(static_cast<std::uint8_t>(line ? 1 : 0));
    if (line) add(*line);
  };
  add(options_.start_finish);
  add_optional(options_.pit_entry);
  add_optional(options_.pit_exit);
  for (const GeoLine& line : options_.sectors) add(line);
  const std::string bytes = lines.take();
  return hash64(std::as_bytes(std::span(bytes)), 0);
}

std::string GpsLapEngine::save() const {
  if (cars_.empty()) return {};
  StateWriter out;
  out.put(kLapStateFormat);
  out.put(fingerprint());
  out.put(static_cast<std::uint8_t>(cars_.size()));
  for (const auto& [name, car] : cars_) {
    out.text(name);
    out.put(car.source);
    out.put(car.time_base);
    out.put(car.last.where.latitude);
    out.put(car.last.where.longitude);
    out.put(car.last.time_ns);
    out.put(car.last.receive_ns);
    out.put(car.direction);
    out.put(car.lap);
    out.put(static_cast<std::uint8_t>((car.is_timeable ? 1 : 0) | (car.has_pit ? 2 : 0) |
                                      (car.in_pit ? 4 : 0)));
    out.put(car.start_ns);
    out.put(car.start_boot_ns);
    out.put(car.sectors);
    for (std::size_t i = 0; i < car.sectors; ++i) out.put(car.sector_ns[i]);
  }
  return out.take();
}

Status GpsLapEngine::load(std::string_view state) {
  if (state.empty()) return {};
  const auto corrupt = [](const char* what) {
    return Status(Code::kCorrupt, std::string("lap state: ") + what);
  };
  StateReader in(state);
  if (in.get<std::uint8_t>() != kLapStateFormat) return corrupt("unknown format");
  if (in.get<std::uint64_t>() != fingerprint()) return corrupt("it is another track's");
  const std::size_t count = in.get<std::uint8_t>();
  Cars cars;
  for (std::size_t i = 0; i < count && !in.is_short(); ++i) {
    const std::string name(in.text());
    Car car;
    car.source = in.get<std::uint64_t>();
    car.time_base = in.get<TimeBase>();
    car.last.where.latitude = in.get<double>();
    car.last.where.longitude = in.get<double>();
    car.last.time_ns = in.get<std::int64_t>();
    car.last.receive_ns = in.get<std::int64_t>();
    car.direction = in.get<std::int8_t>();
    car.lap = in.get<std::uint32_t>();
    const auto flags = in.get<std::uint8_t>();
    car.is_timeable = (flags & 1) != 0;
    car.has_pit = (flags & 2) != 0;
    car.in_pit = (flags & 4) != 0;
    car.start_ns = in.get<std::int64_t>();
    car.start_boot_ns = in.get<std::int64_t>();
    car.sectors = in.get<std::uint8_t>();
    const bool is_sound = car.time_base <= TimeBase::kUtc && is_on_earth(car.last.where) &&
                          std::abs(car.direction) <= 1 && flags < 8 &&
                          car.sectors <= sectors_.size() && name.size() <= kMaxNameBytes;
    if (!is_sound) return corrupt("a car is not one");
    for (std::size_t s = 0; s < car.sectors; ++s) car.sector_ns[s] = in.get<std::int64_t>();
    if (!cars.emplace(name, car).second) return corrupt("a car is there twice");
  }
  if (!in.is_done() || cars.size() > kCarsMax) return corrupt("wrong length");
  cars_ = std::move(cars);
  return {};
}

}  // namespace pitbox
