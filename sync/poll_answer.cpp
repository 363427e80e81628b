#include "sync/poll_answer.h"

#include <algorithm>

#include "proto/text.h"

namespace pitbox {
namespace {

LinkReason reason_of_http(long status) {
  if (status == 401 || status == 403) return LinkReason::kAuthRejected;
  if (status == 429) return LinkReason::kThrottled;
  return LinkReason::kRefused;
}

PollAnswer failed(const PollQuestion& question, LinkReason reason, std::string_view why) {
  PollAnswer answer;
  answer.kind = question.kind;
  answer.reason = reason;
  answer.error =
      printable(std::string("GET ").append(question.url).append(": ").append(why), kPollErrorMax);
  return answer;
}

}  // namespace

PollAnswer answer_of_http(const PollQuestion& question, long status, std::int64_t retry_after_s,
                          std::string_view body) {
  if (status < 100 || status > 999) {
    return failed(question, LinkReason::kRefused, "an answer without a status");
  }
  PollAnswer answer;
  if (status >= 200 && status <= 299) {
    answer.kind = question.kind;
    answer.ok = true;
  } else {
    answer = failed(question, reason_of_http(status),
                    std::string("HTTP ").append(std::to_string(status)).append(" ").append(body));
  }
  answer.http_status = static_cast<unsigned>(status);
  // Of others it means something else (of a redirect, say), or nothing.
  if (status == 429 || status == 503) {
    answer.retry_after =
        std::chrono::seconds(std::clamp<std::int64_t>(retry_after_s, 0, kPollRetryMax.count()));
  }
  return answer;
}

PollAnswer answer_of_failure(const PollQuestion& question, LinkReason reason,
                             std::string_view why) {
  return failed(question, reason, why);
}

}  // namespace pitbox
