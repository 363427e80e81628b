#include "sync/link_state.h"

#include <array>

namespace pitbox {
namespace {

// Most telling first: what somebody must act on stands before what mends itself.
constexpr std::array kByWeight = {
    LinkReason::kConflict, LinkReason::kAuthRejected, LinkReason::kAuthExpired,
    LinkReason::kTls,      LinkReason::kThrottled,    LinkReason::kServerClosing,
    LinkReason::kBudget,   LinkReason::kNoAck,        LinkReason::kDns,
    LinkReason::kRefused,  LinkReason::kUnreachable,  LinkReason::kPaused,
    LinkReason::kNone,
};

}  // namespace

std::string_view to_string(LinkState state) {
  switch (state) {
    case LinkState::kOnline:
      return "online";
    case LinkState::kReconnecting:
      return "reconnecting";
    case LinkState::kOffline:
      return "offline";
  }
  return "offline";
}

std::string_view to_string(LinkReason reason) {
  switch (reason) {
    case LinkReason::kNone:
      return "";
    case LinkReason::kDns:
      return "dns";
    case LinkReason::kRefused:
      return "refused";
    case LinkReason::kUnreachable:
      return "unreachable";
    case LinkReason::kTls:
      return "tls";
    case LinkReason::kAuthExpired:
      return "auth_expired";
    case LinkReason::kAuthRejected:
      return "auth_rejected";
    case LinkReason::kThrottled:
      return "throttled";
    case LinkReason::kServerClosing:
      return "server_closing";
    case LinkReason::kNoAck:
      return "no_ack";
    case LinkReason::kConflict:
      return "conflict";
    case LinkReason::kBudget:
      return "budget";
    case LinkReason::kPaused:
      return "paused";
  }
  return "";
}

LinkReason more_telling(LinkReason a, LinkReason b) {
  for (const LinkReason reason : kByWeight) {
    if (reason == a || reason == b) return reason;
  }
  return a;
}

LinkCondition after_round(const LinkCondition& before, const PollRound& round,
                          std::int64_t wall_ms) {
  LinkCondition after = before;
  LinkReason reason = LinkReason::kNone;
  bool any = false;
  bool failed = false;
  for (const PollPart* part : {&round.health, &round.auth, &round.room}) {
    if (!part->configured) continue;
    any = true;
    if (part->ok) continue;
    failed = true;
    const LinkReason told = more_telling(reason, part->reason);
    if (told == part->reason) after.error = part->error;
    reason = told;
  }
  if (!any) {
    after.state = LinkState::kOffline;
    after.failures = 0;
    reason = LinkReason::kPaused;
    after.error =
        round.has_room ? "there is no session to connect for" : "no room is configured (room.url)";
  } else if (!failed) {
    after.state = LinkState::kOnline;
    after.failures = 0;
  } else {
    after.failures = before.failures + 1;
    const bool offline = after.failures >= kFailuresUntilOffline;
    after.state = offline ? LinkState::kOffline : LinkState::kReconnecting;
    // Offline always says why.
    if (reason == LinkReason::kNone) reason = LinkReason::kUnreachable;
  }
  after.reason = reason;
  if (after.state != before.state || before.since_ms == 0) after.since_ms = wall_ms;
  if (after.reason != before.reason || before.reason_ms == 0) after.reason_ms = wall_ms;
  return after;
}

}  // namespace pitbox
