#include "buffer/events.h"

#include <utility>

#include "proto/event.h"

namespace pitbox {
namespace {

NewEvent finish(const words::Event& event, std::string kind, std::string car = {}) {
  return NewEvent{.car = std::move(car),
                  .kind = std::move(kind),
                  .time_ns = event.time_ns(),
                  .bytes = serialise_event(event)};
}

// As the `laps` table has it.
words::Lap::Kind lap_kind(std::string_view kind) {
  for (const LapKind known : {LapKind::kOut, LapKind::kTimed, LapKind::kIn, LapKind::kPit}) {
    if (kind == to_string(known)) return static_cast<words::Lap::Kind>(known);
  }
  return words::Lap::KIND_UNSPECIFIED;
}

words::Event at(BootNs now) {
  words::Event event;
  event.set_time_ns(now);
  return event;
}

}  // namespace

ClockReading read_clock(const Clock& clock) {
  // Boot before and after wall: the middle is within half the time between of the wall reading.
  const BootNs before = clock.boot_now();
  const WallNs wall = clock.wall_now();
  const BootNs after = clock.boot_now();
  return {.boot_id = clock.boot_id(), .boot_ns = before + (after - before) / 2, .wall_ns = wall};
}

NewEvent clock_anchor_event(const ClockReading& reading) {
  words::Event event = at(reading.boot_ns);
  words::ClockAnchor& anchor = *event.mutable_clock_anchor();
  anchor.set_boot_id(reading.boot_id);
  anchor.set_boot_time_ns(reading.boot_ns);
  anchor.set_wall_time_ns(reading.wall_ns);
  return finish(event, "clock_anchor");
}

NewEvent session_start_event(const SessionInfo& info, BootNs now) {
  words::Event event = at(now);
  words::SessionStart& start = *event.mutable_session_start();
  start.set_session_id(info.id.raw());
  start.set_name(info.name);
  start.set_type(info.type);
  start.set_wall_time_ms(info.started_at_ms);
  return finish(event, "session_start");
}

NewEvent session_end_event(std::int64_t wall_ms, BootNs now) {
  words::Event event = at(now);
  event.mutable_session_end()->set_wall_time_ms(wall_ms);
  return finish(event, "session_end");
}

NewEvent session_bound_event(const std::string& platform_id, BootNs now) {
  words::Event event = at(now);
  event.mutable_session_bound()->set_platform_id(platform_id);
  return finish(event, "session_bound");
}

NewEvent gap_event(const Gap& gap, BootNs now) {
  words::Event event = at(now);
  words::Gap& word = *event.mutable_gap();
  word.set_source(gap.source);
  word.set_reason(gap.reason);
  word.set_from_ns(gap.from_ns);
  word.set_to_ns(gap.to_ns);
  word.set_count_known(gap.count_known);
  if (gap.count_known) word.set_count(gap.count);
  word.set_unit(gap.unit);
  word.set_car(gap.car);
  return finish(event, "gap", gap.car);
}

NewEvent lap_event(const LapRecord& lap, std::int64_t started_at_ms, BootNs now) {
  words::Event event = at(now);
  words::Lap& word = *event.mutable_lap();
  word.set_car(lap.car);
  word.set_lap(lap.lap);
  word.set_kind(static_cast<words::Lap::Kind>(lap.kind));  // Numbered alike.
  word.set_lap_time_ms(lap.lap_time_ms);
  for (const std::int64_t time : lap.sector_time_ms) word.add_sector_time_ms(time);
  word.set_started_at_ms(started_at_ms);
  word.set_evidence(lap.evidence);
  return finish(event, "lap", lap.car);
}

NewEvent tombstone_event(const TombstoneFacts& facts, BootNs now) {
  words::Event event = at(now);
  words::Tombstone& word = *event.mutable_tombstone();
  word.set_incarnation(facts.incarnation);
  word.set_first(facts.range.first);
  word.set_last(facts.range.last);
  word.set_reason(std::string(facts.reason));
  word.set_records(facts.records);
  for (const StoredLap& lap : facts.laps) {
    if (static_cast<std::size_t>(word.laps_size()) == kTombstoneLaps) break;
    words::Lap& named = *word.add_laps();
    named.set_car(lap.car);
    named.set_lap(lap.lap);
    named.set_kind(lap_kind(lap.kind));
    named.set_lap_time_ms(lap.lap_time_ms);
    for (const std::int64_t time : lap.sector_time_ms) named.add_sector_time_ms(time);
    named.set_started_at_ms(lap.started_at_ms);
    named.set_evidence(lap.evidence);
  }
  return finish(event, "tombstone");
}

NewEvent mark_event(const std::string& car, const std::string& text, BootNs now) {
  words::Event event = at(now);
  event.mutable_mark()->set_car(car);
  event.mutable_mark()->set_text(text);
  return finish(event, "mark", car);
}

std::optional<ClockReading> parse_clock_anchor(std::string_view bytes) {
  words::Event event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  if (!event.has_clock_anchor()) return std::nullopt;
  return ClockReading{.boot_id = event.clock_anchor().boot_id(),
                      .boot_ns = event.clock_anchor().boot_time_ns(),
                      .wall_ns = event.clock_anchor().wall_time_ns()};
}

}  // namespace pitbox
