#include "sync/poll_rounds.h"

namespace pitbox {

PollRounds::Slot& PollRounds::slot(PollKind kind) {
  if (kind == PollKind::kHealth) return health_;
  return kind == PollKind::kAuth ? auth_ : room_;
}

void PollRounds::configure(bool health, bool auth, bool room) {
  if (running_) return;  // What a round began with is what it is judged by.
  health_.part.configured = health;
  auth_.part.configured = auth;
  room_.part.configured = room;
}

bool PollRounds::try_start(BootNs now) {
  if (running_) return false;
  if (!wanted_ && now < started_ + to_ns(options_.period)) return false;
  wanted_ = false;
  running_ = true;
  started_ = now;
  for (Slot* slot : {&health_, &auth_, &room_}) {
    slot->answered = !slot->part.configured;
    slot->part.ok = false;
    slot->part.reason = LinkReason::kUnreachable;
    slot->part.error = "no answer in time";
  }
  return true;
}

void PollRounds::answer(PollKind kind, bool ok, LinkReason reason, const std::string& error) {
  Slot& answered = slot(kind);
  if (!running_ || answered.answered) return;
  answered.answered = true;
  answered.part.ok = ok;
  answered.part.reason = ok ? LinkReason::kNone : reason;
  answered.part.error = ok ? std::string() : error;
}

bool PollRounds::complete() const {
  return health_.answered && auth_.answered && room_.answered;
}

std::optional<PollRound> PollRounds::try_finish(BootNs now) {
  if (!running_) return std::nullopt;
  if (!complete() && now < started_ + to_ns(options_.answer_within)) return std::nullopt;
  running_ = false;
  return PollRound{health_.part, auth_.part, room_.part};
}

BootNs PollRounds::next_at() const {
  if (running_) return complete() ? started_ : started_ + to_ns(options_.answer_within);
  return wanted_ ? started_ : started_ + to_ns(options_.period);
}

}  // namespace pitbox
