// SimCars: what is sent to a box in a simulated run, and the books about it: every row that the
// ring took, who may have lost it, and what must come out at the far end.
//
// A datagram first waits in the kernel's receive buffer, which outlives the daemon (systemd holds
// the socket) and not a power cut; what waits there was not handed over yet.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "buffer/clock.h"
#include "buffer/ring.h"
#include "ingest/native_encoder.h"
#include "proto/batch.h"
#include "tests/simulation/dice.h"

namespace pitbox::simulation {

class SimCars {
 public:
  struct Row {
    std::uint64_t content = 0;  // RowIdentity::content
    std::int64_t heard_ns = 0;  // World time when the ring took it.
    std::size_t packet = 0;     // Index into packets().
  };
  struct Packet {
    std::size_t stream = 0;  // One per car and group.
    std::uint64_t sequence = 0;
    // Since power was cut, or the box went back in time, its definition was not announced: it can
    // be unknown.
    bool may_be_unknown = false;
    std::uint64_t ring_id = 0;
    std::uint64_t ring_end = 0;  // The ring's head right behind it.
  };
  using Rows = std::unordered_map<std::uint64_t, Row>;  // By RowIdentity::key.

  // `first_number`: of the cars, so that no two sites have one in common.
  SimCars(const std::int64_t& world_ns, Dice& dice, std::size_t cars, std::size_t first_number);

  // Sends what is due, into the kernel's buffer.
  void drive();
  // The ingest thread's part: from the kernel's buffer into the ring, until one is empty or full.
  void receive(MessageRing& ring, BootNs boot_now);
  // The kernel's buffer is gone.
  void cut_power();
  // How many packets() the ring has released, all in all.
  std::size_t released(const MessageRing& ring) const;
  // The box went back to an older state of its own: what it has not read yet may meet a decoder
  // that does not know the definitions.
  void forget_announcements(const MessageRing& ring);
  // Nobody drove while the world's time jumped.
  void skip();
  void stop() { is_driving_ = false; }

  const Rows& heard() const { return heard_; }
  // Of rows, in the order in which they were heard.
  const std::vector<Packet>& packets() const { return packets_; }
  bool has_waiting() const { return !waiting_.empty(); }

 private:
  struct Group {
    DefinitionPtr definition;
    std::int64_t period_ns = 0;
    std::int64_t next_ns = 0;
    std::uint64_t made = 0;
  };
  struct Car {
    std::string name;
    NativeEncoder encoder;
    std::vector<Group> groups{};
    std::int64_t send_every_ns = 0;
    std::int64_t send_at_ns = 0;
    std::int64_t announce_at_ns = 0;
    std::size_t announced = 0;  // Definitions that the ring took since then.
  };
  struct Datagram {
    std::size_t car = 0;
    std::string bytes;
    std::vector<RowIdentity> rows{};  // None: it announces a definition.
    Packet packet{};
  };
  void send(std::size_t number);
  void announce(std::size_t number);

  const std::int64_t& world_ns_;
  Dice& dice_;
  std::vector<Car> cars_;
  std::deque<Datagram> waiting_;
  Rows heard_;
  std::vector<Packet> packets_;
  bool is_driving_ = true;
};

}  // namespace pitbox::simulation
