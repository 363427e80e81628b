#include "tests/simulation/sim_box.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "buffer/session_store.h"
#include "ingest/decoders.h"
#include "proto/check.h"
#include "tests/simulation/sim_laps.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

constexpr unsigned kBootsPerMachine = 1'000'000;

Journal::Options store_options() {
  Journal::Options options;
  options.page_bytes = 4096;
  options.busy = std::chrono::milliseconds(0);  // It would wait in the real world's time.
  return options;
}

}  // namespace

SimBox::SimBox(const std::int64_t& world_ns, SimNetwork& network, const fs::path& folder,
               const Options& options)
    : network_(network),
      folder_(folder),
      options_(options),
      clock_(world_ns, options.number * kBootsPerMachine),
      disk_(folder) {
  fs::create_directories(folder_ / "run");
}

SimBox::~SimBox() {
  kill();
}

bool SimBox::start(std::string& why) {
  CHECK(!is_up());
  const auto refuse = [&](const Status& status) {
    why = status.message();
    kill();
    return false;
  };
  auto ring = MessageRing::open(ring_options());
  if (!ring.ok()) return refuse(ring.status());
  ring_ = std::move(ring).take();
  auto store = SessionStore::open(state(), store_options());
  if (!store.ok()) return refuse(store.status());
  Recorder::Parts parts;
  parts.store = std::move(store).take();
  parts.sources.push_back({.name = "cars", .ring = ring_.get(), .make_decoder = [] {
                             return make_decoder("native", {}).take();
                           }});
  parts.make_lap_engine = [] { return std::make_unique<SimLaps>(); };
  parts.clock = &clock_;
  Recorder::Options options;
  options.flush_interval = options_.flush_interval;
  options.publish_interval = std::chrono::nanoseconds(0);
  options.wal_bytes_target = std::size_t{256} << 10;
  options.space.is_on = true;
  options.space.keep_free_bytes = kDiskBytes / 16;
  options.space.reserve_bytes = 0;
  options.space.probe = [this](const fs::path&) { return space(); };
  recorder_ = Recorder::open(options, std::move(parts), clock_.boot_now());

  Link::Options link;
  link.room_url = "ws://127.0.0.1:6162";
  link.seed = options_.seed + ++lives_;
  LinkReports& reports = recorder_->link_reports();
  entries_.emplace(&recorder_->recent_entries());
  auto transport = network_.transport();
  transport_ = transport.get();
  auto made = Link::create(link,
                           {.heads = recorder_->heads(),
                            .live_values = nullptr,
                            .source = *entries_,
                            .reports = {.acknowledged = reports.acknowledged,
                                        .completed = reports.completed,
                                        .seen = reports.seen,
                                        .refused = reports.refused},
                            .clock = clock_},
                           std::move(transport));
  CHECK(made.ok());
  link_ = std::move(made).take();
  return true;
}

MessageRing::Options SimBox::ring_options() const {
  return {
      .file = folder_ / "run" / "cars.ring", .ring_bytes = std::size_t{1} << 20, .slot_count = 1};
}

std::unique_ptr<MessageRing> SimBox::open_ring() const {
  CHECK(!is_up());
  auto ring = MessageRing::open(ring_options());
  CHECK(ring.ok());
  return std::move(ring).take();
}

void SimBox::kill() {
  disk_.kill();
  command_.reset();
  link_.reset();
  transport_ = nullptr;
  entries_.reset();
  recorder_.reset();
  ring_.reset();
  disk_.revive();
}

void SimBox::cut_power(Dice& dice) {
  kill();
  disk_.cut_power(dice);
  fs::remove_all(folder_ / "run");
  fs::create_directories(folder_ / "run");
  clock_.boot();
}

// By the lengths of the databases: WALs come and go.
std::uint64_t SimBox::journal_bytes() const {
  std::uint64_t sum = 0;
  std::error_code error;
  fs::recursive_directory_iterator it(state() / "sessions", error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".db") sum += fs::file_size(it->path(), error);
  }
  return sum;
}

void SimBox::shrink_disk(std::uint64_t room_bytes) {
  disk_bytes_ = journal_bytes() + room_bytes;
}

Result<DiskSpace> SimBox::space() const {
  if (!disk_bytes_) return DiskSpace{.total = kDiskBytes, .free = kDiskBytes};
  const std::uint64_t used = journal_bytes();
  return DiskSpace{.total = kDiskBytes, .free = *disk_bytes_ - std::min(*disk_bytes_, used)};
}

void SimBox::receive(SimCars& cars) {
  if (is_up()) cars.receive(*ring_, clock_.boot_now());
}

void SimBox::step_recorder() {
  if (!is_up()) return;
  recorder_->step(clock_.boot_now());
  if (command_ && command_->wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    command_.reset();
  }
}

void SimBox::step_link() {
  if (!is_up()) return;
  link_->step(clock_.boot_now());
  transport_->service(std::chrono::nanoseconds(0));
}

bool SimBox::submit(SessionCommand command) {
  if (!is_up() || command_) return false;
  command_ = recorder_->submit(std::move(command));
  return true;
}

std::shared_ptr<const RecorderSnapshot> SimBox::snapshot() const {
  return is_up() ? recorder_->snapshot().get() : nullptr;
}

// A snapshot is published with every step here, so it says how things stand now.
bool SimBox::is_settled() const {
  const auto now = snapshot();
  return now != nullptr && now->taken_ns == clock_.boot_now() && ring_->head() == ring_->tail() &&
         now->conservation.records.building == 0 && now->oldest_unjournaled_age_ns == 0;
}

bool SimBox::is_finished() const {
  const auto waiting = heads();
  return waiting != nullptr && waiting->sessions.empty() && ring_->head() == ring_->tail() &&
         recorder_->snapshot().get()->state == RecorderState::kIdle;
}

std::shared_ptr<const JournalHeads> SimBox::heads() const {
  return is_up() ? recorder_->heads().get() : nullptr;
}

std::string SimBox::unfinished() const {
  if (!is_up()) return "the daemon is down";
  std::string text;
  if (const auto waiting = heads()) {
    for (const SessionHeads& session : waiting->sessions) {
      text += " " + session.info.id.text().substr(0, 8) + (session.ended ? " (ended)" : "") + " " +
              std::to_string(session.files.size()) + " files;";
    }
  }
  if (const auto link = link_->snapshot()) {
    for (const SessionLinkSnapshot& line : link->sessions) {
      text += " line " + line.session.text().substr(0, 8) + ": " + std::to_string(line.pending) +
              " pending, " + std::to_string(line.in_flight_bytes) + " bytes in flight, " +
              (line.connected ? "connected" : "not connected: ") + line.error + ";";
    }
  }
  return text;
}

std::string SimBox::broken_law() const {
  const auto now = snapshot();
  if (now == nullptr) return {};
  if (now->law_violations != 0) return "counted by the recorder itself: " + now->last_violation;
  const auto violations = now->conservation.violations();
  return violations.empty() ? std::string() : violations.front();
}

}  // namespace pitbox::simulation
