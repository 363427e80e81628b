#include "tests/simulation/sim_network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "buffer/clock.h"

namespace pitbox::simulation {
namespace {

constexpr std::int64_t kLeastDelay = kNsPerMs / 2;
constexpr std::int64_t kMostDelay = 8 * kNsPerMs;
constexpr std::size_t kSocketBytes = std::size_t{64} << 10;  // Taken before they arrive.
constexpr int kFramesPerService = 16;

}  // namespace

// A box's process sees its own connections only: all that were made through this object.
class SimNetwork::Transport final : public RoomTransport {
 public:
  explicit Transport(SimNetwork& network) : network_(network) {}
  // A process that ends: the kernel resets what it had open.
  ~Transport() override {
    for (auto& [id, connection] : network_.connections_) {
      if (is_ours(connection)) leave(connection);
    }
  }

  Id connect(const Target& target, RoomHandler& handler) override {
    const Id id = ++network_.last_id_;
    Connection& made = network_.connections_[id];
    made.path = target.endpoint.path;
    made.owner = this;
    made.handler = &handler;
    made.open_at = network_.arrival();
    made.give_up_at = network_.world_ns_ + to_ns(target.connect_within);
    return id;
  }
  void request_send(Id id) override {
    if (Connection* const found = find(id)) found->wants_to_send = true;
  }
  void ping(Id id) override {
    Connection* const found = find(id);
    if (found == nullptr || found->box != Box::kOpen) return;
    found->to_room.push_back({.kind = Packet::Kind::kPong, .due = network_.arrival()});
  }
  void close(Id id, std::uint16_t, const std::string&) override {
    Connection* const found = find(id);
    if (found == nullptr) return;
    found->box = Box::kClosing;
    found->wants_to_send = true;  // Its goodbye.
  }
  void kill(Id id, LinkReason reason, const std::string& text) override {
    Connection* const found = find(id);
    if (found == nullptr) return;
    found->is_killed = true;
    found->killed_by = reason;
    found->killed_text = text;
  }
  void service(std::chrono::nanoseconds) override {
    std::vector<Id> ids;
    for (const auto& [id, connection] : network_.connections_) {
      if (is_ours(connection)) ids.push_back(id);
    }
    for (const Id id : ids) serve(network_.connections_.at(id));
    network_.forget_finished();
  }
  void wake() override {}
  std::size_t connections() const override {
    return static_cast<std::size_t>(
        std::count_if(network_.connections_.begin(), network_.connections_.end(),
                      [this](const auto& entry) { return is_ours(entry.second); }));
  }
  std::chrono::nanoseconds round_trip(Id) const override { return std::chrono::milliseconds(8); }
  std::uint64_t bytes_sent() const override { return network_.bytes_to_room_; }
  std::uint64_t bytes_received() const override { return network_.bytes_to_box_; }

 private:
  bool is_ours(const Connection& connection) const {
    return connection.owner == this && connection.box != Box::kGone;
  }
  Connection* find(Id id) {
    const auto found = network_.connections_.find(id);
    const bool is_there = found != network_.connections_.end() && is_ours(found->second);
    return is_there ? &found->second : nullptr;
  }
  // The box's end is gone; the room hears of it later.
  void leave(Connection& connection) {
    connection.handler = nullptr;
    connection.box = Box::kGone;
    connection.to_box.clear();
    connection.to_room.push_back({.kind = Packet::Kind::kReset, .due = network_.arrival()});
  }
  void end(Connection& connection, RoomClosed closed) {
    RoomHandler* const handler = connection.handler;
    closed.was_open = connection.box == Box::kOpen || connection.box == Box::kClosing;
    leave(connection);
    handler->on_closed(closed);
  }
  void serve(Connection& connection) {
    if (connection.is_killed) {
      end(connection, {.reason = connection.killed_by, .text = connection.killed_text});
      return;
    }
    if (connection.box == Box::kDialling && !dial(connection)) return;
    if (!take(connection)) return;
    give(connection);
    if (connection.box == Box::kClosing) {
      end(connection, {.reason = LinkReason::kNone, .text = "closed"});
    }
  }
  // True once it is open.
  bool dial(Connection& connection) {
    const std::int64_t now = network_.world_ns_;
    if (network_.is_cut_ || now < connection.open_at) {
      if (now >= connection.give_up_at) {
        end(connection, {.reason = LinkReason::kUnreachable, .text = "no answer to the dial"});
      }
      return false;
    }
    if (network_.room_ == nullptr) {
      end(connection, {.reason = LinkReason::kRefused, .text = "connection refused"});
      return false;
    }
    connection.box = Box::kOpen;
    connection.wants_to_send = true;
    connection.handler->on_open();
    return true;
  }
  // What arrived. False if the connection ended by it.
  bool take(Connection& connection) {
    while (!network_.is_cut_ && !connection.to_box.empty() &&
           connection.to_box.front().due <= network_.world_ns_) {
      const Packet packet = std::move(connection.to_box.front());
      connection.to_box.pop_front();
      if (packet.kind == Packet::Kind::kReset) {
        end(connection, {.reason = LinkReason::kUnreachable, .text = "connection reset"});
        return false;
      }
      if (packet.kind == Packet::Kind::kClose) {
        end(connection, {.answered = true,
                         .reason = reason_of_close(packet.close_code),
                         .close_code = packet.close_code,
                         .text = text_of_close(packet.close_code)});
        return false;
      }
      if (packet.kind == Packet::Kind::kPong) {
        connection.handler->on_pong();
        continue;
      }
      network_.bytes_to_box_ += packet.bytes.size();
      const Status taken = connection.handler->on_frame(packet.bytes);
      if (!taken.ok()) {
        end(connection, {.reason = LinkReason::kRefused, .text = taken.message()});
        return false;
      }
    }
    return true;
  }
  void give(Connection& connection) {
    for (int i = 0; i < kFramesPerService && connection.wants_to_send; ++i) {
      if (connection.to_room_bytes >= kSocketBytes) return;
      std::string frame;
      if (!connection.handler->next_frame(frame)) {
        connection.wants_to_send = false;
        return;
      }
      network_.bytes_to_room_ += frame.size();
      connection.to_room_bytes += frame.size();
      connection.to_room.push_back({.due = network_.arrival(), .bytes = std::move(frame)});
    }
  }

