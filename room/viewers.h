// Viewers: the ones who look at a room. Each gets every entry it asked for exactly once: what is
// committed while it keeps up is pushed from memory; what it missed, and history, is read from the
// store as its connection drains. Live views are passed on while there is room, else shed.
//
// Threads: the room's own.
//
// Limits, per viewer: LiveViews are shed above kShedBytes queued; pushing and reading stop above
// kPauseBytes; a step() reads at most one page of 1 MiB for each. A viewer whose connection takes
// nothing for `stall_limit` is closed as too slow. Live values: 256 cars of 256 channels.

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/room.pb.h"
#include "room/outbound.h"
#include "room/room_store.h"
#include "room/view_json.h"

namespace pitbox {

inline constexpr std::size_t kShedBytes = std::size_t{256} << 10;
inline constexpr std::size_t kPauseBytes = std::size_t{1} << 20;

class Viewers {
 public:
  using Clock = std::chrono::steady_clock;
  struct Counters {
    std::uint64_t entries_sent = 0;
    std::uint64_t live_views_sent = 0;
    std::uint64_t live_views_shed = 0;
    std::uint64_t too_slow = 0;
  };

  Viewers(RoomStore& store, Outbound& outbound, std::chrono::seconds stall_limit)
      : store_(store), outbound_(outbound), stall_limit_(stall_limit) {}

  // Both answer what is held first. The caller has committed what was waiting.
  void subscribe(ConnectionId id, const words::Subscribe& request, Clock::time_point now);
  Status add_page(ConnectionId id, const RoomState& state, Clock::time_point now);
  void remove(ConnectionId id) { viewers_.erase(id); }
  bool has(ConnectionId id) const { return viewers_.contains(id); }
  std::size_t size() const { return viewers_.size(); }
  std::vector<ConnectionId> ids() const;
  bool is_page(ConnectionId id) const;

  // Entries that are now durable, in order of their ids.
  void committed(const std::vector<RoomEntry>& entries);
  void live(const words::LiveView& view, const SharedFrame& frame);
  void state(const RoomState& state);  // To pages.
  // Sends to each viewer that has room what it still lacks, and closes those that stall. True if
  // there is more to be sent right now.
  Result<bool> step(Clock::time_point now);

  const Counters& counters() const { return counters_; }

 private:
  struct Viewer {
    bool is_page = false;
    bool wants_live = false;
    RoomStore::Which which = RoomStore::Which::kAll;    // Of live entries.
    RoomStore::Which history = RoomStore::Which::kAll;  // Of what is held.
    std::string car;
    std::int64_t live_cursor = 0;  // Last id it has, or did not want.
    std::int64_t history_cursor = 0;
    std::int64_t history_end = 0;
    std::uint64_t history_entries = 0;
    bool is_history_done = true;
    bool needs_laps = false;              // A page that was too full to be told.
    std::set<std::uint64_t> definitions;  // Sent to it.
    std::uint64_t bytes_sent = 0;         // Into its queue.
    std::uint64_t bytes_drained = 0;      // Out of it, when last looked at...
    Clock::time_point drained_at;         // ...and when that last grew.
  };

  void send(ConnectionId id, Viewer& viewer, SharedFrame frame);
  void send_definitions(ConnectionId id, Viewer& viewer, const RoomEntry& entry);
  void send_entry(ConnectionId id, Viewer& viewer, const RoomEntry& entry,
                  const std::vector<SharedFrame>& parts);
  std::vector<SharedFrame> parts_of(const RoomEntry& entry) const;
  bool wants(const Viewer& viewer, const RoomEntry& entry) const;
  Status send_laps(ConnectionId id, Viewer& viewer);
  Result<bool> pump(ConnectionId id, Viewer& viewer);
  Result<bool> pump_page(ConnectionId id, Viewer& viewer, std::int64_t& cursor,
                         const RoomStore::PageRequest& request);
  bool is_stalled(ConnectionId id, Viewer& viewer, Clock::time_point now);
  void remember(const words::LiveView& view);

  RoomStore& store_;
  Outbound& outbound_;
  std::chrono::seconds stall_limit_;
  std::map<ConnectionId, Viewer> viewers_;
  // Latest value of each channel of each car, for those who come later.
  std::map<std::string, std::map<std::string, words::LiveValue>> latest_;
  std::map<std::string, std::int64_t> latest_wall_ms_;
  Counters counters_;
};

}  // namespace pitbox
