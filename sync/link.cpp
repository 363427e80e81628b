#include "sync/link.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "sync/link_polls.h"
#include "sync/room_client.h"

namespace pitbox {
namespace {

constexpr BootNs kMillisecond = 1'000'000;
constexpr BootNs kWaitMax = 100 * kMillisecond;
constexpr BootNs kSnapshotEvery = 100 * kMillisecond;
constexpr BootNs kRoundTripEvery = 1000 * kMillisecond;
constexpr BootNs kGoodbyeWithin = 1500 * kMillisecond;

}  // namespace

struct Link::State {
  State(const Options& options_given, const Wiring& wiring_given)
      : options(options_given), wiring(wiring_given), feed(options_given.live_view) {}

  // Constant after create().
  Options options;
  Wiring wiring;
  RoomLine::Options line_options;
  std::unique_ptr<RoomLine::Shared> shared;

  // Any thread.
  std::atomic<bool> stopping{false};  // Set once by stop(); release after grace_ns.
  std::atomic<std::int64_t> grace_ns{0};
  Published<LinkSnapshot> published;

  // The link thread's. The order matters: lines go before the transport, that before nothing.
  TokenBucket budget;
  std::unique_ptr<RoomTransport> transport;  // Null without a room.
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<LinkPolls> polls;
  std::unique_ptr<RoomLine> live;  // The session being recorded.
  std::unique_ptr<RoomLine> old;   // The oldest incomplete other one.
  std::vector<std::unique_ptr<RoomLine>> leaving;
  std::shared_ptr<const JournalHeads> heads;
  std::uint64_t room_store = 0;  // Of the latest Welcome.
  bool is_new_store = false;     // Since take_heads() last looked.
  // Session -> the store it is complete in, while the recorder still has it in its heads.
  std::map<Uuid, std::uint64_t> completed;
  std::uint64_t lines_made = 0;
  LiveViewFeed feed;
  std::int64_t last_room_ms = 0;
  std::chrono::nanoseconds round_trip{0};
  BootNs round_trip_at = 0;
  BootNs snapshot_at = 0;
  bool said_goodbye = false;

  std::int64_t wall_ms() const { return wiring.clock.wall_now() / kMillisecond; }
  RoomLine* primary() const { return live ? live.get() : old.get(); }
  std::vector<RoomLine*> lines() const;

