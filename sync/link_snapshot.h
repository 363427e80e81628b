// LinkSnapshot: what the link knows, for everybody else to read: status, page, tray, metrics. A
// value; published by the link's thread ten times a second and at every change of state.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/uuid.h"
#include "sync/link_state.h"
#include "sync/session_sync.h"

namespace pitbox {

struct SessionLinkSnapshot {
  Uuid session;
  bool is_live = false;
  bool connected = false;                 // Welcome was heard.
  std::uint64_t pending = 0;              // Entries the room does not hold.
  std::uint64_t in_flight_bytes = 0;      // Sent and not acknowledged.
  double bytes_per_second = 0;            // What the link was measured to carry; 0: unknown.
  std::int64_t round_trip_us = 0;         // From sent to acknowledged; 0: unknown.
  LinkReason reason = LinkReason::kNone;  // Why it is not connected.
  std::string error;
  std::uint64_t dials = 0;
  SyncCounters counters;
};

struct LinkSnapshot {
  LinkCondition condition;  // State, reason, since when, text of the last error.
  // Wall clock, ms since 1970: last good answer; 0: never. `room`: any frame, or an answered ping.
  std::int64_t last_health_ms = 0;
  std::int64_t last_auth_ms = 0;
  std::int64_t last_room_ms = 0;
  bool room_configured = false;
  bool api_configured = false;
  std::vector<SessionLinkSnapshot> sessions;  // The live one first.
  std::uint64_t bytes_sent = 0;               // WebSocket payloads, both sessions.
  std::uint64_t bytes_received = 0;
};

}  // namespace pitbox
