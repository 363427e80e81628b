// Sessions: opening, boundaries, ending, and going back to what the last good commit says.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include "buffer/journal_schema.h"
#include "buffer/recorder.h"
#include "proto/text.h"

namespace pitbox {
namespace {

Status check_name(std::string_view what, std::string_view text) {
  if (text.size() <= kMaxSessionNameBytes && is_plain_text(text)) return {};
  return Status(Code::kRejected, std::string(what) + " must be at most " +
                                     std::to_string(kMaxSessionNameBytes) + " bytes of plain text");
}

Status check_start(const StartSession& command) {
  if (!is_session_type(command.type)) {
    return Status(Code::kRejected, "session type \"" + command.type +
                                       "\" is not practice, qualifying, race, warmup or test");
  }
  if (command.id && command.id->is_nil()) {
    return Status(Code::kRejected, "the nil UUID is no session id");
  }
  return check_name("a session's name", command.name);
}

// "practice 2026-11-21 14:03", in UTC: a box travels.
std::string default_name(std::string_view word, WallNs wall_ns) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), " %Y-%m-%d %H:%M", &utc);
  return std::string(word) + std::string(text.data(), length);
}

}  // namespace

void Recorder::attach(std::unique_ptr<Journal> journal, BootNs now) {
  journal_ = std::move(journal);
  state_ = RecorderState::kRecording;
  reload(now);
  publish_heads(now);
}

// Makes memory say what the last good commit says (or, without a session, what earlier ones left).
void Recorder::reload(BootNs now) {
  const Counters counters = journal_ != nullptr ? journal_->counters() : Counters{};
  intake_.forget();
  intake_.conservation() = Conservation::load(counters);
  if (journal_ != nullptr) {
    // An older copy of a journal does not count what it does not know of; what it has again is
    // pending again.
    if (const auto evicted = store_->recounted_evicted(*journal_)) {
      intake_.conservation().entries.set_evicted_sum(*evicted);
    }
  }
  due_ns_ = look_ns_ = kNever;
  oldest_message_ns_ = 0;
  changed_ = true;
  checkpointed_ = true;
  anchor_.reset();
  sizes_.reset();
  merger_.restart(journal_ != nullptr ? journal_->file() : std::filesystem::path());
  session_is_announced_ = value_or(counters, "session.announced", 0) != 0;
  const std::uint64_t otherwise = session_is_automatic_ ? 1 : 0;  // A session that begins now.
  session_is_automatic_ = value_or(counters, "session.automatic", otherwise) != 0;
  if (journal_ != nullptr && !session_is_announced_) note_due(now);
  const std::string& lap_state = journal_ != nullptr ? journal_->lap_state() : std::string();
  lap_version_.reset();
  if (Status loaded = intake_.restart_laps(lap_state); !loaded.ok()) {
    note_error("laps in progress", loaded, now);
  } else if (intake_.lap_engine() != nullptr && !lap_state.empty()) {
    lap_version_ = intake_.lap_engine()->state_version();
  }
  for (SourceReader& source : sources_) reload_source(source, counters, now);
  reload_absent_sources(counters);
  acknowledged_by_ = value_or(counters, kAcknowledgedBy, 0);
  rekeying_.reset();
}

void Recorder::reload_source(SourceReader& source, const Counters& counters, BootNs now) {
  auto known = store_->consumed(source.name(), source.ring_id());
  if (!known.ok()) note_error("consumed positions", known.status(), now);
  std::optional<ConsumedPosition> stored = known.ok() ? known.value() : std::nullopt;
  if (journal_ != nullptr) {
    // The store knows what was so when it opened the file; the journal, its last commit.
    const auto last = journal_->positions().find(source.name());
    const bool is_newer = last != journal_->positions().end() &&
                          last->second.ring_id == source.ring_id() &&
                          (!stored || stored->position < last->second.position);
    if (is_newer) stored = last->second;
  }
  const ConsumedPosition where = source.starting_point(stored);
  std::uint64_t heard_number = where.number;
  BootNs last_receive_ns = 0;
  const std::string* state = nullptr;
  bool state_is_in_file = false;
  bool ring_is_lost = false;
  if (journal_ != nullptr) {
    const std::string mark = "source." + source.name();
    const auto position = journal_->positions().find(source.name());
    if (position != journal_->positions().end()) {
      const std::uint64_t heard =
          value_or(counters, mark + ".heard_number", position->second.number);
      if (position->second.ring_id == source.ring_id()) {
        heard_number = heard;
        last_receive_ns = static_cast<BootNs>(value_or(counters, mark + ".last_receive_ns", 0));
        note_journal_lost(source, position->second.number, where.number, heard, now);
      } else {
        // The ring that the session was heard through did not outlive a reboot: what was in it
        // when the last commit was made is lost, and how much came after nobody knows.
        ring_is_lost = true;
        intake_.conservation().drop(DropReason::kRingLost, heard - position->second.number);
        intake_.begin(source.name(), 0, now);
        intake_.gap({}, "ring_lost", 0, "messages");
        note_due(now + to_ns(options_.flush_interval));
      }
    }
    const auto found = journal_->decoder_states().find(source.name());
    if (found != journal_->decoder_states().end()) {
      decoder_states_[source.name()] = found->second;
      state_is_in_file = true;
    }
  }
  const auto found = decoder_states_.find(source.name());
  if (found != decoder_states_.end()) state = &found->second;
  const Status loaded = source.attach(where, state == nullptr ? std::string_view{} : *state,
                                      heard_number, last_receive_ns);
  if (!loaded.ok()) note_error("decoder of " + source.name(), loaded, now);
  if (!state_is_in_file || ring_is_lost) source.forget_committed_state();
}

