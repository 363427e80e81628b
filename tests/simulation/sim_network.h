// SimNetwork: the way between boxes and the room in a simulated run. Connections carry frames with
// a delay in each direction; the way can be cut (packets wait, as TCP's do while it repeats them)
// and connections can be reset. The room learns of a box's end only when word of it arrives, so a
// new connection may stand beside the old one, and frames of the old one may come after its first.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "room/outbound.h"
#include "sync/room_transport.h"
#include "tests/simulation/dice.h"

namespace pitbox::simulation {

// The room's end of the network: what arrives there.
class RoomEnd {
 public:
  virtual ~RoomEnd() = default;
  virtual void connected(ConnectionId id, const std::string& path) = 0;
  virtual void received(ConnectionId id, const std::string& frame) = 0;
  virtual void disconnected(ConnectionId id) = 0;
};

class SimNetwork final : public Outbound {
 public:
  SimNetwork(const std::int64_t& world_ns, Dice& dice) : world_ns_(world_ns), dice_(dice) {}

  // Null: no process listens, and connections are refused. Ends all connections to the one before.
  void set_room(RoomEnd* room);
  // Nothing passes in either direction, and nobody is told.
  void cut() { is_cut_ = true; }
  void restore();
  bool is_cut() const { return is_cut_; }
  // An open connection breaks; each end hears of it by itself. Nothing happens if there is none.
  void reset_one();
  // Delivers what is due to the room.
  void step();
  std::unique_ptr<RoomTransport> transport();  // For one box's process.

  // Outbound, for the room.
  void send(ConnectionId to, SharedFrame frame) override;
  void close(ConnectionId to, CloseCode code, std::string_view reason) override;
  std::size_t queued_bytes(ConnectionId to) const override;

 private:
  class Transport;
  enum class Box : std::uint8_t { kDialling, kOpen, kClosing, kGone };
  struct Packet {
    enum class Kind : std::uint8_t { kFrame, kPong, kClose, kReset } kind = Kind::kFrame;
    std::int64_t due = 0;
    std::string bytes{};      // kFrame
    unsigned close_code = 0;  // kClose
  };
  struct Connection {
    std::string path;
    const Transport* owner = nullptr;
    RoomHandler* handler = nullptr;  // Null once the box's end is gone.
    Box box = Box::kDialling;
    bool is_at_room = false;  // The room knows it...
    bool was_refused = false;
    bool room_is_done = false;  // ...and has closed it.
    bool wants_to_send = false;
    std::int64_t open_at = 0;
    std::int64_t give_up_at = 0;  // Of the dial.
    std::deque<Packet> to_room;
    std::deque<Packet> to_box;
    std::size_t to_room_bytes = 0;
    LinkReason killed_by = LinkReason::kNone;
    std::string killed_text;
    bool is_killed = false;
  };

  std::int64_t arrival();
  void give_room(ConnectionId id, Connection& connection);
  void forget_finished();

  const std::int64_t& world_ns_;
  Dice& dice_;
  RoomEnd* room_ = nullptr;
  bool is_cut_ = false;
  std::map<ConnectionId, Connection> connections_;
  ConnectionId last_id_ = 0;
  std::vector<ConnectionId> closed_by_room_;  // The room is told at the next step.
  std::uint64_t bytes_to_room_ = 0;
  std::uint64_t bytes_to_box_ = 0;
};

}  // namespace pitbox::simulation
