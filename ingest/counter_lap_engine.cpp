#include "ingest/counter_lap_engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ingest/state_bytes.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kCounterStateFormat = 1;
constexpr std::int64_t kSettleNs = 2'000'000'000;         // Until a lap's time is there.
constexpr std::int64_t kOtherCounterNs = 10'000'000'000;  // Until another group's counter is used.
constexpr std::int64_t kLapMsMax = 86'400'000;
constexpr double kCounterMax = 1e9;
constexpr std::size_t kCounterDefinitionsMax = 1024;  // Remembered; a definition costs one look.
constexpr std::size_t kReadingBytes = 8 + 8 + 4 + 8;
constexpr std::size_t kNotesBytes = 1 + 2 * 8;

// A car at its longest: name, source, flags, reading, notes, and a lap that waits for its time.
static_assert(8 + CounterLapEngine::kCarsMax * (1 + kMaxNameBytes + 8 + 1 + kReadingBytes +
                                                kNotesBytes + 4 + 16 + kNotesBytes) <=
              CounterLapEngine::kStateBytesMax);

// Names of a format's channels; null where it has none.
struct CounterProfile {
  const char* counter;
  const char* last_time;
  double ms_per_unit;  // Where the channel has no unit.
  bool counts_completed;
  std::array<const char*, 2> sector{};
  std::array<const char*, 2> sector_minutes{};
  const char* pit = nullptr;     // Not 0: in the pit lane.
  const char* status = nullptr;  // 2: in lap, 3: out lap.
};

constexpr double kMsPerSecond = 1000;
constexpr double kMsPerMinute = 60'000;
constexpr int kStatusIn = 2;
constexpr int kStatusOut = 3;

constexpr std::array kCounterProfiles = {
    CounterProfile{.counter = "currentLapNum",  // F1 22 and later.
                   .last_time = "lastLapTimeInMS",
                   .ms_per_unit = 1,
                   .counts_completed = false,
                   .sector = {"sector1TimeMSPart", "sector2TimeMSPart"},
                   .sector_minutes = {"sector1TimeMinutesPart", "sector2TimeMinutesPart"},
                   .pit = "pitStatus",
                   .status = "driverStatus"},
    CounterProfile{.counter = "LapNumber",  // Forza: 0 is the first lap.
                   .last_time = "LastLap",
                   .ms_per_unit = kMsPerSecond,
                   .counts_completed = true},
    CounterProfile{.counter = "lapCount",  // Assetto Corsa.
                   .last_time = "lastLap",
                   .ms_per_unit = 1,
                   .counts_completed = true,
                   .pit = "isInPit"},
    CounterProfile{.counter = "LapCount",  // RaceCapture.
                   .last_time = "LapTime",
                   .ms_per_unit = kMsPerMinute,
                   .counts_completed = true},
    CounterProfile{.counter = "Lap Number",  // MoTeC.
                   .last_time = "Lap Time",
                   .ms_per_unit = kMsPerSecond,
                   .counts_completed = true},
    CounterProfile{.counter = "lap",  // Pitbox's own format.
                   .last_time = "last_lap_time",
                   .ms_per_unit = kMsPerSecond,
                   .counts_completed = false,
                   .pit = "in_pit"},
};

// 0: no unit of time.
double ms_of_unit(std::string_view unit, double otherwise) {
  if (unit.empty()) return otherwise;
  if (unit == "ms") return 1;
  if (unit == "s") return kMsPerSecond;
  return unit == "min" ? kMsPerMinute : 0;
}

double value_at(const Definition& definition, int column, const std::byte* row) {
  const auto index = static_cast<std::size_t>(column);
  return physical(definition.channels()[index], row + definition.column_offset(index));
}

bool is_set(const Definition& definition, int column, const std::byte* row) {
  return column >= 0 && value_at(definition, column, row) != 0.0;
}

}  // namespace

const CounterLapEngine::Columns& CounterLapEngine::columns_of(const DefinitionPtr& definition) {
  if (last_columns_ != nullptr && last_columns_->definition == definition) return *last_columns_;
  if (columns_.size() >= kCounterDefinitionsMax && !columns_.contains(definition.get())) {
    columns_.clear();
  }
  const auto [at, is_new] = columns_.try_emplace(definition.get());
  last_columns_ = &at->second;
  if (!is_new) return at->second;
  Columns& columns = at->second;
  columns.definition = definition;
  const auto column = [&](const char* name) {
    return name == nullptr ? -1 : definition->find(name);
  };
  for (const CounterProfile& profile : kCounterProfiles) {
    const int last_time = column(profile.last_time);
    if (column(profile.counter) < 0 || last_time < 0) continue;
    const Channel& channel = definition->channels()[static_cast<std::size_t>(last_time)];
    columns.ms_per_unit = ms_of_unit(channel.unit, profile.ms_per_unit);
    if (columns.ms_per_unit == 0) continue;
    columns.counter = column(profile.counter);
    columns.last_time = last_time;
    columns.counts_completed = profile.counts_completed;
    for (std::size_t i = 0; i < columns.sector.size(); ++i) {
      columns.sector[i] = column(profile.sector[i]);
      columns.sector_minutes[i] = column(profile.sector_minutes[i]);
    }
    columns.pit = column(profile.pit);
    columns.status = column(profile.status);
    break;
  }
  return columns;
}

