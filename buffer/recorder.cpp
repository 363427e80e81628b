#include "buffer/recorder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/check.h"

namespace pitbox {

std::string_view to_string(RecorderState state) {
  switch (state) {
    case RecorderState::kIdle:
      return "idle";
    case RecorderState::kRecording:
      return "recording";
    case RecorderState::kHolding:
      return "holding";
  }
  return "unknown";
}

namespace {

SpaceKeeper::Options space_options(const Recorder::Options& options) {
  SpaceKeeper::Options space = options.space;
  space.wal_bytes = options.wal_bytes_target;
  return space;
}

}  // namespace

Recorder::Recorder(Options options, Parts parts)
    : options_(std::move(options)),
      clock_(*parts.clock),
      on_published_(std::move(parts.on_published)),
      store_(std::move(parts.store)),
      intake_(options_.intake, std::move(parts.make_lap_engine)),
      commands_(options_.commands_max),
      space_(space_options(options_), store_->directory()) {
  for (RecorderSource& source : parts.sources) sources_.emplace_back(std::move(source));
}

std::unique_ptr<Recorder> Recorder::open(Options options, Parts parts, BootNs now) {
  CHECK(parts.store != nullptr && parts.clock != nullptr);
  std::unique_ptr<Recorder> recorder(new Recorder(std::move(options), std::move(parts)));
  recorder->recover(now);
  recorder->publish_snapshot(now);
  return recorder;
}

Recorder::~Recorder() {
  // Nobody is left waiting.
  const Status stopped(Code::kTryAgain, "the recorder stopped");
  if (current_) answer(stopped);
  while (auto waiting = commands_.try_pop()) (*waiting)->reply.set_value({stopped, std::nullopt});
}

std::future<CommandResult> Recorder::submit(SessionCommand command) {
  auto waiting = std::make_shared<Waiting>();
  waiting->command = std::move(command);
  std::future<CommandResult> result = waiting->reply.get_future();
  if (!commands_.try_push(waiting)) {
    waiting->reply.set_value({Status(Code::kTryAgain, "too many commands wait"), std::nullopt});
  }
  return result;
}

std::size_t Recorder::step(BootNs now) {
  std::size_t work = 0;
  if (state_ == RecorderState::kHolding && now >= retry_ns_) recover(now);
  work += take_command(now);
  if (state_ != RecorderState::kHolding) {
    work += take_reports(now);
    if (!is_making_room_) work += look_at_sources(now);
    work += finish_boundary(now);
    work += rekey(now);
    if (state_ != RecorderState::kHolding) work += make_room(now);
  }
  if (!boundary_) {
    for (SourceReader& source : sources_) source.count_heard(intake_);
  }
  if (state_ == RecorderState::kRecording && now >= due_ns_) {
    commit(now);
    ++work;
  }
  work += maintain(now);
  if (work == 0) work += merge_laps(now);
  publish(now);
  return work;
}

BootNs Recorder::next_deadline() const {
  if (state_ == RecorderState::kHolding) return retry_ns_;
  BootNs next = journal_ != nullptr ? due_ns_ : kNever;
  if (journal_ != nullptr && !is_making_room_) next = std::min(next, look_ns_);
  const bool has_to_look = is_making_room_ || look_for_lost_ || look_for_interrupted_;
  if (has_to_look) next = std::min(next, space_due_);
  if (wants_to_merge()) next = std::min(next, merge_due_);
  if (seen_due_ || completed_due_) next = std::min(next, completions_at_);
  if (changed_) next = std::min(next, published_ns_ + to_ns(options_.publish_interval));
  if (live_due_) next = std::min(next, live_published_ns_ + to_ns(options_.live_interval));
  if (journal_ != nullptr && !checkpointed_ && due_ns_ == kNever) {
    next = std::min(next, last_commit_ns_ + to_ns(options_.idle_checkpoint));
  }
  return next;
}

Status Recorder::stop(BootNs now) {
  std::vector<std::uint64_t> heads;
  for (const SourceReader& source : sources_) heads.push_back(source.ring_head());
  const auto read_to_heads = [&] {
    std::size_t read = 0;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (state_ != RecorderState::kHolding) read += read_source(sources_[i], heads[i], now);
    }
    return read;
  };
  while (state_ != RecorderState::kHolding && read_to_heads() > 0) {
  }
  if (state_ == RecorderState::kRecording && due_ns_ != kNever) commit(now);
  if (state_ == RecorderState::kRecording) static_cast<void>(journal_->checkpoint());
  publish_snapshot(now);
  // What could not be committed is in the rings.
  if (state_ == RecorderState::kHolding) return Status(Code::kTryAgain, error_);
  return {};
}

// While messages come the rings are looked at every now and then, unwoken.
std::size_t Recorder::look_at_sources(BootNs now) {
  const std::size_t read = read_sources(now);
  if (read > 0) {
    look_ns_ = now + to_ns(patience());
  } else if (now >= look_ns_) {
    look_ns_ = kNever;
  }
  return read;
}

std::size_t Recorder::read_sources(BootNs now) {
  std::size_t work = 0;
  const std::size_t count = sources_.size();
  for (std::size_t i = 0; i < count && state_ != RecorderState::kHolding; ++i) {
    const std::size_t index = (next_source_ + i) % count;
    const std::uint64_t limit = boundary_ ? (*boundary_)[index] : ~std::uint64_t{0};
    work += read_source(sources_[index], limit, now);
  }
  if (count > 0) next_source_ = (next_source_ + 1) % count;
  return work;
}

