#include "tests/simulation/sim_room.h"

#include "proto/check.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

SimRoom::SimRoom(const std::int64_t& world_ns, SimNetwork& network, const fs::path& folder)
    : world_ns_(world_ns), network_(network), folder_(folder), disk_(folder) {}

SimRoom::~SimRoom() {
  kill();
}

bool SimRoom::start(std::string& why) {
  CHECK(!is_up());
  Rooms::Options options;
  options.directory = store();
  options.wall_ms = [this] { return world_ns_ / 1'000'000; };
  options.room.now = [this] { return now(); };
  auto opened = Rooms::open(options, network_);
  if (!opened.ok()) {
    why = opened.status().message();
    return false;
  }
  rooms_ = std::move(opened).take();
  network_.set_room(this);
  return true;
}

void SimRoom::kill() {
  if (!is_up()) return;
  store_failures_ = store_failures();
  network_.set_room(nullptr);
  disk_.kill();
  rooms_.reset();
  disk_.revive();
}

void SimRoom::stop() {
  if (!is_up()) return;
  store_failures_ = store_failures();
  rooms_->shut_down("server_closing", 100);
  network_.set_room(nullptr);
  rooms_.reset();
}

void SimRoom::cut_power(Dice& dice) {
  kill();
  disk_.cut_power(dice);
}

void SimRoom::step() {
  if (!is_up()) return;
  while (rooms_->step(now())) {
  }
}

std::uint64_t SimRoom::store_failures() const {
  std::uint64_t sum = store_failures_;
  if (!is_up()) return sum;
  for (const auto& [name, value] : rooms_->counters()) {
    if (name == "store_failures") sum += static_cast<std::uint64_t>(value);
  }
  return sum;
}

std::optional<SimRoom::Held> SimRoom::held(const Uuid& session) const {
  CHECK(!is_up());
  RoomStore::Options options;
  options.file = store() / (session.text() + ".db");
  options.session = session;
  Held held;
  if (!std::filesystem::exists(options.file)) return held;
  const auto opened = RoomStore::open(options);
  if (!opened.ok()) return std::nullopt;
  for (const auto& [id, file] : opened.value()->files()) held[file.incarnation] = file.held;
  return held;
}

void SimRoom::back_up() {
  CHECK(!is_up());
  fs::remove_all(folder_ / "backup");
  if (!fs::exists(store())) return;
  fs::copy(store(), folder_ / "backup", fs::copy_options::recursive);
  has_backup_ = true;
}

void SimRoom::restore_backup() {
  CHECK(!is_up() && has_backup_);
  fs::remove_all(store());
  fs::copy(folder_ / "backup", store(), fs::copy_options::recursive);
  disk_.settle();
}

void SimRoom::connected(ConnectionId id, const std::string& path) {
  const auto session = Uuid::parse(path.substr(path.rfind('/') + 1));
  CHECK(session.ok());
  rooms_->connected(id, session.value(), false, now());
}

void SimRoom::received(ConnectionId id, const std::string& frame) {
  rooms_->receive(id, frame, now());
}

void SimRoom::disconnected(ConnectionId id) {
  rooms_->disconnected(id, now());
}

}  // namespace pitbox::simulation
