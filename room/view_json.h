// What a room says to browsers: the JSON texts of pitbox.view.v1 (ROOM.md, "A browser"), and of
// /api/sessions and /health. Names inside are whatever a car sent; they are escaped as JSON here
// and must be shown as text there. Plain functions; any thread.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/event.pb.h"
#include "proto/room.pb.h"
#include "room/room_store.h"

namespace pitbox {

inline constexpr std::size_t kLapsPerView = 256;

struct RoomState {
  bool is_box_connected = false;
  RoomTotals totals;
  bool is_complete = false;
};

std::string welcome_view(const RoomSummary& summary);
std::string laps_view(std::span<const words::Lap> laps);
// Empty if browsers are not told about such events.
std::string event_view(const words::Event& event, std::string_view car);
std::string live_view(const words::LiveView& live);
std::string state_view(const RoomState& state);
std::string goodbye_view(std::string_view reason, std::uint32_t retry_after_ms);

struct ListedRoom {
  RoomSummary summary;
  bool is_box_connected = false;
};
std::string sessions_json(std::span<const ListedRoom> rooms);

// Name and value of each counter, in order.
using NamedCounters = std::vector<std::pair<std::string_view, std::uint64_t>>;
std::string health_json(std::size_t rooms, std::size_t connections, const NamedCounters& counters);
std::string ticket_json(std::string_view ticket, int expires_in_s);
std::string account_json(std::string_view account);
std::string error_json(std::string_view error);

}  // namespace pitbox