std::size_t Recorder::read_source(SourceReader& source, std::uint64_t limit, BootNs now) {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  while (messages < options_.messages_per_step && bytes < options_.bytes_per_step) {
    const Message* message = source.peek(limit, intake_);
    if (message == nullptr) break;
    if (message->kind == MessageKind::kData && journal_ == nullptr) {
      if (!begin_automatic_session(now)) break;
      continue;  // The session begins at this message: it is read again as the session's first.
    }
    const BootNs received = message->receive_ns > 0 ? std::min(message->receive_ns, now) : now;
    ++messages;
    bytes += message->bytes.size();
    source.consume(intake_);
    note_read(received, now);
    if (journal_ == nullptr) {
      // Only control messages so far. They wait for a session like data would, but not for ever.
      if (source.is_pressed()) decoder_states_[source.name()] = source.release_unjournaled();
      continue;
    }
    if (!intake_.has_laps() && !intake_.wants_commit() && !source.is_pressed()) continue;
    if (!commit(now)) break;
  }
  // Damage moves the position without a message.
  if (source.moved()) note_due(now + to_ns(options_.flush_interval));
  return messages;
}

void Recorder::note_read(BootNs received, BootNs now) {
  changed_ = true;
  live_due_ = live_due_ || intake_.live().changed();
  oldest_message_ns_ = oldest_message_ns_ == 0 ? received : std::min(oldest_message_ns_, received);
  // Messages that waited long (in the kernel, while the process was down) are due at once, but so
  // are all that follow them: without a pause the backlog would be committed in crumbs.
  const BootNs flush = to_ns(options_.flush_interval);
  note_due(std::max(received + flush, std::min(last_commit_ns_ + flush / 4, now + flush)));
}

void Recorder::note_due(BootNs when) {
  due_ns_ = std::min(due_ns_, when);
}

std::size_t Recorder::maintain(BootNs now) {
  if (state_ != RecorderState::kRecording || checkpointed_) return 0;
  const bool is_idle =
      due_ns_ == kNever && now >= last_commit_ns_ + to_ns(options_.idle_checkpoint);
  if (!is_idle && journal_->wal_bytes() <= space_.wal_bytes()) return 0;
  checkpointed_ = true;  // Once per commit: a reader that is in the way is not waited for.
  const Status status = journal_->checkpoint();
  if (!status.ok() && status.code() != Code::kTryAgain) fail_journal(status, now);
  return 1;
}

void Recorder::publish(BootNs now) {
  if (changed_ && now >= published_ns_ + to_ns(options_.publish_interval)) publish_snapshot(now);
  if (live_due_ && now >= live_published_ns_ + to_ns(options_.live_interval)) {
    live_due_ = false;
    live_published_ns_ = now;
    live_view_.put(intake_.live().take(read_clock(clock_).wall_minus_boot_ns()));
  }
}

Conservation Recorder::conservation_now() const {
  Conservation now = intake_.conservation();
  now.messages.in_ring = absent_in_ring_;
  for (const SourceReader& source : sources_) now.messages.in_ring += source.in_ring();
  if (journal_ == nullptr) return now;  // Entries are as of the last commit.
  const EntryTerms live =
      entry_terms({1, journal_->last_sequence()}, journal_->acknowledged(), live_evicted());
  now.entries.acknowledged = sealed_.acknowledged + live.acknowledged;
  now.entries.pending = sealed_.pending + live.pending;
  return now;
}

RangeSet Recorder::live_evicted() const {
  const auto found = journal_->evicted().find(journal_->incarnation());
  return found == journal_->evicted().end() ? RangeSet{} : found->second;
}

void Recorder::publish_snapshot(BootNs now) {
  changed_ = false;
  published_ns_ = now;
  RecorderSnapshot snapshot;
  snapshot.taken_ns = now;
  snapshot.state = state_;
  snapshot.session_is_automatic = session_is_automatic_;
  if (journal_ != nullptr) {
    snapshot.session = journal_->session();
    snapshot.incarnation = journal_->incarnation();
    snapshot.last_sequence = journal_->last_sequence();
  }
  snapshot.conservation = conservation_now();
  check_law(snapshot.conservation);
  for (const SourceReader& source : sources_) snapshot.sources.push_back(source.snapshot());
  if (oldest_message_ns_ != 0) {
    snapshot.oldest_unjournaled_age_ns = std::max<BootNs>(0, now - oldest_message_ns_);
  }
  snapshot.commit_age_ms_log2 = commit_age_ms_log2_;
  snapshot.commits = commits_;
  snapshot.last_commit_took_ns = last_commit_took_ns_;
  snapshot.commit_took = commit_took_;
  snapshot.law_violations = law_violations_;
  snapshot.last_violation = last_violation_;
  snapshot.rekeying = rekeying_ != nullptr || ended_rekeying_ != nullptr;
  snapshot.space = space_.space();
  snapshot.is_starving = is_starving_;
  snapshot.error = error_;
  snapshot.error_ns = error_ns_;
  snapshot_.put(std::move(snapshot));
}

void Recorder::check_law(const Conservation& conservation) {
  const std::vector<std::string> violations = conservation.violations();
  if (violations.empty()) return;
  // Our own mistake, and the data is not to suffer from it: counted, shown, logged once.
  if (law_violations_++ == 0) spdlog::critical("conservation is broken: {}", violations.front());
  last_violation_ = violations.front();
}

}  // namespace pitbox