  SimNetwork& network_;
};

// In order on one connection: a packet never overtakes another.
std::int64_t SimNetwork::arrival() {
  return world_ns_ + dice_.between(kLeastDelay, kMostDelay);
}

std::unique_ptr<RoomTransport> SimNetwork::transport() {
  return std::make_unique<Transport>(*this);
}

void SimNetwork::set_room(RoomEnd* room) {
  room_ = room;
  closed_by_room_.clear();
  for (auto& [id, connection] : connections_) {
    if (connection.box == Box::kDialling) continue;
    connection.is_at_room = false;
    connection.room_is_done = true;
    connection.to_room.clear();
    connection.to_room_bytes = 0;
    if (connection.box != Box::kGone) {
      connection.to_box.push_back({.kind = Packet::Kind::kReset, .due = arrival()});
    }
  }
}

void SimNetwork::restore() {
  is_cut_ = false;
}

void SimNetwork::reset_one() {
  std::vector<ConnectionId> open;
  for (const auto& [id, connection] : connections_) {
    if (connection.box == Box::kOpen && connection.is_at_room) open.push_back(id);
  }
  if (open.empty()) return;
  Connection& connection = connections_.at(open[dice_.below(open.size())]);
  // What was under way is lost in both directions.
  connection.to_box.clear();
  connection.to_room.clear();
  connection.to_room_bytes = 0;
  connection.to_box.push_back({.kind = Packet::Kind::kReset, .due = arrival()});
  connection.to_room.push_back({.kind = Packet::Kind::kReset, .due = arrival()});
}

void SimNetwork::give_room(ConnectionId id, Connection& connection) {
  while (!connection.to_room.empty() && connection.to_room.front().due <= world_ns_) {
    const Packet packet = std::move(connection.to_room.front());
    connection.to_room.pop_front();
    connection.to_room_bytes -= packet.bytes.size();
    if (packet.kind == Packet::Kind::kPong) {
      connection.to_box.push_back({.kind = Packet::Kind::kPong, .due = arrival()});
      continue;
    }
    if (packet.kind == Packet::Kind::kReset) {
      const bool was_there = std::exchange(connection.is_at_room, false);
      connection.room_is_done = true;
      connection.to_room.clear();
      connection.to_room_bytes = 0;
      if (was_there) room_->disconnected(id);
      return;
    }
    if (connection.room_is_done) continue;  // Sent after the room's close.
    if (!std::exchange(connection.is_at_room, true)) room_->connected(id, connection.path);
    // The room may close it from within.
    if (!connection.room_is_done) room_->received(id, packet.bytes);
  }
}

void SimNetwork::step() {
  if (is_cut_ || room_ == nullptr) return;
  for (const ConnectionId id : std::exchange(closed_by_room_, {})) room_->disconnected(id);
  std::vector<ConnectionId> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  // No order among connections: what an old one still carries may come after a new one's Hello.
  if (ids.size() > 1 && dice_.one_in(2)) std::reverse(ids.begin(), ids.end());
  for (const ConnectionId id : ids) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) give_room(id, found->second);
  }
  forget_finished();
}

void SimNetwork::forget_finished() {
  std::erase_if(connections_, [&](const auto& entry) {
    const Connection& connection = entry.second;
    return connection.box == Box::kGone && !connection.is_at_room &&
           (connection.to_room.empty() || connection.room_is_done || room_ == nullptr);
  });
}

void SimNetwork::send(ConnectionId to, SharedFrame frame) {
  const auto found = connections_.find(to);
  if (found == connections_.end() || found->second.box == Box::kGone) return;
  found->second.to_box.push_back({.due = arrival(), .bytes = *frame});
}

void SimNetwork::close(ConnectionId to, CloseCode code, std::string_view) {
  const auto found = connections_.find(to);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  connection.is_at_room = false;
  connection.room_is_done = true;
  closed_by_room_.push_back(to);
  if (connection.box == Box::kGone) return;
  connection.to_box.push_back(
      {.kind = Packet::Kind::kClose, .due = arrival(), .close_code = static_cast<unsigned>(code)});
}

std::size_t SimNetwork::queued_bytes(ConnectionId to) const {
  const auto found = connections_.find(to);
  if (found == connections_.end()) return 0;
  std::size_t bytes = 0;
  for (const Packet& packet : found->second.to_box) bytes += packet.bytes.size();
  return bytes;
}

}  // namespace pitbox::simulation