std::optional<CounterLapEngine::Reading> CounterLapEngine::read(const Columns& columns,
                                                                const RowBlock& block,
                                                                std::size_t row) {
  const Definition& definition = *columns.definition;
  const std::byte* bytes = block.rows.data() + row * definition.row_bytes();
  const double counter = value_at(definition, columns.counter, bytes);
  const double last_ms = value_at(definition, columns.last_time, bytes) * columns.ms_per_unit;
  // False for NaN.
  if (!(counter >= 0 && counter <= kCounterMax) || counter != std::floor(counter)) {
    return std::nullopt;
  }
  const bool is_time = last_ms >= 0.5 && last_ms <= static_cast<double>(kLapMsMax);
  return Reading{.time_ns = definition.has_source_time() ? block.source_ns[row] : block.receive_ns,
                 .receive_ns = block.receive_ns,
                 .counter = static_cast<std::uint32_t>(counter),
                 .last_ms = is_time ? std::llround(last_ms) : 0};
}

void CounterLapEngine::note(const Columns& columns, const std::byte* row, Notes& notes) {
  const Definition& definition = *columns.definition;
  notes.has_pit = notes.has_pit || is_set(definition, columns.pit, row);
  if (columns.status >= 0) {
    const double status = value_at(definition, columns.status, row);
    notes.is_in = notes.is_in || status == kStatusIn;
    notes.is_out = notes.is_out || status == kStatusOut;
  }
  for (std::size_t i = 0; i < notes.sector_ms.size(); ++i) {
    if (columns.sector[i] < 0) continue;
    double ms = value_at(definition, columns.sector[i], row);
    if (columns.sector_minutes[i] >= 0) {
      ms += value_at(definition, columns.sector_minutes[i], row) * kMsPerMinute;
    }
    if (ms >= 0.5 && ms <= static_cast<double>(kLapMsMax)) notes.sector_ms[i] = std::llround(ms);
  }
}

void CounterLapEngine::rows(const RowBlock& block, std::vector<LapRecord>& out) {
  const Columns& columns = columns_of(*block.definition);
  if (!columns.has_counter()) return;
  const std::size_t row_bytes = columns.definition->row_bytes();
  auto at = cars_.end();
  for (std::size_t row = 0; row < block.count; ++row) {
    const auto reading = read(columns, block, row);
    if (!reading) continue;
    if (at == cars_.end()) {
      at = car_for(block, *reading);
      if (at == cars_.end()) return;
    }
    advance(at->first, at->second, *reading, columns.counts_completed, out);
    note(columns, block.rows.data() + row * row_bytes, at->second.notes);
    ++version_;
  }
}

// The car, if the block's group is where its counter is; else end().
CounterLapEngine::Cars::iterator CounterLapEngine::car_for(const RowBlock& block,
                                                           const Reading& reading) {
  const Definition& definition = **block.definition;
  auto at = cars_.find(block.car);
  if (at == cars_.end()) {
    if (cars_.size() >= kCarsMax || block.car.size() > kMaxNameBytes) return cars_.end();
    at = cars_.emplace(std::string(block.car), Car{}).first;
  } else if (at->second.source == definition.prefix()) {
    return at;
  } else {
    const std::int64_t silent = reading.receive_ns - at->second.last.receive_ns;
    if (silent >= 0 && silent < kOtherCounterNs) return cars_.end();
    at->second = {};
  }
  at->second.source = definition.prefix();
  at->second.is_utc = definition.group().time_base == TimeBase::kUtc;
  at->second.last = reading;
  return at;
}

void CounterLapEngine::advance(const std::string& name, Car& car, const Reading& reading,
                               bool counts_completed, std::vector<LapRecord>& out) {
  const Reading before = std::exchange(car.last, reading);
  const bool is_new_time = reading.last_ms != before.last_ms && reading.last_ms > 0;
  if (car.ended) {
    std::int64_t waited = 0;
    const bool is_absurd =
        __builtin_sub_overflow(reading.time_ns, car.ended->time_ns, &waited) || waited < 0;
    if (is_absurd || reading.counter < before.counter) {
      car.ended.reset();
    } else if (is_new_time || waited >= kSettleNs) {
      end_lap(name, car, reading.last_ms, out);
    }
  }
  if (reading.counter == before.counter) return;
  if (reading.counter == before.counter + 1) {
    car.has_counted = true;
    car.ended = Ended{.lap = counts_completed ? reading.counter : before.counter,
                      .time_ns = reading.time_ns,
                      .receive_ns = reading.receive_ns,
                      .notes = car.notes};
    if (is_new_time) end_lap(name, car, reading.last_ms, out);
  } else {
    car.ended.reset();
  }
  car.notes = {};
}

