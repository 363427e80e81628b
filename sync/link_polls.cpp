#include "sync/link_polls.h"

#include <algorithm>
#include <utility>

namespace pitbox {
namespace {

// curl's sockets are not in the loop's poll set: while a poll runs the loop turns this often.
constexpr BootNs kWhileBusy = 10'000'000;

}  // namespace

LinkPolls::LinkPolls(const Options& options) : options_(options), rounds_(options.rounds) {
  api_[0].kind = PollKind::kHealth;
  api_[1].kind = PollKind::kAuth;
}

Result<std::unique_ptr<LinkPolls>> LinkPolls::create(const Options& options) {
  std::unique_ptr<LinkPolls> polls(new LinkPolls(options));
  if (options.api) {
    auto client = PollClient::create(*options.api);
    if (!client.ok()) return client.status();
    polls->client_ = std::move(client).take();
  }
  return polls;
}

void LinkPolls::room_changed(const RoomLine& room) {
  // A Welcome answers the round that waits for it: there is nothing to be online for before it.
  rounds_.answer(PollKind::kRoom, room.is_welcomed(), room.reason(), room.error());
  rounds_.trigger();
}

void LinkPolls::start_round(BootNs now, RoomLine* room) {
  const bool has_api = client_ != nullptr;
  const bool has_credential =
      has_api && !(options_.api->api_key.empty() && options_.api->bearer.empty());
  rounds_.configure(has_api, has_credential, room != nullptr);
  if (!rounds_.try_start(now)) return;
  api_[0].wanted = has_api;
  api_[1].wanted = has_credential;
  if (room != nullptr && room->is_welcomed()) room->ping();
}

// Before the first dial has an outcome there is nothing to say: the round waits for it.
void LinkPolls::answer_for(const RoomLine& room) {
  if (room.is_welcomed() || room.reason() == LinkReason::kNone) return;
  rounds_.answer(PollKind::kRoom, false, room.reason(), room.error());
}

void LinkPolls::send_polls(BootNs now, Resolver& resolver) {
  if (!client_ || !rounds_.running()) return;
  for (ApiPoll& poll : api_) {
    if (!poll.wanted) continue;
    if (now < poll.not_before) {
      poll.wanted = false;
      rounds_.answer(poll.kind, false, LinkReason::kThrottled, "the API asked to wait");
      continue;
    }
    const Resolver::Answer found = resolver.look_up(options_.api->api.host, now);
    if (found.addresses.empty()) {
      if (found.done) rounds_.answer(poll.kind, false, LinkReason::kDns, found.error);
      poll.wanted = !found.done;
      continue;
    }
    poll.wanted = false;
    client_->start(poll.kind, found.addresses.front());
  }
}

bool LinkPolls::take_answers(BootNs now, std::int64_t wall_ms, Resolver& resolver) {
  if (!client_) return false;
  client_->step();
  bool heard = false;
  while (auto answer = client_->next_answer()) {
    const bool is_health = answer->kind == PollKind::kHealth;
    ApiPoll& poll = api_.at(is_health ? 0 : 1);
    if (answer->connect_time.count() != 0) connect_time_ = answer->connect_time;
    if (answer->http_status == 0) resolver.distrust(options_.api->api.host);
    poll.not_before = now + to_ns(answer->retry_after);
    if (answer->ok) {
      poll.was_good = true;
      (is_health ? last_health_ms_ : last_auth_ms_) = wall_ms;
      heard = true;
      heard_health_ = heard_health_ || is_health;
    }
    LinkReason reason = answer->reason;
    // A key that was good is revoked; a token that was good has run out.
    const bool is_token = options_.api->api_key.empty();
    if (reason == LinkReason::kAuthRejected && is_token && poll.was_good) {
      reason = LinkReason::kAuthExpired;
    }
    rounds_.answer(answer->kind, answer->ok, reason, answer->error);
  }
  return heard;
}

bool LinkPolls::step(BootNs now, std::int64_t wall_ms, RoomLine* room, Resolver& resolver) {
  heard_health_ = false;
  start_round(now, room);
  if (room != nullptr) answer_for(*room);
  send_polls(now, resolver);
  const bool heard = take_answers(now, wall_ms, resolver);
  if (auto round = rounds_.try_finish(now)) {
    round->has_room = options_.has_room;
    condition_ = after_round(condition_, *round, wall_ms);
  }
  return heard;
}

BootNs LinkPolls::next_at(BootNs now) const {
  if (client_ && (client_->busy() || api_[0].wanted || api_[1].wanted)) return now + kWhileBusy;
  return rounds_.next_at();
}

}  // namespace pitbox
