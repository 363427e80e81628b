// Making durable: one commit takes everything, and what happens when it fails.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "buffer/recorder.h"
#include "proto/check.h"
#include "proto/mutant.h"

namespace pitbox {
namespace {

// A wall clock that moved this far against the boot clock was stepped (or drifted as far since the
// last anchor): the file gets a new anchor.
constexpr std::int64_t kClockStepNs = to_ns(std::chrono::milliseconds(100));

bool holds(const ClockReading& anchor, const ClockReading& now) {
  return anchor.boot_id == now.boot_id &&
         std::abs(anchor.wall_minus_boot_ns() - now.wall_minus_boot_ns()) <= kClockStepNs;
}

}  // namespace

struct Recorder::Draft {
  Commit commit;
  Conservation after;                  // The counters, once this is durable.
  std::optional<ClockReading> anchor;  // In force in the file, once this is durable.
  std::uint64_t rows = 0;
};

bool Recorder::commit(BootNs now, CommitExtras extras) {
  CHECK(journal_ != nullptr);
  Draft draft{.commit = {}, .after = intake_.conservation(), .anchor = anchor_, .rows = 0};
  const ClockReading reading = read_clock(clock_);
  add_anchor(draft, reading);
  std::vector<NewEvent>& events = draft.commit.events;
  if (!session_is_announced_) events.push_back(session_start_event(journal_->session(), now));
  events.insert(events.end(), events_.begin(), events_.end());
  add_intake(draft, reading, now);
  for (NewEvent& event : extras.last_events) events.push_back(std::move(event));
  if (extras.evicted) {
    events.insert(events.end(), extras.evicted->tombstones.begin(),
                  extras.evicted->tombstones.end());
    draft.commit.evicted = extras.evicted->ranges;
    extras.evicted->count_in(draft.after);
  }
  draft.commit.removed = std::move(extras.removed);
  add_states(draft);
  count(draft);
  return write(std::move(draft), now);
}

// A commit of copied entries alone. REQUIRES: nothing is uncommitted, so that positions and
// counters are those of the last commit.
bool Recorder::commit_chunk(Rekeying::Chunk chunk, std::uint64_t from, const RangeSet& answered,
                            BootNs now) {
  Draft draft{.commit = {}, .after = intake_.conservation(), .anchor = anchor_, .rows = 0};
  if (chunk.anchor) add_anchor(draft, *chunk.anchor);
  draft.after.entries_rekeyed += chunk.entries;  // As records they were counted the first time.
  draft.after.entries.evicted[static_cast<std::size_t>(EvictReason::kRekeyed)] += answered.count();
  if (!answered.empty()) draft.commit.evicted[from] = answered;
  draft.after.bytes_evicted += chunk.bytes;
  Rekeying::append(std::move(chunk), draft.commit);
  count(draft);
  return write(std::move(draft), now);
}

void Recorder::add_anchor(Draft& draft, const ClockReading& reading) const {
  if (draft.anchor && holds(*draft.anchor, reading)) return;
  draft.commit.events.push_back(clock_anchor_event(reading));
  draft.anchor = reading;
}

void Recorder::add_intake(Draft& draft, const ClockReading& reading, BootNs now) {
  Intake::Harvest harvest = intake_.take();
  if (is_starving_) refuse_batches(harvest, draft, now);
  Commit& commit = draft.commit;
  for (const Gap& gap : harvest.gaps) commit.events.push_back(gap_event(gap, now));
  draft.after.gaps += harvest.gaps.size();
  for (auto& [lap, known_ns] : harvest.laps) {
    // Of a clock that was set meanwhile, or of a receiver, it can be anything.
    const std::int64_t started_at_ms = std::clamp<std::int64_t>(
        lap.started_is_utc ? lap.started_utc_ms
                           : (lap.started_boot_ns + reading.wall_minus_boot_ns()) / 1'000'000,
        0, kMaxWallMs);
    commit.laps.push_back(NewLap{.event_index = commit.events.size(),
                                 .car = lap.car,
                                 .lap = lap.lap,
                                 .kind = std::string(to_string(lap.kind)),
                                 .lap_time_ms = lap.lap_time_ms,
                                 .sector_time_ms = lap.sector_time_ms,
                                 .started_at_ms = started_at_ms,
                                 .evidence = lap.evidence});
    commit.events.push_back(lap_event(lap, started_at_ms, known_ns));
  }
  draft.after.laps_journaled += harvest.laps.size();
  commit.batches = std::move(harvest.batches);
  for (const NewBatch& batch : commit.batches) {
    draft.rows += batch.batch.rows;
    draft.after.samples_journaled += batch.batch.samples;
  }
  draft.after.records.journaled += draft.rows;
  draft.after.records.building -= draft.rows;
}

// There is no room for them, and nothing left to make room with. Laps and events are journaled.
void Recorder::refuse_batches(Intake::Harvest& harvest, Draft& draft, BootNs now) {
  std::uint64_t rows = 0;
  for (const NewBatch& batch : harvest.batches) rows += batch.batch.rows;
  if (rows == 0) return;
  harvest.batches.clear();
  harvest.gaps.push_back({.source = {},
                          .car = {},
                          .reason = "no_space",
                          .unit = "records",
                          .from_ns = oldest_message_ns_,
                          .to_ns = now,
                          .count_known = true,
                          .count = rows});
  draft.after.records.building -= rows;
  draft.after.reject(RejectReason::kNoSpace, rows);
}

void Recorder::add_states(Draft& draft) {
  Commit& commit = draft.commit;
  for (const SourceReader& source : sources_) {
    const bool is_late = has_mutant(Mutant::kPositionsLate) && draft.rows != 0;
    if (!is_late) commit.positions[source.name()] = source.position();
    std::optional<std::string> state = source.changed_state();
    if (!state) continue;
    if (state->size() <= kMaxDecoderStateBytes) {
      commit.decoder_states[source.name()] = *std::move(state);
    } else if (error_ns_ == 0) {
      spdlog::error("source {}: its decoder's state is too large to be kept", source.name());
    }
  }
  const LapEngine* laps = intake_.lap_engine();
  if (laps != nullptr && lap_version_ != laps->state_version()) {
    std::string state = laps->save();
    if (state.size() <= kMaxDecoderStateBytes) commit.lap_state = std::move(state);
  }
  commit.acknowledged = acknowledged_.ranges();
  commit.acknowledged_replaces = acknowledged_replaces_;
}

void Recorder::count(Draft& draft) const {
  Conservation& after = draft.after;
  const Commit& commit = draft.commit;
  after.messages.in_ring = absent_in_ring_;
  for (const SourceReader& source : sources_) after.messages.in_ring += source.in_ring();
  for (const NewBatch& batch : commit.batches) after.bytes_journaled += batch.batch.blob.size();
  for (const NewEvent& event : commit.events) after.bytes_journaled += event.bytes.size();
  after.bytes_acknowledged += static_cast<std::uint64_t>(acknowledged_bytes_);
  after.batches_journaled += commit.batches.size();
  after.events_journaled += commit.events.size();
  const std::uint64_t entries = commit.batches.size() + commit.events.size();
  after.entries.journaled += entries;
  RangeSet held = acknowledged_replaces_ ? RangeSet{} : journal_->acknowledged();
  held.add_all(acknowledged_);
  RangeSet evicted = live_evicted();
  std::uint64_t evicted_of_sealed = 0;  // What was pending.
  for (const auto& [incarnation, ranges] : commit.evicted) {
    if (incarnation == journal_->incarnation()) {
      evicted.add_all(ranges);
      continue;
    }
    RangeSet news = ranges;
    if (const std::optional<FileHead> head = find_head(incarnation)) {
      news.remove_all(head->evicted);
    }
    evicted_of_sealed += news.count();
  }
  const EntryTerms live = entry_terms({1, journal_->last_sequence() + entries}, held, evicted);
  after.entries.acknowledged = sealed_.acknowledged + live.acknowledged;
  after.entries.pending = sealed_.pending + live.pending - evicted_of_sealed;
  Counters counters = absent_;
  after.store(counters);
  for (const SourceReader& source : sources_) {
    counters["source." + source.name() + ".heard_number"] = source.heard_number();
    counters["source." + source.name() + ".last_receive_ns"] =
        static_cast<std::uint64_t>(source.last_receive_ns());
  }
  add_marks(counters, true);
  draft.commit.counters = std::move(counters);
}

// What the recorder must know of the session after a restart, beside the law's terms.
void Recorder::add_marks(Counters& counters, bool is_announced) const {
  counters["session.announced"] = is_announced ? 1 : 0;
  counters["session.automatic"] = session_is_automatic_ ? 1 : 0;
  counters[kAcknowledgedBy] = acknowledged_by_;
}

bool Recorder::write(Draft draft, BootNs now) {
  publish_snapshot(now);  // A disk that takes long shows by what this one says is waiting.
  const BootNs began = clock_.boot_now();
  auto committed = journal_->commit(draft.commit);
  if (!committed.ok() && committed.status().code() == Code::kRejected && !journal_->is_broken()) {
    // Something in it breaks a limit of the journal that should have been held when it was taken
    // in: our own mistake. The same bytes would be refused for ever, so they become a gap.
    note_error("journal refused", committed.status(), now);
    refuse_content(draft, now);
    committed = journal_->commit(draft.commit);
  }
  if (!committed.ok()) {
    fail_journal(committed.status(), now);
    return false;
  }
  const std::uint64_t given = committed.value().last + 1 - committed.value().first;
  CHECK(given == draft.commit.events.size() + draft.commit.batches.size());
  last_commit_took_ns_ = clock_.boot_now() - began;
  commit_took_.add(last_commit_took_ns_);
  for (const NewLap& lap : draft.commit.laps) {
    merger_.note_lap(lap.car, committed.value().first + lap.event_index);
  }
  if (!acknowledged_.empty()) merger_.look_again();
  recent_.add(journal_->incarnation(), take_entries(draft.commit, committed.value().first));
  adopt(draft, now);
  return true;
}

// Keeps positions, states and the clock of a refused commit, and says what was left out.
void Recorder::refuse_content(Draft& draft, BootNs now) {
  Commit& commit = draft.commit;
  draft.after = intake_.conservation();
  draft.after.records.building -= draft.rows;
  draft.after.reject(RejectReason::kLimit, draft.rows);
  draft.after.gaps += 1;
  const Gap gap{.source = {},
                .car = {},
                .reason = "refused",
                .unit = "records",
                .from_ns = oldest_message_ns_,
                .to_ns = now,
                .count_known = true,
                .count = draft.rows};
  const bool has_anchor = !commit.events.empty() && commit.events.front().kind == "clock_anchor";
  commit.events.resize(has_anchor ? 1 : 0);
  commit.events.push_back(gap_event(gap, now));
  commit.batches.clear();
  commit.laps.clear();
  commit.evicted.clear();
  commit.removed.clear();
  count(draft);
}

void Recorder::adopt(const Draft& draft, BootNs now) {
  intake_.conservation() = draft.after;
  anchor_ = draft.anchor;
  session_is_announced_ = true;
  events_.clear();
  for (const auto& [name, state] : draft.commit.decoder_states) decoder_states_[name] = state;
  for (SourceReader& source : sources_) source.committed();
  if (intake_.lap_engine() != nullptr) lap_version_ = intake_.lap_engine()->state_version();
  acknowledged_.clear();
  look_for_lost_ = look_for_lost_ || acknowledged_replaces_;
  acknowledged_replaces_ = false;
  acknowledged_bytes_ = 0;
  if (oldest_message_ns_ != 0) {
    const BootNs age = std::max<BootNs>(0, clock_.boot_now() - oldest_message_ns_);
    const auto bucket = std::bit_width(static_cast<std::uint64_t>(age) / 1'000'000);
    ++commit_age_ms_log2_[std::min<std::size_t>(static_cast<std::size_t>(bucket),
                                                commit_age_ms_log2_.size() - 1)];
  }
  oldest_message_ns_ = 0;
  due_ns_ = kNever;
  last_commit_ns_ = now;
  checkpointed_ = false;
  ++commits_;
  if (!draft.commit.evicted.empty()) {
    // The journal says so durably; box.db is told, and told again at the next start.
    const Status noted = store_->note_evicted(draft.commit.evicted);
    if (!noted.ok()) note_error("box.db", noted, now);
  }
  publish_heads(now);
  publish_snapshot(now);
}

void Recorder::fail_journal(const Status& why, BootNs now) {
  note_error("journal", why, now);
  // What is true is what the last good commit says: back to it, in memory too.
  reload(now);
  // A disk that fails every commit is not to be filled with files.
  if (replaced_ns_ != 0 && now < replaced_ns_ + to_ns(options_.retry_interval)) {
    hold(why, now);
    return;
  }
  replace_journal(0, why.message(), now);
}

// The journal's session goes on in a new file. False: it cannot now; see hold().
bool Recorder::replace_journal(std::uint64_t rekeyed_from, std::string_view reason, BootNs now) {
  replaced_ns_ = now;
  const ClockReading reading = read_clock(clock_);
  Commit carry;
  carry.events.push_back(clock_anchor_event(reading));
  carry.positions = journal_->positions();
  carry.decoder_states = journal_->decoder_states();
  carry.lap_state = journal_->lap_state();
  carry.evicted = journal_->evicted();
  Conservation counted = Conservation::load(journal_->counters());
  counted.journals_replaced += 1;
  counted.events_journaled += 1;
  counted.entries.journaled += 1;
  counted.entries.pending += 1;
  counted.bytes_journaled += carry.events.front().bytes.size();
  Counters counters = journal_->counters();
  counted.store(counters);
  add_marks(counters, session_is_announced_);
  carry.counters = std::move(counters);
  // Acknowledgements that waited for a commit of this file are stored beside it.
  const Acknowledged late{.session = journal_->session().id,
                          .incarnation = journal_->incarnation(),
                          .replaces = acknowledged_replaces_,
                          .ranges = std::exchange(acknowledged_, {}),
                          .store = acknowledged_by_};
  const auto late_bytes = static_cast<std::uint64_t>(std::exchange(acknowledged_bytes_, 0));
  acknowledged_replaces_ = false;
  auto next = store_->replace(std::move(journal_), carry, rekeyed_from, reason);
  journal_.reset();
  if (!late.ranges.empty() && !store_->acknowledge(late).ok()) {
    spdlog::warn("acknowledged ranges of a journal file that was set aside are to be told again");
  }
  if (!next.ok()) {
    hold(next.status(), now);
    return false;
  }
  attach(std::move(next).take(), now);
  intake_.conservation().bytes_acknowledged += late_bytes;
  anchor_ = reading;
  return true;
}

void Recorder::hold(const Status& why, BootNs now) {
  note_error("journal", why, now);
  state_ = RecorderState::kHolding;
  retry_ns_ = now + to_ns(options_.retry_interval);
  due_ns_ = kNever;
  changed_ = true;
}

void Recorder::note_error(const std::string& what, const Status& why, BootNs now) {
  const std::string text = what + ": " + why.message();
  // A state that lasts is tried again every retry interval; it is logged when it changes.
  if (text != error_) spdlog::error("{}", text);
  error_ = text;
  error_ns_ = now;
  changed_ = true;
}

}  // namespace pitbox
