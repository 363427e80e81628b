#include "room/rooms.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "proto/frames.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kTurnedAwayRetryMs = 5'000;

std::int64_t system_wall_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::optional<Uuid> session_of(const fs::path& path) {
  if (path.extension() != ".db") return {};
  const auto id = Uuid::parse(path.stem().string());
  if (!id.ok()) return {};
  return id.value();
}

void add(RoomCounters& sum, const RoomCounters& more) {
  sum.entries_stored += more.entries_stored;
  sum.duplicates += more.duplicates;
  sum.conflicts += more.conflicts;
  sum.refused += more.refused;
  sum.commits += more.commits;
  sum.replaced += more.replaced;
  sum.store_failures += more.store_failures;
}

void add(Viewers::Counters& sum, const Viewers::Counters& more) {
  sum.entries_sent += more.entries_sent;
  sum.live_views_sent += more.live_views_sent;
  sum.live_views_shed += more.live_views_shed;
  sum.too_slow += more.too_slow;
}

}  // namespace

Result<std::unique_ptr<Rooms>> Rooms::open(const Options& options, Outbound& outbound) {
  std::error_code error;
  fs::create_directories(options.directory, error);
  const fs::path lock_file = options.directory / "lock";
  const int lock = ::open(lock_file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock < 0) {
    return Status(Code::kFatal, "open " + lock_file.string() + ": " + std::strerror(errno));
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Status(Code::kTryAgain,
                  options.directory.string() + " is in use by another pitbox-room");
  }
  return std::unique_ptr<Rooms>(new Rooms(options, outbound, lock));
}

Rooms::Rooms(const Options& options, Outbound& outbound, int lock)
    : options_(options), outbound_(outbound), lock_(lock) {
  if (!options_.wall_ms) options_.wall_ms = system_wall_ms;
  if (options_.room.store_id == 0) options_.room.store_id = random_id();
}

Rooms::~Rooms() {
  rooms_.clear();
  ::close(lock_);
}

fs::path Rooms::file_of(const Uuid& session) const {
  return options_.directory / (session.text() + ".db");
}

void Rooms::turn_away(ConnectionId id, CloseCode code, const std::string& reason) {
  if (const auto others = turned_away_.pass(std::chrono::steady_clock::now().time_since_epoch())) {
    spdlog::warn("connection {} turned away: {}: {} ({} more since the last such line)", id,
                 to_string(code), reason, *others);
  }
  words::Frame frame;
  frame.mutable_goodbye()->set_reason(reason.substr(0, kMaxTextBytes));
  frame.mutable_goodbye()->set_retry_after_ms(kTurnedAwayRetryMs);
  outbound_.send(id, std::make_shared<const std::string>(serialise(frame)));
  outbound_.close(id, code, to_string(code));
  connections_.erase(id);
}

void Rooms::connected(ConnectionId id, const Uuid& session, bool is_page, Clock::time_point now) {
  connections_[id] = Connection{session, is_page, now};
  if (!is_page) return;
  const auto opened = room(session, false, now);
  if (opened.ok()) return opened.value()->add_page(id, now);
  const bool is_unknown = opened.status().code() == Code::kRejected;
  outbound_.send(id, std::make_shared<const std::string>(
                         goodbye_view(opened.status().message(), kTurnedAwayRetryMs)));
  outbound_.close(id, is_unknown ? CloseCode::kUnknownSession : CloseCode::kInternal, "");
  connections_.erase(id);
}

void Rooms::receive(ConnectionId id, std::string_view bytes, Clock::time_point now) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;  // Turned away; its close is on the way.
  const auto frame = parse_frame(bytes);
  if (!found->second.has_spoken) {
    found->second.has_spoken = true;
    if (frame.ok()) return first_frame(id, frame.value(), now);
  }
  const auto open = rooms_.find(found->second.session);
  if (!frame.ok()) {
    ++bad_frames_;
    if (open != rooms_.end()) {
      // What came before it was good.
      open->second.core->commit();
      open->second.core->disconnected(id, now);
    }
    return turn_away(id, CloseCode::kProtocolError, frame.status().message());
  }
  if (open != rooms_.end()) open->second.core->receive(id, frame.value(), bytes, now);
}

void Rooms::first_frame(ConnectionId id, const words::Frame& frame, Clock::time_point now) {
  if (!frame.has_hello() && !frame.has_subscribe()) {
    return turn_away(id, CloseCode::kProtocolError, "the first frame is Hello or Subscribe");
  }
  const Uuid session = connections_[id].session;
  const std::string& named =
      frame.has_hello() ? frame.hello().session_id() : frame.subscribe().session_id();
  // Checked before a room comes into being. The nil id is what an unset one looks like.
  if (named != session.raw() || session.is_nil()) {
    return turn_away(id, CloseCode::kHelloRefused, "the session is not the one in the URL");
  }
  if (frame.has_hello() && frame.hello().version() != kRoomProtocolVersion) {
    return turn_away(id, CloseCode::kHelloRefused, "this room speaks version 1");
  }
  const auto opened = room(session, frame.has_hello(), now);
  if (!opened.ok()) {
    CloseCode code = CloseCode::kInternal;
    if (opened.status().code() == Code::kRejected) code = CloseCode::kUnknownSession;
    if (opened.status().code() == Code::kFull) code = CloseCode::kStorageFull;
    if (opened.status().code() == Code::kTryAgain) code = CloseCode::kTooManyConnections;
    return turn_away(id, code, opened.status().message());
  }
  if (frame.has_hello()) {
    opened.value()->hello(id, frame.hello(), now);
  } else {
    opened.value()->subscribe(id, frame.subscribe(), now);
  }
}

