// Attacks answer_of_http(): whatever the API answers, `ok` is a 2xx and nothing else; a failure has
// a reason and an error, which is bounded plain text; nobody makes us wait for more than an hour,
// nor by any other answer than a 429 or a 503. And reason and error pass through a round into the
// link's condition unchanged.
//
// Input: status as a little-endian u16, Retry-After as an i64, one byte for the kind, then the
// body.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "proto/check.h"
#include "proto/text.h"
#include "sync/poll_answer.h"
#include "sync/poll_rounds.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.

void check(const PollAnswer& answer) {
  CHECK(answer.error.size() <= kPollErrorMax && is_plain_text(answer.error));
  CHECK(answer.ok == (answer.reason == LinkReason::kNone) && answer.ok == answer.error.empty());
  CHECK(answer.retry_after.count() >= 0 && answer.retry_after <= kPollRetryMax);
}

// What people are told of a round in which only this poll took part.
void check_round(const PollAnswer& answer) {
  PollRounds rounds({});
  rounds.configure(answer.kind == PollKind::kHealth, answer.kind == PollKind::kAuth, false);
  CHECK(rounds.try_start(0));
  rounds.answer(answer.kind, answer.ok, answer.reason, answer.error);
  const auto round = rounds.try_finish(1);
  CHECK(round.has_value());
  const LinkCondition after = after_round({}, *round, 1);
  CHECK((after.state == LinkState::kOnline) == answer.ok);
  CHECK(answer.ok || (after.reason == answer.reason && is_plain_text(after.error)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint16_t status = 0;
  std::int64_t retry_after_s = 0;
  if (size < sizeof status + sizeof retry_after_s + 1) return 0;
  std::memcpy(&status, data, sizeof status);
  std::memcpy(&retry_after_s, data + sizeof status, sizeof retry_after_s);
  const std::size_t head = sizeof status + sizeof retry_after_s + 1;
  const PollQuestion question{(data[head - 1] & 1) == 0 ? PollKind::kHealth : PollKind::kAuth,
                              "http://api.example/health"};
  const std::string_view body(reinterpret_cast<const char*>(data) + head, size - head);

  const PollAnswer answer = answer_of_http(question, status, retry_after_s, body);
  check(answer);
  CHECK(answer.kind == question.kind && answer.ok == (status >= 200 && status <= 299));
  CHECK(answer.retry_after.count() == 0 || status == 429 || status == 503);
  CHECK(answer.http_status == (status >= 100 && status <= 999 ? status : 0));
  check_round(answer);

  const PollAnswer failure = answer_of_failure(question, LinkReason::kTls, body);
  check(failure);
  CHECK(!failure.ok && failure.http_status == 0);
  return 0;
}
