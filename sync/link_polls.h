// LinkPolls: the rounds, done: asks the API and the room what poll_rounds.h says is due, and keeps
// the state that follows (link_state.h).
//
// Threads: one (the link's).

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "sync/poll_client.h"
#include "sync/poll_rounds.h"
#include "sync/resolver.h"
#include "sync/room_line.h"

namespace pitbox {

class LinkPolls {
 public:
  struct Options {
    PollRounds::Options rounds;
    bool has_room = false;  // A room is configured, whether or not there is a session for it.
    std::optional<PollClient::Options> api;  // None: the room alone is looked at.
  };
  static Result<std::unique_ptr<LinkPolls>> create(const Options& options);

  // Does what is due. `room`: the line whose liveness counts, or null. True if anything was heard.
  bool step(BootNs now, std::int64_t wall_ms, RoomLine* room, Resolver& resolver);
  // The room's socket was welcomed or lost.
  void room_changed(const RoomLine& room);
  void room_answered() { rounds_.answer(PollKind::kRoom, true, LinkReason::kNone, {}); }

  const LinkCondition& condition() const { return condition_; }
  std::int64_t last_health_ms() const { return last_health_ms_; }
  std::int64_t last_auth_ms() const { return last_auth_ms_; }
  // In the last step: the API is there.
  bool heard_health() const { return heard_health_; }
  // TCP round trip to the API, as last measured; 0: never.
  std::chrono::nanoseconds connect_time() const { return connect_time_; }
  BootNs next_at(BootNs now) const;

 private:
  struct ApiPoll {
    PollKind kind = PollKind::kHealth;
    bool wanted = false;    // In this round, and not yet sent.
    BootNs not_before = 0;  // Retry-After.
    bool was_good = false;  // Ever answered 2xx.
  };
  explicit LinkPolls(const Options& options);
  void start_round(BootNs now, RoomLine* room);
  void answer_for(const RoomLine& room);
  void send_polls(BootNs now, Resolver& resolver);
  bool take_answers(BootNs now, std::int64_t wall_ms, Resolver& resolver);

  const Options options_;
  PollRounds rounds_;
  std::unique_ptr<PollClient> client_;  // Null without an API.
  std::array<ApiPoll, 2> api_;
  LinkCondition condition_;
  std::int64_t last_health_ms_ = 0;
  std::int64_t last_auth_ms_ = 0;
  bool heard_health_ = false;
  std::chrono::nanoseconds connect_time_{0};
};

}  // namespace pitbox
