// LinkState: online, reconnecting or offline, as one pure table over poll rounds, and why.
//
//   round        before          after
//   ok           any             online
//   failed       any             reconnecting while fewer than 5 in a row, else offline
//   nothing to poll              offline, paused
//
// Nothing else moves the state: not a socket that opens or closes (it triggers a round at once,
// poll_rounds.h), not a dial that fails. So what the pill says can be checked against what was last
// heard from whom. The state decides how often we dial and what people are told, never what is
// kept.
//
// Plain values and functions; any thread.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pitbox {

enum class LinkState : std::uint8_t { kOnline, kReconnecting, kOffline };

enum class LinkReason : std::uint8_t {
  kNone,           // Only while nothing failed.
  kDns,            // The name does not resolve.
  kRefused,        // The other end answered: not this (RST, or an HTTP status that is no other).
  kUnreachable,    // Nothing answered, or not in time.
  kTls,            // The certificate or the handshake.
  kAuthExpired,    // The credential was good and is no longer.
  kAuthRejected,   // The credential is not good.
  kThrottled,      // 429, or a Goodbye that says so.
  kServerClosing,  // The room said that it stops.
  kNoAck,          // Bytes were sent and nothing was acknowledged: a half-open link.
  kConflict,       // The room holds something else under our numbers.
  kBudget,         // Our own limit on bytes.
  kPaused,         // No room configured, or no session to connect for.
};

std::string_view to_string(LinkState state);    // "online", "reconnecting", "offline"
std::string_view to_string(LinkReason reason);  // "dns", "no_ack", ...; "" for kNone

inline constexpr int kFailuresUntilOffline = 5;

// What one part of a round said.
struct PollPart {
  bool configured = false;
  bool ok = false;
  LinkReason reason = LinkReason::kNone;  // If not ok.
  std::string error;                      // For a person; if not ok.
};

struct PollRound {
  PollPart health;  // GET /health
  PollPart auth;    // GET /auth/me
  PollPart room;    // A ping answered on the open socket.
  // A room is configured; its part is not while there is no session to connect for.
  bool has_room = false;
};

struct LinkCondition {
  LinkState state = LinkState::kReconnecting;  // Until the first round is over.
  int failures = 0;                            // In a row.
  LinkReason reason = LinkReason::kNone;
  std::string error;           // Text of the last failure; kept when online again.
  std::int64_t since_ms = 0;   // Wall clock: when `state` began.
  std::int64_t reason_ms = 0;  // Wall clock: when `reason` began.
};

// The table. `wall_ms` is only written down, never compared.
LinkCondition after_round(const LinkCondition& before, const PollRound& round,
                          std::int64_t wall_ms);

// The one of two reasons that tells a person more about what to do.
LinkReason more_telling(LinkReason a, LinkReason b);

}  // namespace pitbox
