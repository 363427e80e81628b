// RoomClosed: how a connection to a room ended, and the pure rules that turn what was observed
// (HTTP status, close code) into a reason. Any thread.

#pragma once

#include <chrono>
#include <string>

#include "sync/link_state.h"

namespace pitbox {

struct RoomClosed {
  bool was_open = false;
  bool answered = false;  // The other end spoke HTTP or WebSocket, or TLS failed: it is alive.
  LinkReason reason = LinkReason::kUnreachable;
  unsigned http_status = 0;  // Of a refused upgrade; 0 if none.
  unsigned close_code = 0;   // Of the other end's close frame; 0 if none.
  std::chrono::milliseconds retry_after{0};
  std::string text;  // For a person.
};

// A refused upgrade. 401 and 403: the credential; 429: throttled; 503: closing; else refused.
LinkReason reason_of_status(unsigned http_status);
// A close frame, as ROOM.md names its codes.
LinkReason reason_of_close(unsigned close_code);
// "the room closed with 4003 (credential_rejected)"
std::string text_of_close(unsigned close_code);

}  // namespace pitbox
