// Rooms: all rooms of one store directory, and which connection is in which. It hands a
// connection's first frame to the right room, opens rooms when they are needed and closes them when
// nobody is in them; a room whose store failed is dropped and opened again by the next connection.
//
// Threads: one. The directory is locked: a second process on the same one is refused.
//
// Limits: `open_rooms_max` open at a time (an idle one is closed for a new one; if none is idle the
// connection is refused). A connection that says nothing for `hello_limit` is closed.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/log_limit.h"
#include "room/outbound.h"
#include "room/room_core.h"
#include "room/view_json.h"

namespace pitbox {

class Rooms {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::filesystem::path directory;
    RoomCore::Options room;
    std::size_t open_rooms_max = 64;
    std::size_t listed_max = 1000;  // In sessions(): the newest.
    std::chrono::seconds hello_limit{10};
    std::chrono::seconds idle_limit{60};
    std::function<std::int64_t()>
        wall_ms;      // For a new room's creation time; the system's if empty.
    std::string vfs;  // For tests with a faulty disk.
  };
  // Makes the directory if need be. kTryAgain if another process has it.
  static Result<std::unique_ptr<Rooms>> open(const Options& options, Outbound& outbound);
  ~Rooms();
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;

  // A connection to that session's URL; a page is told at once, others speak first.
  void connected(ConnectionId id, const Uuid& session, bool is_page, Clock::time_point now);
  // One binary message.
  void receive(ConnectionId id, std::string_view bytes, Clock::time_point now);
  void disconnected(ConnectionId id, Clock::time_point now);

  // Returns true if there is more to do right now; else next_due() says when.
  bool step(Clock::time_point now);
  std::optional<Clock::time_point> next_due() const;
  void shut_down(std::string_view reason, std::uint32_t retry_after_ms);

  // Rooms on disk and what is in them, newest first.
  std::vector<ListedRoom> sessions();
  std::size_t open_rooms() const { return rooms_.size(); }
  std::size_t known_rooms() const;
  NamedCounters counters() const;
  RoomCore* find(const Uuid& session);

 private:
  struct Connection {
    Uuid session;
    bool has_spoken = false;
    Clock::time_point since;
  };
  struct Open {
    std::unique_ptr<RoomCore> core;
    Clock::time_point used_at;
  };

  Rooms(const Options& options, Outbound& outbound, int lock);
  // Null, with the reason, if it cannot be opened (or is not there and `create` is false).
  Result<RoomCore*> room(const Uuid& session, bool create, Clock::time_point now);
  bool make_place();
  void close_room(const Uuid& session);
  void first_frame(ConnectionId id, const words::Frame& frame, Clock::time_point now);
  void turn_away(ConnectionId id, CloseCode code, const std::string& reason);
  void drop_silent(Clock::time_point now);
  std::filesystem::path file_of(const Uuid& session) const;

  // Constant after construction.
  Options options_;
  Outbound& outbound_;
  int lock_;

  std::map<ConnectionId, Connection> connections_;
  std::map<Uuid, Open> rooms_;
  std::map<Uuid, RoomSummary> summaries_;  // Of rooms that are not open.
  RoomCounters closed_counters_;           // Of rooms that were closed.
  Viewers::Counters closed_viewers_;
  std::uint64_t bad_frames_ = 0;
  LogLimit turned_away_;
};

}  // namespace pitbox
