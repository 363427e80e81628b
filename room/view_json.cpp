#include "room/view_json.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "proto/event.h"
#include "proto/frames.h"

namespace pitbox {
namespace {

using Json = nlohmann::ordered_json;

// Bytes that are not UTF-8 are replaced, so that no name can stop a text from being made.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view kind_of(words::Lap::Kind kind) {
  constexpr std::string_view kKinds[] = {"unknown", "out", "timed", "in", "pit"};
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kKinds) ? kKinds[index] : kKinds[0];
}

Json to_json(const words::Lap& lap) {
  Json sectors = Json::array();
  for (const std::int64_t ms : lap.sector_time_ms()) sectors.push_back(ms);
  return {{"car", lap.car()},
          {"lap", lap.lap()},
          {"lapTimeMs", lap.lap_time_ms()},
          {"sectorTimeMs", std::move(sectors)},
          {"startedAt", lap.started_at_ms()},
          {"kind", kind_of(lap.kind())},
          {"evidence", lap.evidence()},
          {"revision", lap.revision()}};
}

Json session_json(const RoomSummary& summary) {
  return {{"id", summary.session.text()}, {"name", summary.name}, {"type", summary.type}};
}

}  // namespace

std::string welcome_view(const RoomSummary& summary) {
  return text_of({{"type", "welcome"},
                  {"version", kRoomProtocolVersion},
                  {"session", session_json(summary)},
                  {"software", "pitbox-room " PITBOX_VERSION}});
}

std::string laps_view(std::span<const words::Lap> laps) {
  Json list = Json::array();
  for (const words::Lap& lap : laps) list.push_back(to_json(lap));
  return text_of({{"type", "laps"}, {"laps", std::move(list)}});
}

std::string event_view(const words::Event& event, std::string_view car) {
  if (event.has_lap()) return text_of({{"type", "lap"}, {"lap", to_json(event.lap())}});
  Json json = {{"type", "event"}, {"event", event_kind(event)}, {"car", car}};
  if (event.has_gap()) {
    const words::Gap& gap = event.gap();
    json["source"] = gap.source();
    json["reason"] = gap.reason();
    json["count"] = gap.count_known() ? Json(gap.count()) : Json(nullptr);
    json["unit"] = gap.unit();
  } else if (event.has_mark()) {
    json["text"] = event.mark().text();
  } else if (event.has_tombstone()) {
    json["reason"] = event.tombstone().reason();
    json["records"] = event.tombstone().records();
  } else if (!event.has_session_start() && !event.has_session_end()) {
    return {};
  }
  return text_of(json);
}

std::string live_view(const words::LiveView& live) {
  Json values = Json::array();
  for (const words::LiveValue& value : live.values()) {
    values.push_back(
        {{"channel", value.channel()}, {"unit", value.unit()}, {"value", value.value()}});
  }
  return text_of({{"type", "live"},
                  {"car", live.car()},
                  {"wallTimeMs", live.wall_time_ms()},
                  {"values", std::move(values)}});
}

std::string state_view(const RoomState& state) {
  return text_of({{"type", "state"},
                  {"box", state.is_box_connected},
                  {"entries", state.totals.entries},
                  {"batches", state.totals.batches},
                  {"events", state.totals.events},
                  {"bytes", state.totals.bytes},
                  {"complete", state.is_complete},
                  {"conflicts", state.totals.conflicts}});
}

std::string goodbye_view(std::string_view reason, std::uint32_t retry_after_ms) {
  return text_of({{"type", "goodbye"}, {"reason", reason}, {"retryAfterMs", retry_after_ms}});
}

std::string sessions_json(std::span<const ListedRoom> rooms) {
  Json list = Json::array();
  for (const ListedRoom& room : rooms) {
    Json json = session_json(room.summary);
    json["createdAt"] = room.summary.created_at_ms;
    json["box"] = room.is_box_connected;
    json["complete"] = room.summary.is_complete;
    json["batches"] = room.summary.totals.batches;
    json["bytes"] = room.summary.totals.bytes;
    json["laps"] = room.summary.totals.laps;
    json["conflicts"] = room.summary.totals.conflicts;
    list.push_back(std::move(json));
  }
  return text_of({{"sessions", std::move(list)}});
}

std::string health_json(std::size_t rooms, std::size_t connections, const NamedCounters& counters) {
  Json values = Json::object();
  for (const auto& [name, value] : counters) values[std::string(name)] = value;
  return text_of({{"ok", true},
                  {"version", PITBOX_VERSION},
                  {"rooms", rooms},
                  {"connections", connections},
                  {"features", {{"realtime", "ws"}, {"store", "sqlite"}}},
                  {"counters", std::move(values)}});
}

std::string ticket_json(std::string_view ticket, int expires_in_s) {
  return text_of({{"ticket", ticket}, {"expiresIn", expires_in_s}});
}

std::string account_json(std::string_view account) {
  return text_of({{"accountId", account}});
}

std::string error_json(std::string_view error) {
  return text_of({{"error", error}});
}

}  // namespace pitbox