// What the ring gave away because it was journaled, and the journal does not know of: an older copy
// of the file was put back.
void Recorder::note_journal_lost(const SourceReader& source, std::uint64_t journaled,
                                 std::uint64_t released, std::uint64_t heard, BootNs now) {
  if (released <= journaled) return;
  const std::uint64_t lost = released - journaled;
  intake_.conservation().messages.heard += released - std::min(released, heard);
  intake_.begin(source.name(), 0, now);
  intake_.lose(DropReason::kJournalLost, "journal_lost", lost);
  note_due(now + to_ns(options_.flush_interval));
}

// Sources of this session that are not configured now: what is in their rings stays heard and
// unread, and they may come back.
void Recorder::reload_absent_sources(const Counters& counters) {
  absent_.clear();
  absent_in_ring_ = 0;
  if (journal_ == nullptr) return;
  for (const auto& entry : journal_->positions()) {
    const std::string& name = entry.first;
    const ConsumedPosition& position = entry.second;
    const auto is_it = [&](const SourceReader& source) { return source.name() == name; };
    if (std::any_of(sources_.begin(), sources_.end(), is_it)) continue;
    const std::string mark = "source." + name + ".heard_number";
    const std::uint64_t heard = value_or(counters, mark, position.number);
    absent_[mark] = heard;
    absent_in_ring_ += heard - position.number;
  }
}

// At the start, and again while holding: the session left open, or none.
void Recorder::recover(BootNs now) {
  if (state_ == RecorderState::kHolding) make_room_to_journal(now);
  if (journal_ != nullptr) {
    replace_journal(0, error_, now);
    return;
  }
  auto journal = store_->resume();
  if (!journal.ok()) {
    hold(journal.status(), now);
    return;
  }
  if (journal.value() != nullptr) {
    attach(std::move(journal).take(), now);
    return;
  }
  if (decoder_states_.empty() && !remember_decoder_states(now)) return;
  state_ = RecorderState::kIdle;
  reload(now);
  publish_heads(now);
}

// Without them what comes is rejected until it is announced again, which a logger may do but once.
// So a disk that fails just now is waited for, while the rings hold; not for ever. False: not now.
bool Recorder::remember_decoder_states(BootNs now) {
  SessionStore::EarlierStates earlier = store_->earlier_decoder_states();
  if (!earlier.unread.ok() && ++memory_tries_ < kMemoryTries) {
    hold(std::move(earlier.unread).within("decoder states of an earlier session"), now);
    static_cast<void>(store_->undo_interrupted(true));  // Before the next time.
    return false;
  }
  if (!earlier.unread.ok()) note_error("decoder states of an earlier session", earlier.unread, now);
  decoder_states_ = std::move(earlier.states);
  return true;
}

std::size_t Recorder::take_command(BootNs now) {
  if (current_ != nullptr) return 0;
  auto waiting = commands_.try_pop();
  if (!waiting) return 0;
  current_ = *std::move(waiting);
  if (state_ == RecorderState::kHolding) {
    answer(Status(Code::kTryAgain, error_));
    return 1;
  }
  begin_command(now);
  return 1;
}

void Recorder::begin_command(BootNs now) {
  if (const auto* bind = std::get_if<BindSession>(&current_->command)) {
    bind_session(*bind, now);
    return;
  }
  if (const auto* mark = std::get_if<MarkMoment>(&current_->command)) {
    mark_moment(*mark, now);
    return;
  }
  if (const auto* start = std::get_if<StartSession>(&current_->command)) {
    begin_start(*start, now);
    return;
  }
  if (journal_ == nullptr) {
    answer(Status(Code::kRejected, "no session is open"));
    return;
  }
  set_boundary();
}

// What was published until now belongs to the session that is to end.
void Recorder::set_boundary() {
  boundary_.emplace();
  for (const SourceReader& source : sources_) boundary_->push_back(source.ring_head());
}