void Rooms::disconnected(ConnectionId id, Clock::time_point now) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto open = rooms_.find(found->second.session);
  if (open != rooms_.end()) {
    open->second.core->disconnected(id, now);
    open->second.used_at = now;
  }
  connections_.erase(found);
}

RoomCore* Rooms::find(const Uuid& session) {
  const auto found = rooms_.find(session);
  return found == rooms_.end() ? nullptr : found->second.core.get();
}

Result<RoomCore*> Rooms::room(const Uuid& session, bool create, Clock::time_point now) {
  if (find(session) != nullptr && find(session)->has_failed()) close_room(session);
  if (find(session) == nullptr) {
    if (!make_place()) return Status(Code::kTryAgain, "too many rooms are open");
    RoomStore::Options options;
    options.file = file_of(session);
    options.session = session;
    options.create = create;
    options.created_at_ms = options_.wall_ms();
    options.vfs = options_.vfs;
    auto store = RoomStore::open(options);
    if (!store.ok()) return store.status();
    summaries_.erase(session);
    rooms_[session].core =
        std::make_unique<RoomCore>(std::move(store).take(), outbound_, options_.room);
  }
  rooms_[session].used_at = now;
  return rooms_[session].core.get();
}

// The room that was idle longest gives way.
bool Rooms::make_place() {
  while (rooms_.size() >= options_.open_rooms_max) {
    std::optional<Uuid> oldest;
    for (const auto& [session, open] : rooms_) {
      const bool is_older = !oldest.has_value() || open.used_at < rooms_[*oldest].used_at;
      if (open.core->is_idle() && is_older) oldest = session;
    }
    if (!oldest.has_value()) return false;
    close_room(*oldest);
  }
  return true;
}

void Rooms::close_room(const Uuid& session) {
  const auto found = rooms_.find(session);
  RoomCore& core = *found->second.core;
  core.shut_down("server_closing", 0);
  if (!core.has_failed()) summaries_[session] = core.store().summary();
  add(closed_counters_, core.counters());
  add(closed_viewers_, core.viewer_counters());
  rooms_.erase(found);
}

void Rooms::drop_silent(Clock::time_point now) {
  std::vector<ConnectionId> silent;
  for (const auto& [id, connection] : connections_) {
    const bool is_late = now - connection.since >= options_.hello_limit;
    if (!connection.has_spoken && is_late) silent.push_back(id);
  }
  for (const ConnectionId id : silent) turn_away(id, CloseCode::kNoHello, "no Hello or Subscribe");
}

bool Rooms::step(Clock::time_point now) {
  drop_silent(now);
  bool has_more = false;
  std::vector<Uuid> to_close;
  for (auto& [session, open] : rooms_) {
    has_more = open.core->step(now) || has_more;
    const bool is_spent = open.core->is_idle() && now - open.used_at >= options_.idle_limit;
    if (open.core->has_failed() || is_spent) to_close.push_back(session);
  }
  for (const Uuid& session : to_close) close_room(session);
  return has_more;
}

std::optional<Rooms::Clock::time_point> Rooms::next_due() const {
  std::optional<Clock::time_point> due;
  const auto consider = [&](Clock::time_point at) {
    due = due.has_value() ? std::min(*due, at) : at;
  };
  for (const auto& [session, open] : rooms_) {
    const auto next = open.core->next_due();
    if (next.has_value()) consider(*next);
    if (open.core->is_idle()) consider(open.used_at + options_.idle_limit);
  }
  for (const auto& [id, connection] : connections_) {
    if (!connection.has_spoken) consider(connection.since + options_.hello_limit);
  }
  return due;
}

void Rooms::shut_down(std::string_view reason, std::uint32_t retry_after_ms) {
  for (auto& [session, open] : rooms_) open.core->shut_down(reason, retry_after_ms);
}

std::size_t Rooms::known_rooms() const {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    count += session_of(entry.path()).has_value() ? 1 : 0;
  }
  return count;
}

std::vector<ListedRoom> Rooms::sessions() {
  std::vector<ListedRoom> list;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    const auto session = session_of(entry.path());
    if (!session.has_value()) continue;
    if (RoomCore* core = find(*session); core != nullptr && !core->has_failed()) {
      list.push_back({core->store().summary(), core->is_box_connected()});
      continue;
    }
    if (!summaries_.contains(*session)) {
      auto summary = RoomStore::summarise(entry.path());
      if (!summary.ok()) {
        spdlog::warn("list of rooms: {}: {}", entry.path().string(), summary.status().message());
        continue;
      }
      summaries_[*session] = std::move(summary).take();
    }
    list.push_back({summaries_[*session], false});
  }
  std::sort(list.begin(), list.end(), [](const ListedRoom& a, const ListedRoom& b) {
    return a.summary.created_at_ms > b.summary.created_at_ms;
  });
  if (list.size() > options_.listed_max) list.resize(options_.listed_max);
  return list;
}

NamedCounters Rooms::counters() const {
  RoomCounters rooms = closed_counters_;
  Viewers::Counters viewers = closed_viewers_;
  for (const auto& [session, open] : rooms_) {
    add(rooms, open.core->counters());
    add(viewers, open.core->viewer_counters());
  }
  return {{"entries_stored", rooms.entries_stored},
          {"duplicates", rooms.duplicates},
          {"conflicts", rooms.conflicts},
          {"refused", rooms.refused + bad_frames_},
          {"commits", rooms.commits},
          {"replaced", rooms.replaced},
          {"store_failures", rooms.store_failures},
          {"entries_sent", viewers.entries_sent},
          {"live_views_sent", viewers.live_views_sent},
          {"live_views_shed", viewers.live_views_shed},
          {"viewers_too_slow", viewers.too_slow}};
}

}  // namespace pitbox