void CounterLapEngine::end_lap(const std::string& name, Car& car, std::int64_t lap_ms,
                               std::vector<LapRecord>& out) {
  const Ended ended = *std::exchange(car.ended, std::nullopt);
  if (lap_ms <= 0) return;
  LapRecord lap;
  lap.car = name;
  lap.lap = ended.lap;
  lap.kind = ended.notes.has_pit ? LapKind::kPit : LapKind::kTimed;
  if (ended.notes.is_in) lap.kind = LapKind::kIn;
  if (ended.notes.is_out) lap.kind = LapKind::kOut;
  lap.lap_time_ms = lap_ms;
  const auto [first, second] = ended.notes.sector_ms;
  if (first > 0 && second > 0 && first + second < lap_ms) {
    lap.sector_time_ms = {first, second, lap_ms - first - second};
  }
  lap.started_is_utc = car.is_utc;
  if (car.is_utc) lap.started_utc_ms = ended.time_ns / 1'000'000 - lap_ms;
  lap.started_boot_ns = ended.receive_ns - lap_ms * 1'000'000;
  lap.evidence = "counter";
  out.push_back(std::move(lap));
}

bool CounterLapEngine::times(std::string_view car) const {
  const auto found = cars_.find(car);
  return found != cars_.end() && found->second.has_counted;
}

void CounterLapEngine::finish(std::vector<LapRecord>& out) {
  for (auto& [name, car] : cars_) {
    if (car.ended) end_lap(name, car, car.last.last_ms, out);
  }
  cars_.clear();
  ++version_;
}

namespace {

template <typename Notes>
void put_notes(StateWriter& out, const Notes& notes) {
  out.put(static_cast<std::uint8_t>((notes.has_pit ? 1 : 0) | (notes.is_out ? 2 : 0) |
                                    (notes.is_in ? 4 : 0)));
  for (const std::int64_t ms : notes.sector_ms) out.put(ms);
}

template <typename Notes>
bool take_notes(StateReader& in, Notes& notes) {
  const auto flags = in.get<std::uint8_t>();
  notes.has_pit = (flags & 1) != 0;
  notes.is_out = (flags & 2) != 0;
  notes.is_in = (flags & 4) != 0;
  bool is_sound = flags < 8;
  for (std::int64_t& ms : notes.sector_ms) {
    ms = in.get<std::int64_t>();
    is_sound = is_sound && ms >= 0 && ms <= kLapMsMax;
  }
  return is_sound;
}

}  // namespace

std::string CounterLapEngine::save() const {
  if (cars_.empty()) return {};
  StateWriter out;
  out.put(kCounterStateFormat);
  out.put(static_cast<std::uint8_t>(cars_.size()));
  for (const auto& [name, car] : cars_) {
    out.text(name);
    out.put(car.source);
    out.put(static_cast<std::uint8_t>((car.is_utc ? 1 : 0) | (car.has_counted ? 2 : 0) |
                                      (car.ended ? 4 : 0)));
    out.put(car.last.time_ns);
    out.put(car.last.receive_ns);
    out.put(car.last.counter);
    out.put(car.last.last_ms);
    put_notes(out, car.notes);
    if (!car.ended) continue;
    out.put(car.ended->lap);
    out.put(car.ended->time_ns);
    out.put(car.ended->receive_ns);
    put_notes(out, car.ended->notes);
  }
  return out.take();
}

std::optional<CounterLapEngine::Car> CounterLapEngine::load_car(StateReader& in) {
  Car car;
  car.source = in.get<std::uint64_t>();
  const auto flags = in.get<std::uint8_t>();
  car.is_utc = (flags & 1) != 0;
  car.has_counted = (flags & 2) != 0;
  car.last.time_ns = in.get<std::int64_t>();
  car.last.receive_ns = in.get<std::int64_t>();
  car.last.counter = in.get<std::uint32_t>();
  car.last.last_ms = in.get<std::int64_t>();
  bool is_sound = take_notes(in, car.notes) && flags < 8 && car.last.last_ms >= 0 &&
                  car.last.last_ms <= kLapMsMax;
  if ((flags & 4) != 0) {
    car.ended.emplace();
    car.ended->lap = in.get<std::uint32_t>();
    car.ended->time_ns = in.get<std::int64_t>();
    car.ended->receive_ns = in.get<std::int64_t>();
    is_sound = take_notes(in, car.ended->notes) && is_sound;
  }
  if (!is_sound || in.is_short()) return std::nullopt;
  return car;
}

Status CounterLapEngine::load(std::string_view state) {
  if (state.empty()) return {};
  const auto corrupt = [](const char* what) {
    return Status(Code::kCorrupt, std::string("lap counter state: ") + what);
  };
  StateReader in(state);
  if (in.get<std::uint8_t>() != kCounterStateFormat) return corrupt("unknown format");
  const std::size_t count = in.get<std::uint8_t>();
  if (count > kCarsMax) return corrupt("too many cars");
  Cars cars;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name(in.text());
    auto car = load_car(in);
    if (!car || name.size() > kMaxNameBytes) return corrupt("a car is not one");
    if (!cars.emplace(name, *std::move(car)).second) return corrupt("a car is there twice");
  }
  if (!in.is_done()) return corrupt("wrong length");
  cars_ = std::move(cars);
  return {};
}

}  // namespace pitbox