void Recorder::begin_start(const StartSession& command, BootNs now) {
  if (Status allowed = check_start(command); !allowed.ok()) {
    answer(std::move(allowed));
    return;
  }
  if (journal_ == nullptr) {
    // Nothing to end: what waits in the rings belongs to the new session.
    Status begun = begin_session(command, false, now);
    answer(std::move(begun));
    return;
  }
  if (!session_is_automatic_) {
    answer(Status(Code::kRejected,
                  "session \"" + journal_->session().name + "\" is open; end it first"),
           journal_->session());
    return;
  }
  set_boundary();
}

// Ends the session once everything before the boundary was read, then carries on with the command.
std::size_t Recorder::finish_boundary(BootNs now) {
  if (!boundary_ || state_ != RecorderState::kRecording) return 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].position().position < (*boundary_)[i]) return 0;
  }
  const SessionInfo ended = journal_->session();
  intake_.finish_laps(now);
  for (SourceReader& source : sources_) source.stop_counting(intake_.conservation());
  const std::int64_t wall_ms = clock_.wall_now() / 1'000'000;
  // If it fails, the boundary stays: the session is read again up to it, and ended then.
  if (!commit(now, {.last_events = {session_end_event(wall_ms, now)}})) return 1;
  Status status = store_->end(std::exchange(journal_, nullptr));
  boundary_.reset();
  session_is_automatic_ = false;
  look_for_interrupted_ = true;
  if (!status.ok()) {
    hold(status, now);
    answer(std::move(status));
    return 1;
  }
  state_ = RecorderState::kIdle;
  events_.clear();
  reload(now);
  publish_heads(now);
  publish_snapshot(now);
  if (const auto* start = std::get_if<StartSession>(&current_->command)) {
    answer(begin_session(*start, false, now));
  } else {
    answer({}, ended);
  }
  return 1;
}

Status Recorder::begin_session(const StartSession& command, bool automatic, BootNs now) {
  const WallNs wall = clock_.wall_now();
  SessionInfo info;
  info.id = command.id ? *command.id : Uuid::mint();
  info.name = !command.name.empty()
                  ? command.name
                  : default_name(automatic ? std::string_view("auto") : command.type, wall);
  info.type = command.type;
  info.started_at_ms = wall / 1'000'000;
  auto journal = store_->begin(info);
  if (!journal.ok()) return journal.status();
  session_is_automatic_ = automatic;
  attach(std::move(journal).take(), now);
  // The session is there from now on, whatever becomes of its first commit.
  commit(now);
  return {};
}

// False: not now; the recorder holds.
bool Recorder::begin_automatic_session(BootNs now) {
  const Status begun = begin_session(StartSession{}, true, now);
  if (!begun.ok()) hold(begun, now);
  return state_ == RecorderState::kRecording;
}

void Recorder::bind_session(const BindSession& command, BootNs now) {
  if (journal_ == nullptr) {
    answer(Status(Code::kRejected, "no session is open"));
    return;
  }
  Status allowed = check_name("a platform's session id", command.platform_id);
  if (allowed.ok() && command.platform_id.empty()) {
    allowed = Status(Code::kRejected, "a platform's session id must not be empty");
  }
  if (!allowed.ok()) {
    answer(std::move(allowed));
    return;
  }
  if (Status bound = journal_->bind(command.platform_id); !bound.ok()) {
    if (journal_->is_broken()) fail_journal(bound, now);
    answer(std::move(bound));
    return;
  }
  // The file says it already; the event tells the room, if need be with a later commit.
  events_.push_back(session_bound_event(command.platform_id, now));
  commit(now);
  if (journal_ == nullptr) {
    answer(Status(Code::kTryAgain, error_));
    return;
  }
  answer({}, journal_->session());
}

void Recorder::mark_moment(const MarkMoment& command, BootNs now) {
  if (journal_ == nullptr) {
    answer(Status(Code::kRejected, "no session is open"));
    return;
  }
  Status allowed = check_name("a mark's text", command.text);
  if (allowed.ok() && !is_car_name(command.car, true)) {
    allowed = Status(Code::kRejected, "that is no car's name");
  }
  if (!allowed.ok()) {
    answer(std::move(allowed));
    return;
  }
  const bool is_durable =
      commit(now, {.last_events = {mark_event(command.car, command.text, now)}});
  answer(is_durable ? Status() : Status(Code::kTryAgain, error_));
}

void Recorder::answer(Status status, std::optional<SessionInfo> session) {
  if (!session && journal_ != nullptr) session = journal_->session();
  changed_ = true;
  const std::shared_ptr<Waiting> done = std::exchange(current_, nullptr);
  done->reply.set_value({std::move(status), std::move(session)});
}

}  // namespace pitbox
