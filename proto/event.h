// Events at the door: what happened, as bytes and as words::Event (FORMAT.md, "Events").
//
// parse_event() is how bytes from a disk or a network become an Event; whoever needs only to store
// or pass an event on keeps its bytes and hash_event() of them. Plain functions; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/event.pb.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMaxEventBytes = std::size_t{64} << 10;
inline constexpr std::size_t kMaxEventTextBytes = 256;
inline constexpr std::size_t kMaxLapSectors = 64;
inline constexpr std::size_t kMaxTombstoneLaps = 1024;
inline constexpr std::int64_t kMaxWallMs = 253'402'300'799'999;  // The end of the year 9999.

// kCorrupt with the reason if the bytes do not parse, say nothing this version knows, or break one
// of the limits in FORMAT.md. Fields of a newer version are carried along unread.
Result<words::Event> parse_event(std::string_view bytes);

// The same bytes for the same event, always. REQUIRES: the event is within the limits; tested by
// check_event().
std::string serialise_event(const words::Event& event);

// What parse_event() would say about it, for those who build events from input.
Status check_event(const words::Event& event);

// "clock_anchor", "session_start", "session_end", "session_bound", "lap", "gap", "tombstone",
// "mark"; empty if the event says nothing this version knows.
std::string_view event_kind(const words::Event& event);

}  // namespace pitbox
