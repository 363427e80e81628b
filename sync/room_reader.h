// read_room(): downloads what a session's room holds, entry by entry, for `pitbox verify`.
//
// Threads: blocks the calling thread until the room has said HistoryEnd, or something failed. It
// stands on a RoomClient of its own and touches nothing else.
//
// Limits, and what a room that breaks the protocol gives: room_download.h. `idle_timeout` without a
// frame gives kTryAgain, and so does a connection that ends early: what was visited until then is
// not everything.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "proto/status.h"
#include "proto/uuid.h"
#include "sync/room_download.h"

namespace pitbox {

struct RoomReaderOptions {
  std::string url;  // As in the configuration: ws://host:port or wss://host:port, without session.
  Uuid session;
  std::string api_key;  // Either of the two, or none.
  std::string bearer;
  std::string ca_file;  // PEM; empty for the system's.
  bool history = true;  // What the room holds when asked.
  // Also what becomes durable from then on; ends only when `visit` ends it or the room goes away.
  bool live = false;
  bool events_only = false;                           // Leave out batches.
  std::string car;                                    // Only this car's; empty for all.
  std::chrono::milliseconds connect_timeout{10'000};  // Resolve, connect, TLS, upgrade, Welcome.
  std::chrono::milliseconds idle_timeout{30'000};
};

// Calls `visit` for each entry, in the order it became durable in the room (with `live`, newer ones
// come in between); a Status of it that is not ok ends the download and is returned. kRejected if
// the room refuses the credential or the session.
Status read_room(const RoomReaderOptions& options,
                 const std::function<Status(const DownloadedEntry&)>& visit);

}  // namespace pitbox
