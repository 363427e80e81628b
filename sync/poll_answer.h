// PollAnswer: what a poll of the API said, and the pure rules that make it of the bytes of an HTTP
// answer, or of the lack of one. Any thread.
//
// Whatever the other end answers: `ok` is a 2xx and nothing else, a failure has a reason and an
// error for a person, the error is plain text of at most kPollErrorMax bytes, and nobody makes us
// wait for longer than kPollRetryMax.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sync/link_state.h"
#include "sync/poll_rounds.h"

namespace pitbox {

inline constexpr std::size_t kPollErrorMax = 1024;
inline constexpr std::chrono::seconds kPollRetryMax{3600};

struct PollAnswer {
  PollKind kind = PollKind::kHealth;
  bool ok = false;
  LinkReason reason = LinkReason::kNone;
  std::string error;
  unsigned http_status = 0;                  // 0: nothing answered.
  std::chrono::milliseconds retry_after{0};  // Of a 429 or 503.
  // From SYN to SYN-ACK; 0 if the connection was an old one or there was none.
  std::chrono::nanoseconds connect_time{0};
};

// What was asked, for the error's text: "GET http://host/health".
struct PollQuestion {
  PollKind kind = PollKind::kHealth;
  std::string url;
};

// An HTTP answer came. `retry_after_s`: of its Retry-After header, whatever that said; 0 if none.
PollAnswer answer_of_http(const PollQuestion& question, long status, std::int64_t retry_after_s,
                          std::string_view body);
// None did: nothing answered, or what did was no whole HTTP answer.
PollAnswer answer_of_failure(const PollQuestion& question, LinkReason reason, std::string_view why);

}  // namespace pitbox