  void take_heads(BootNs now);
  void assign(BootNs now, std::unique_ptr<RoomLine>& line, const SessionHeads* session);
  const SessionHeads* choose_old(const SessionHeads* live_session) const;
  void meet(const RoomLine& line);
  bool is_done(const Uuid& session) const;
  void step_lines(BootNs now);
  void step_live_view(BootNs now);
  void step_polls(BootNs now);
  void measure_round_trip(BootNs now);
  void publish(BootNs now);
  BootNs wait(BootNs now);
  bool drained(BootNs now);
  void say_goodbye();
};

std::vector<RoomLine*> Link::State::lines() const {
  std::vector<RoomLine*> all;
  if (live) all.push_back(live.get());
  if (old) all.push_back(old.get());
  return all;
}

// Complete in the room's store as it is now; the word of an older one does not count.
bool Link::State::is_done(const Uuid& session) const {
  const auto found = completed.find(session);
  return found != completed.end() && found->second == room_store;
}

const SessionHeads* Link::State::choose_old(const SessionHeads* live_session) const {
  for (const SessionHeads& session : heads->sessions) {
    if (&session == live_session || is_done(session.info.id)) continue;
    return &session;
  }
  return nullptr;
}

void Link::State::assign(BootNs now, std::unique_ptr<RoomLine>& line, const SessionHeads* session) {
  const auto is_outdated = [&] {
    return line->sync().is_complete() && line->sync().room_store() != room_store;
  };
  if (line && (session == nullptr || line->sync().info().id != session->info.id || is_outdated())) {
    line->finish("session_done");
    leaving.push_back(std::exchange(line, nullptr));
  }
  if (session == nullptr) return;
  if (line) {
    line->update(now, *session);
    return;
  }
  RoomLine::Options made = line_options;
  made.sync.box_id = heads->box_id;
  made.seed = options.seed + lines_made++;
  line = std::make_unique<RoomLine>(made, *shared, wiring.source, wiring.reports, *session);
}

void Link::State::take_heads(BootNs now) {
  auto latest = wiring.heads.get();
  if (latest == nullptr) return;
  const bool is_news = latest != heads;
  if (is_news) {
    heads = std::move(latest);
    wiring.source.update(*heads);
    std::erase_if(completed, [&](const auto& item) {
      return std::none_of(
          heads->sessions.begin(), heads->sessions.end(),
          [&](const SessionHeads& session) { return session.info.id == item.first; });
    });
  }
  bool is_changed = std::exchange(is_new_store, false);
  for (const RoomLine* line : lines()) {
    const SessionSync& sync = line->sync();
    // The recorder must know before the line may go: nobody would tell it later.
    if (!sync.is_completion_told() || !line->is_closed()) continue;
    std::uint64_t& store = completed.try_emplace(sync.info().id, ~sync.room_store()).first->second;
    is_changed |= std::exchange(store, sync.room_store()) != sync.room_store();
  }
  if (!is_news && !is_changed) return;
  const SessionHeads* live_session = nullptr;
  for (const SessionHeads& session : heads->sessions) {
    if (session.is_live) live_session = &session;
  }
  const SessionHeads* old_session = choose_old(live_session);
  // A session that has just ended keeps its connection, a session that goes live again too.
  const auto is_of = [](const std::unique_ptr<RoomLine>& line, const SessionHeads* session) {
    return line && session != nullptr && line->sync().info().id == session->info.id;
  };
  if (is_of(live, old_session) || is_of(old, live_session)) std::swap(live, old);
  assign(now, live, live_session);
  assign(now, old, old_session);
}

void Link::State::meet(const RoomLine& line) {
  feed.restart();
  const std::uint64_t store = line.sync().room_store();
  is_new_store |= std::exchange(room_store, store) != store;
}

void Link::State::step_lines(BootNs now) {
  if (live) live->step(now, round_trip);
  if (old) {
    old->give_way(live != nullptr && !live->sync().is_idle(now));
    old->step(now, round_trip);
  }
  for (const auto& line : leaving) line->step(now, round_trip);
  std::erase_if(leaving, [](const auto& line) { return line->is_closed(); });
}

void Link::State::step_live_view(BootNs now) {
  if (wiring.live_values == nullptr || !live || !live->is_welcomed() || !feed.due(now)) return;
  const auto snapshot = wiring.live_values->get();
  if (snapshot != nullptr) live->sync().offer_live_view(feed.take(now, *snapshot));
}

void Link::State::step_polls(BootNs now) {
  RoomLine* const room = primary();
  const auto before = polls->condition();
  if (polls->step(now, wall_ms(), room, *resolver)) {
    if (polls->heard_health()) {
      for (RoomLine* line : lines()) line->hurry(now);
    }
  }
  const LinkCondition& condition = polls->condition();
  if (polls->connect_time().count() != 0) round_trip = polls->connect_time();
  if (condition.state == before.state && condition.reason == before.reason) return;
  snapshot_at = 0;
  if (condition.state == LinkState::kOnline) {
    spdlog::info("link: online");
  } else {
    spdlog::warn("link: {} ({}): {}", to_string(condition.state), to_string(condition.reason),
                 condition.error);
  }
}

void Link::State::measure_round_trip(BootNs now) {
  if (now < round_trip_at) return;
  round_trip_at = now + kRoundTripEvery;
  for (const RoomLine* line : lines()) {
    const auto measured = line->kernel_round_trip();
    if (measured.count() != 0) round_trip = measured;
  }
}

void Link::State::publish(BootNs now) {
  if (now < snapshot_at) return;
  snapshot_at = now + kSnapshotEvery;
  LinkSnapshot snapshot;
  snapshot.condition = polls->condition();
  snapshot.last_health_ms = polls->last_health_ms();
  snapshot.last_auth_ms = polls->last_auth_ms();
  snapshot.last_room_ms = last_room_ms;
  snapshot.room_configured = transport != nullptr;
  snapshot.api_configured = !options.api_url.empty();
  for (const RoomLine* line : lines()) {
    const SessionSync& sync = line->sync();
    SessionLinkSnapshot session;
    session.session = sync.info().id;
    session.is_live = line == live.get();
    session.connected = line->is_welcomed();
    session.pending = sync.pending();
    session.in_flight_bytes = sync.in_flight();
    session.bytes_per_second = sync.pacing().rate();
    session.round_trip_us = sync.pacing().round_trip() / std::chrono::microseconds(1);
    session.reason = line->reason();
    session.error = line->error();
    session.dials = line->dials();
    session.counters = sync.counters();
    snapshot.sessions.push_back(std::move(session));
  }
  if (transport) {
    snapshot.bytes_sent = transport->bytes_sent();
    snapshot.bytes_received = transport->bytes_received();
  }
  published.put(std::move(snapshot));
}

BootNs Link::State::wait(BootNs now) {
  BootNs until = std::min(now + kWaitMax, polls->next_at(now));
  for (RoomLine* line : lines()) until = std::min(until, line->next_at(now));
  if (wiring.live_values != nullptr && live && live->is_welcomed()) {
    until = std::min(until, feed.next_at());
  }
  return std::max<BootNs>(until - now, kMillisecond);
}

bool Link::State::drained(BootNs now) {
  if (!live || !live->is_welcomed()) return true;
  return live->sync().is_idle(now) && live->sync().in_flight() == 0;
}

void Link::State::say_goodbye() {
  for (RoomLine* line : lines()) line->finish("box_closing");
}

Link::Link(std::unique_ptr<State> state) : state_(std::move(state)) {}

Link::~Link() {
  // The resolver's thread wakes the transport, so it ends first; then the transport, while the
  // handlers of its connections are still there.
  state_->resolver.reset();
  state_->transport.reset();
}

Result<std::unique_ptr<Link>> Link::create(const Options& options, const Wiring& wiring,
                                           std::unique_ptr<RoomTransport> transport) {
  if (options.driver != "ws" && options.driver != "cf-do") {
    return Status(Code::kRejected, "room driver \"" + options.driver + "\": ws or cf-do");
  }
  auto state = std::make_unique<State>(options, wiring);
  State& s = *state;
  if (s.options.seed == 0) s.options.seed = random_id();
  s.budget.limit(wiring.clock.boot_now(), options.bytes_per_second_max);
  LinkPolls::Options polls{options.rounds, !options.room_url.empty(), {}};
  if (!options.room_url.empty()) {
    auto room = parse_endpoint(options.room_url);
    if (!room.ok()) return Status(room.status()).within("room url");
    if (transport == nullptr) {
      RoomClient::Options client;
      client.api_key = options.api_key;
      client.bearer = options.bearer;
      client.ca_file = options.ca_file;
      client.tls = room.value().tls;
      client.software = options.software;
      auto made = RoomClient::create(client);
      if (!made.ok()) return made.status();
      transport = std::move(made).take();
    }
    s.transport = std::move(transport);
    s.line_options.room = room.value();
  }
  if (!options.api_url.empty() && !options.room_url.empty()) {
    auto api = parse_endpoint(options.api_url);
    if (!api.ok()) return Status(api.status()).within("api url");
    polls.api = PollClient::Options{api.value(), options.api_key, options.bearer, options.ca_file,
                                    options.software};
  }
  auto made = LinkPolls::create(polls);
  if (!made.ok()) return made.status();
  s.polls = std::move(made).take();
  RoomTransport* const way = s.transport.get();
  s.resolver = std::make_unique<Resolver>([way] {
    if (way != nullptr) way->wake();
  });
  s.line_options.credential_expires = options.api_key.empty() && !options.bearer.empty();
  s.line_options.sync = options.sync;
  s.line_options.sync.software = options.software;
  s.line_options.sync.room_url = options.room_url;
  s.line_options.backoff = options.backoff;
  s.line_options.connect_within = options.connect_within;
  if (way != nullptr) {
    s.shared = std::make_unique<RoomLine::Shared>(
        RoomLine::Shared{wiring.clock, *way, *s.resolver, s.budget,
                         [&s](RoomLine& line) {
                           if (line.is_welcomed()) s.meet(line);
                           if (&line == s.primary()) s.polls->room_changed(line);
                         },
                         [&s](RoomLine&) { s.last_room_ms = s.wall_ms(); },
                         [&s](RoomLine& line) {
                           if (&line == s.primary()) s.polls->room_answered();
                         }});
  }
  return std::unique_ptr<Link>(new Link(std::move(state)));
}

void Link::step(BootNs now) {
  State& s = *state_;
  if (s.transport && !s.said_goodbye) s.take_heads(now);
  s.measure_round_trip(now);
  s.step_polls(now);
  s.step_live_view(now);
  s.step_lines(now);
  s.publish(now);
}

void Link::run() {
  pthread_setname_np(pthread_self(), "link");
  State& s = *state_;
  const Clock& clock = s.wiring.clock;
  BootNs give_up_at = 0;
  for (;;) {
    const BootNs now = clock.boot_now();
    step(now);
    if (s.stopping.load(std::memory_order_acquire)) {
      if (!s.transport) return;
      if (give_up_at == 0) give_up_at = now + s.grace_ns.load(std::memory_order_relaxed);
      if (!s.said_goodbye && (s.drained(now) || now >= give_up_at)) {
        s.said_goodbye = true;
        give_up_at = now + kGoodbyeWithin;
        s.say_goodbye();
      }
      if (s.said_goodbye && (s.transport->connections() == 0 || now >= give_up_at)) return;
    }
    const BootNs wait =
        s.stopping.load(std::memory_order_relaxed) ? 10 * kMillisecond : s.wait(clock.boot_now());
    if (s.transport) {
      s.transport->service(std::chrono::nanoseconds(wait));
    } else {
      s.stopping.wait(false, std::memory_order_acquire);
    }
  }
}

void Link::wake() {
  if (state_->transport) state_->transport->wake();
}

void Link::stop(std::chrono::nanoseconds grace) {
  state_->grace_ns.store(to_ns(grace), std::memory_order_relaxed);
  state_->stopping.store(true, std::memory_order_release);
  state_->stopping.notify_all();
  wake();
}

std::shared_ptr<const LinkSnapshot> Link::snapshot() const {
  return state_->published.get();
}

}  // namespace pitbox
