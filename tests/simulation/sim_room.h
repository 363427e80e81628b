// SimRoom: the room's process in a simulated run: the real Rooms on a simulated disk, fed by the
// simulated network.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "room/rooms.h"
#include "tests/simulation/sim_disk.h"
#include "tests/simulation/sim_network.h"

namespace pitbox::simulation {

class SimRoom final : public RoomEnd {
 public:
  SimRoom(const std::int64_t& world_ns, SimNetwork& network, const std::filesystem::path& folder);
  ~SimRoom() override;

  bool is_up() const { return rooms_ != nullptr; }
  // False, with the reason in `why`, if its store cannot be opened now.
  bool start(std::string& why);
  void kill();
  void stop();                 // In order: commits and closes.
  void cut_power(Dice& dice);  // Kills it first.
  void step();
  using Held = std::map<std::uint64_t, RangeSet>;  // By incarnation.
  // What a session's room has on its disk; nothing if that cannot be read now. REQUIRES: not
  // is_up().
  std::optional<Held> held(const Uuid& session) const;
  // How often a store could not be written, in all lives.
  std::uint64_t store_failures() const;
  // A copy of the whole store. REQUIRES: not is_up().
  void back_up();
  bool has_backup() const { return has_backup_; }
  void restore_backup();  // REQUIRES: not is_up(), has_backup().

  SimDisk::Machine& disk() { return disk_; }
  Rooms& rooms() { return *rooms_; }
  std::filesystem::path store() const { return folder_ / "rooms"; }

  // RoomEnd
  void connected(ConnectionId id, const std::string& path) override;
  void received(ConnectionId id, const std::string& frame) override;
  void disconnected(ConnectionId id) override;

 private:
  Rooms::Clock::time_point now() const {
    return Rooms::Clock::time_point(std::chrono::nanoseconds(world_ns_));
  }

  const std::int64_t& world_ns_;
  SimNetwork& network_;
  const std::filesystem::path folder_;
  SimDisk::Machine disk_;
  std::unique_ptr<Rooms> rooms_;
  bool has_backup_ = false;
  std::uint64_t store_failures_ = 0;  // In earlier lives.
};

}  // namespace pitbox::simulation
