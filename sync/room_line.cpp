#include "sync/room_line.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/frames.h"

namespace pitbox {
namespace {

// While a rate limit holds frames back there is nothing that would wake us.
constexpr BootNs kLimitedWait = 10'000'000;

LinkReason reason_of_farewell(const std::string& word) {
  if (word == "throttled") return LinkReason::kThrottled;
  if (word == "conflict") return LinkReason::kConflict;
  if (word == "server_closing") return LinkReason::kServerClosing;
  return LinkReason::kRefused;
}

}  // namespace

RoomLine::RoomLine(const Options& options, const Shared& shared, EntrySource& source,
                   SyncReports reports, const SessionHeads& heads)
    : options_(options),
      shared_(shared),
      sync_(options.sync, source, std::move(reports), heads),
      backoff_(options.backoff, options.seed) {}

void RoomLine::explain(LinkReason reason, std::string error) {
  // Once per change; a dial every half second must not fill the log.
  if (reason != reason_ && reason != LinkReason::kNone) {
    spdlog::warn("room of session {}: {}: {}", sync_.info().id.text(), to_string(reason), error);
  }
  reason_ = reason;
  error_ = std::move(error);
}

void RoomLine::try_dial(BootNs now, std::chrono::nanoseconds round_trip) {
  if (finishing_ || sync_.is_complete() || !backoff_.due(now)) return;
  const Resolver::Answer answer = shared_.resolver.look_up(options_.room.host, now);
  if (answer.addresses.empty()) {
    explain(LinkReason::kDns, answer.done ? answer.error : options_.room.host + ": no answer yet");
    if (answer.done) backoff_.failed(now, DialFailure::kNoAnswer);
    return;
  }
  RoomTransport::Target target;
  target.address = answer.addresses.at(dials_ % answer.addresses.size());
  target.endpoint = options_.room;
  target.endpoint.path += "/rooms/" + sync_.info().id.text();
  target.connect_within = std::clamp<std::chrono::nanoseconds>(
      3 * round_trip, options_.connect_within, options_.connect_within_max);
  ++dials_;
  connection_ = shared_.transport.connect(target, *this);
}

void RoomLine::step(BootNs now, std::chrono::nanoseconds round_trip) {
  const auto verdict = sync_.step(now);
  if (connection_ == 0) {
    try_dial(now, round_trip);
    return;
  }
  if (sync_.progress() != std::exchange(progress_, sync_.progress())) backoff_.useful();
  if (verdict && verdict->reason == LinkReason::kNone) {
    shared_.transport.close(connection_, static_cast<std::uint16_t>(CloseCode::kDone),
                            verdict->text);
  } else if (verdict) {
    shared_.transport.kill(connection_, verdict->reason, verdict->text);
  } else if (pinged_at_ != 0 && now - pinged_at_ > to_ns(options_.ping_answer_within)) {
    shared_.transport.kill(connection_, LinkReason::kNoAck, "a ping was not answered");
  } else if (sync_.is_complete() && !finishing_) {
    finish("session_done");
  }
  if (!goodbye_.empty() ||
      (!gives_way_ && shared_.budget.may_send(now) && sync_.wants_to_send(now))) {
    shared_.transport.request_send(connection_);
  }
}

void RoomLine::ping() {
  if (connection_ == 0) return;
  if (pinged_at_ == 0) pinged_at_ = shared_.clock.boot_now();
  shared_.transport.ping(connection_);
}

void RoomLine::raise_alarm() {
  if (sync_.counters().refused_files == refused_files_) return;
  refused_files_ = sync_.counters().refused_files;
  spdlog::error(
      "room of session {}: {}; entries in conflict are sent again under another incarnation",
      sync_.info().id.text(), sync_.refusal());
}

void RoomLine::finish(const std::string& reason) {
  if (std::exchange(finishing_, true) || connection_ == 0) return;
  if (sync_.is_open()) {
    words::Frame frame;
    frame.mutable_goodbye()->set_reason(reason);
    goodbye_ = serialise(frame);
  }
  shared_.transport.close(connection_, static_cast<std::uint16_t>(CloseCode::kDone), reason);
}

BootNs RoomLine::next_at(BootNs now) {
  if (connection_ == 0) return std::max(backoff_.due_at(), now + kLimitedWait);
  if (!shared_.budget.may_send(now)) return shared_.budget.ready_at(now);
  return now + (sync_.is_limited(now) ? kLimitedWait : 10 * kLimitedWait);
}

void RoomLine::on_open() {
  sync_.opened(shared_.clock.boot_now());
}

Status RoomLine::on_frame(std::string_view frame) {
  Status status = sync_.received(shared_.clock.boot_now(), frame);
  pinged_at_ = 0;
  shared_.heard(*this);
  raise_alarm();
  if (sync_.is_welcomed() && !std::exchange(was_welcomed_, true)) {
    was_ever_welcomed_ = true;
    explain(LinkReason::kNone, {});
    spdlog::info("room of session {}: connected", sync_.info().id.text());
    shared_.changed(*this);
  }
  return status;
}

void RoomLine::on_pong() {
  pinged_at_ = 0;
  shared_.heard(*this);
  shared_.pong(*this);
}

bool RoomLine::next_frame(std::string& out) {
  if (finishing_) {
    if (goodbye_.empty()) return false;
    out += std::exchange(goodbye_, {});
    return true;
  }
  const BootNs now = shared_.clock.boot_now();
  if (gives_way_ || !shared_.budget.may_send(now)) return false;
  const std::size_t before = out.size();
  if (!sync_.next_frame(now, out)) return false;
  shared_.budget.sent(out.size() - before);
  return true;
}

void RoomLine::on_closed(const RoomClosed& closed) {
  const BootNs now = shared_.clock.boot_now();
  const auto farewell = sync_.farewell();
  connection_ = 0;
  pinged_at_ = 0;
  goodbye_.clear();
  sync_.closed(now);
  const bool was_welcomed = std::exchange(was_welcomed_, false);
  if (closed.reason == LinkReason::kNone && !farewell) {
    // We closed it ourselves and nothing is wrong.
    explain(LinkReason::kNone, closed.text);
    if (was_welcomed) shared_.changed(*this);
    return;
  }
  LinkReason reason = closed.reason;
  std::string text = closed.text;
  auto retry_after = closed.retry_after;
  if (farewell) {
    reason = more_telling(reason, reason_of_farewell(farewell->reason));
    text = "the room said goodbye: " + farewell->reason + "; " + text;
    retry_after = std::max(retry_after, farewell->retry_after);
  }
  const bool credential_was_good = options_.credential_expires && was_ever_welcomed_;
  if (reason == LinkReason::kAuthRejected && credential_was_good) reason = LinkReason::kAuthExpired;
  explain(reason, std::move(text));
  const bool refused = closed.answered || farewell;
  backoff_.failed(now, refused ? DialFailure::kAnsweredAndRefused : DialFailure::kNoAnswer,
                  retry_after);
  if (!refused) shared_.resolver.distrust(options_.room.host);
  if (was_welcomed) shared_.changed(*this);
}

}  // namespace pitbox
