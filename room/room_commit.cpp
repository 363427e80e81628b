// RoomCore's other half: what happens at a commit and after it, and how a room ends.

#include <spdlog/spdlog.h>

#include <algorithm>

#include "proto/frames.h"
#include "room/room_core.h"

namespace pitbox {

std::chrono::microseconds RoomCore::commit_delay() const {
  return std::clamp(last_commit_, options_.commit_delay_min, options_.commit_delay_max);
}

std::optional<RoomCore::Clock::time_point> RoomCore::next_due() const {
  std::optional<Clock::time_point> due;
  const auto consider = [&](Clock::time_point at) {
    due = due.has_value() ? std::min(*due, at) : at;
  };
  if (has_failed_) return due;
  if (waiting_since_.has_value()) consider(*waiting_since_ + commit_delay());
  if (viewers_.size() > 0) consider(told_pages_at_ + options_.state_interval);
  return due;
}

bool RoomCore::step(Clock::time_point now) {
  if (has_failed_) return false;
  if (waiting_since_.has_value() && now - *waiting_since_ >= commit_delay()) commit();
  if (has_failed_ || viewers_.size() == 0) return false;
  const auto fed = viewers_.step(now);
  if (!fed.ok()) {
    fail(fed.status());
    return false;
  }
  if (now - told_pages_at_ >= options_.state_interval) tell_pages(now);
  return fed.value();
}

void RoomCore::commit() {
  if (has_failed_ || !has_waiting()) return;
  waiting_since_.reset();
  const bool has_written = store_->has_waiting();
  const auto now = options_.now ? options_.now : Clock::now;
  const auto begun = now();
  auto committed = store_->commit();
  if (!committed.ok()) return fail(committed.status());
  if (has_written) {
    ++counters_.commits;
    last_commit_ = std::chrono::duration_cast<std::chrono::microseconds>(now() - begun);
  }
  auto touched = std::move(committed).take();
  for (const auto& [file, ranges] : std::exchange(found_again_, {})) {
    touched[file].add_all(ranges);
  }
  acknowledge(touched);
  viewers_.committed(waiting_);
  waiting_.clear();
  waiting_bytes_ = 0;
  answer_complete();
  if (has_written) {
    Status checkpointed = store_->checkpoint_if_due();
    // The data is safe in the WAL; it is tried again after the next commit.
    if (!checkpointed.ok()) spdlog::warn("room checkpoint: {}", checkpointed.message());
  }
}

void RoomCore::acknowledge(const std::map<std::int64_t, RangeSet>& touched) {
  if (!box_.has_value()) return;
  for (const auto& [id, ranges] : touched) {
    const RoomFile& file = store_->files().at(id);
    if (file.box == box_->id) send_ack(file, ranges);
  }
}

// Names the held ranges that contain what was touched, in as many frames as it takes.
void RoomCore::send_ack(const RoomFile& file, const RangeSet& touched) {
  const std::uint64_t through = file.held.through();
  RangeSet beyond;
  const auto& held = file.held.ranges();
  for (const Range& range : touched.ranges()) {
    if (range.last <= through) continue;
    const auto within =
        std::lower_bound(held.begin(), held.end(), range.last,
                         [](const Range& r, std::uint64_t at) { return r.last < at; });
    CHECK(within != held.end());
    if (within->first > through) beyond.add(*within);
  }
  const auto& ranges = beyond.ranges();
  for (std::size_t at = 0; at == 0 || at < ranges.size(); at += kMaxAckRanges) {
    words::Frame frame;
    words::Ack* ack = frame.mutable_ack();
    ack->set_incarnation(file.incarnation);
    ack->set_through(through);
    const std::size_t end = std::min(ranges.size(), at + kMaxAckRanges);
    for (std::size_t i = at; i < end; ++i) {
      words::Range* out = ack->add_ranges();
      out->set_first(ranges[i].first);
      out->set_last(ranges[i].last);
    }
    send(box_->connection, frame);
  }
}

void RoomCore::answer_complete() {
  if (!box_.has_value() || !box_->awaits_complete || !store_->is_complete(box_->id)) return;
  box_->awaits_complete = false;
  words::Frame frame;
  frame.mutable_session_complete();
  send(box_->connection, frame);
  spdlog::info("room {}: box {} is complete", store_->session().text(), box_->id.text());
}

void RoomCore::disconnected(ConnectionId id, Clock::time_point now) {
  if (box_.has_value() && box_->connection == id) {
    box_.reset();
    tell_pages(now);
  }
  viewers_.remove(id);
}

RoomState RoomCore::state() const {
  const RoomSummary summary = store_->summary();
  return {box_.has_value(), summary.totals, summary.is_complete};
}

void RoomCore::tell_pages(Clock::time_point now) {
  told_pages_at_ = now;
  if (viewers_.size() > 0) viewers_.state(state());
}

void RoomCore::fail(const Status& status) {
  if (has_failed_) return;
  has_failed_ = true;
  ++counters_.store_failures;
  spdlog::error("room {}: the store failed, reopening it: {}", store_->session().text(),
                status.message());
  const bool is_full = status.code() == Code::kFull;
  const CloseCode code = is_full ? CloseCode::kStorageFull : CloseCode::kInternal;
  std::vector<ConnectionId> everybody = viewers_.ids();
  if (box_.has_value()) everybody.push_back(box_->connection);
  for (const ConnectionId id : everybody) {
    outbound_.close(id, code, to_string(code));
    viewers_.remove(id);
  }
  box_.reset();
}

void RoomCore::shut_down(std::string_view reason, std::uint32_t retry_after_ms) {
  commit();
  if (has_failed_) return;
  std::vector<ConnectionId> everybody = viewers_.ids();
  if (box_.has_value()) everybody.push_back(box_->connection);
  for (const ConnectionId id : everybody) {
    say_goodbye(id, reason, retry_after_ms);
    outbound_.close(id, CloseCode::kGoingAway, reason);
    viewers_.remove(id);
  }
  box_.reset();
  Status checkpointed = store_->checkpoint_all();
  if (!checkpointed.ok()) spdlog::warn("room checkpoint: {}", checkpointed.message());
}

Status RoomCore::pull(std::uint64_t incarnation, const RangeSet& ranges) {
  if (!box_.has_value()) return {Code::kRejected, "no box is connected"};
  if (ranges.empty() || incarnation == 0) return {Code::kRejected, "nothing to pull"};
  words::Frame frame;
  frame.mutable_pull()->set_incarnation(incarnation);
  add_ranges(ranges, kMaxRanges, frame.mutable_pull()->mutable_ranges());
  send(box_->connection, frame);
  return {};
}

Status RoomCore::slow(std::uint64_t bytes_per_second, std::uint32_t for_ms) {
  if (!box_.has_value()) return {Code::kRejected, "no box is connected"};
  words::Frame frame;
  frame.mutable_slow()->set_bytes_per_second(bytes_per_second);
  frame.mutable_slow()->set_for_ms(for_ms);
  send(box_->connection, frame);
  return {};
}

}  // namespace pitbox
