#include "proto/event.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdint>
#include <utility>

#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::int64_t kMaxDurationMs = 7LL * 24 * 3600 * 1000;
constexpr std::uint32_t kMaxLapNumber = 1'000'000;
constexpr std::size_t kSessionIdBytes = 16;

Status corrupt_event(std::string_view what) {
  return {Code::kCorrupt, "event: " + std::string(what)};
}

bool is_text(std::string_view text) {
  return text.size() <= kMaxEventTextBytes && is_plain_text(text);
}

// Any moment of a boot, and any nanosecond count since 1970 that 63 bits hold.
bool is_moment_ns(std::int64_t ns) {
  return ns >= 0;
}

bool is_wall_ms(std::int64_t ms) {
  return ms >= 0 && ms <= kMaxWallMs;
}

bool is_duration_ms(std::int64_t ms) {
  return ms >= 0 && ms <= kMaxDurationMs;
}

Status check_anchor(const words::ClockAnchor& anchor) {
  if (anchor.boot_id().empty() || !is_text(anchor.boot_id())) return corrupt_event("bad boot id");
  if (!is_moment_ns(anchor.boot_time_ns()) || !is_moment_ns(anchor.wall_time_ns())) {
    return corrupt_event("clock anchor with a negative time");
  }
  return {};
}

Status check_start(const words::SessionStart& start) {
  if (start.session_id().size() != kSessionIdBytes) {
    return corrupt_event("session id of wrong length");
  }
  if (!is_text(start.name()) || !is_text(start.type())) {
    return corrupt_event("bad session name or type");
  }
  if (!is_wall_ms(start.wall_time_ms())) return corrupt_event("session start out of range");
  return {};
}

Status check_lap(const words::Lap& lap) {
  if (lap.car().empty() || !is_text(lap.car())) return corrupt_event("lap without a proper car");
  if (!is_text(lap.evidence())) return corrupt_event("bad evidence of a lap");
  if (lap.lap() > kMaxLapNumber) return corrupt_event("lap number out of range");
  if (lap.kind() < words::Lap::OUT || lap.kind() > words::Lap::PIT) {
    return corrupt_event("lap of unknown kind");
  }
  if (!is_duration_ms(lap.lap_time_ms())) return corrupt_event("lap time out of range");
  if (static_cast<std::size_t>(lap.sector_time_ms_size()) > kMaxLapSectors) {
    return corrupt_event("lap with too many sectors");
  }
  for (const std::int64_t ms : lap.sector_time_ms()) {
    if (!is_duration_ms(ms)) return corrupt_event("sector time out of range");
  }
  if (!is_wall_ms(lap.started_at_ms())) return corrupt_event("start of a lap out of range");
  return {};
}

Status check_gap(const words::Gap& gap) {
  if (!is_text(gap.source()) || !is_text(gap.reason()) || !is_text(gap.unit()) ||
      !is_text(gap.car())) {
    return corrupt_event("bad text in a gap");
  }
  if (!is_moment_ns(gap.from_ns()) || gap.to_ns() < gap.from_ns()) {
    return corrupt_event("gap that ends before it starts");
  }
  if (gap.count() != 0 && !gap.count_known()) {
    return corrupt_event("gap with an unknown count given");
  }
  return {};
}

Status check_tombstone(const words::Tombstone& tombstone) {
  if (tombstone.incarnation() == 0) return corrupt_event("tombstone without an incarnation");
  if (tombstone.first() < 1 || tombstone.last() < tombstone.first()) {
    return corrupt_event("tombstone of an impossible range");
  }
  if (!is_text(tombstone.reason())) return corrupt_event("bad reason of a tombstone");
  if (static_cast<std::size_t>(tombstone.laps_size()) > kMaxTombstoneLaps) {
    return corrupt_event("tombstone with too many laps");
  }
  for (const words::Lap& lap : tombstone.laps()) {
    if (Status status = check_lap(lap); !status.ok()) return status;
  }
  return {};
}

Status check_what(const words::Event& event) {
  switch (event.what_case()) {
    case words::Event::kClockAnchor:
      return check_anchor(event.clock_anchor());
    case words::Event::kSessionStart:
      return check_start(event.session_start());
    case words::Event::kSessionEnd:
      if (!is_wall_ms(event.session_end().wall_time_ms())) {
        return corrupt_event("session end out of range");
      }
      return {};
    case words::Event::kSessionBound:
      if (!is_text(event.session_bound().platform_id())) return corrupt_event("bad platform id");
      return {};
    case words::Event::kLap:
      return check_lap(event.lap());
    case words::Event::kGap:
      return check_gap(event.gap());
    case words::Event::kTombstone:
      return check_tombstone(event.tombstone());
    case words::Event::kMark:
      if (!is_text(event.mark().car()) || !is_text(event.mark().text())) {
        return corrupt_event("bad text in a mark");
      }
      return {};
    case words::Event::WHAT_NOT_SET:
      break;
  }
  return corrupt_event("it says nothing this version knows");
}

}  // namespace

Status check_event(const words::Event& event) {
  if (!is_moment_ns(event.time_ns())) return corrupt_event("negative time");
  if (Status status = check_what(event); !status.ok()) return status;
  if (event.ByteSizeLong() > kMaxEventBytes) return corrupt_event("it is too long");
  return {};
}

Result<words::Event> parse_event(std::string_view bytes) {
  if (bytes.size() > kMaxEventBytes) return corrupt_event("it is too long");
  words::Event event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return corrupt_event("it does not parse");
  }
  if (Status status = check_event(event); !status.ok()) return status;
  return event;
}

std::string serialise_event(const words::Event& event) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    CHECK(event.SerializeToCodedStream(&coded));
  }
  return bytes;
}

std::string_view event_kind(const words::Event& event) {
  switch (event.what_case()) {
    case words::Event::kClockAnchor:
      return "clock_anchor";
    case words::Event::kSessionStart:
      return "session_start";
    case words::Event::kSessionEnd:
      return "session_end";
    case words::Event::kSessionBound:
      return "session_bound";
    case words::Event::kLap:
      return "lap";
    case words::Event::kGap:
      return "gap";
    case words::Event::kTombstone:
      return "tombstone";
    case words::Event::kMark:
      return "mark";
    case words::Event::WHAT_NOT_SET:
      break;
  }
  return {};
}

}  // namespace pitbox
