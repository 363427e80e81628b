#include "buffer/ended_rekeying.h"

#include <algorithm>
#include <utility>

#include "buffer/conservation.h"

namespace pitbox {
namespace {

bool is_other(const std::optional<ClockReading>& anchor, const ClockReading& wanted) {
  return !anchor || anchor->boot_id != wanted.boot_id ||
         anchor->wall_minus_boot_ns() != wanted.wall_minus_boot_ns();
}

// What the session's counters say once `commit` is journaled, and the originals answered for.
void count(const Commit& commit, const RangeSet& answered, std::uint64_t answered_bytes,
           std::uint64_t entries, Counters& counters) {
  Conservation counts = Conservation::load(counters);
  const std::uint64_t added = commit.events.size() + commit.batches.size();
  counts.entries.journaled += added;
  counts.entries.pending += added;
  counts.entries.pending -= std::min(counts.entries.pending, answered.count());
  counts.entries.evicted[static_cast<std::size_t>(EvictReason::kRekeyed)] += answered.count();
  counts.events_journaled += commit.events.size();
  counts.batches_journaled += commit.batches.size();
  for (const NewEvent& event : commit.events) counts.bytes_journaled += event.bytes.size();
  for (const NewBatch& batch : commit.batches) counts.bytes_journaled += batch.batch.blob.size();
  counts.bytes_evicted += answered_bytes;
  counts.entries_rekeyed += entries;
  counts.store(counters);
}

}  // namespace

Result<std::unique_ptr<EndedRekeying>> EndedRekeying::open(SessionStore& store, const Uuid& session,
                                                           const FileHead& head,
                                                           const RangeSet& spared) {
  std::unique_ptr<EndedRekeying> made(new EndedRekeying(store, session, head.incarnation));
  auto carry = store.carry_of_ended(session);
  if (!carry.ok()) return carry.status();
  made->carry_ = std::move(carry).take();
  auto copying = Rekeying::open(head.file, spared, {head.first, head.last});
  if (!copying.ok()) return copying.status();
  made->copying_ = std::move(copying).take();
  return made;
}

Result<bool> EndedRekeying::step(const ClockReading& clock, BootNs now) {
  Rekeying::Chunk chunk = copying_->next_or_give_up(now);
  const ClockReading wanted = chunk.anchor.value_or(clock);
  Commit commit;
  if (is_other(anchor_, wanted)) commit.events.push_back(clock_anchor_event(wanted));
  anchor_ = wanted;
  const RangeSet answered = chunk.answered;
  const std::uint64_t answered_bytes = chunk.bytes;
  const std::uint64_t entries = chunk.entries;
  const bool is_done = chunk.done;
  Rekeying::append(std::move(chunk), commit);
  Counters counters =
      journal_ != nullptr ? journal_->counters() : carry_.counters.value_or(Counters{});
  count(commit, answered, answered_bytes, entries, counters);
  commit.counters = std::move(counters);
  if (!answered.empty()) commit.evicted[incarnation_] = answered;
  const Status written = write(std::move(commit));
  if (!written.ok()) {
    if (journal_ != nullptr) static_cast<void>(finish().ok());
    return written;
  }
  answered_[incarnation_].add_all(answered);
  if (!is_done) return false;
  if (Status finished = finish(); !finished.ok()) return finished;
  return true;
}

Status EndedRekeying::write(Commit commit) {
  if (journal_ != nullptr) {
    const auto committed = journal_->commit(commit);
    return committed.ok() ? Status() : committed.status();
  }
  Commit first = std::move(carry_);
  first.events = std::move(commit.events);
  first.batches = std::move(commit.batches);
  first.laps = std::move(commit.laps);
  first.counters = std::move(commit.counters);
  for (const auto& [incarnation, ranges] : commit.evicted) {
    first.evicted[incarnation].add_all(ranges);
  }
  auto journal = store_.add_to_ended(session_, incarnation_, first);
  if (!journal.ok()) return journal.status();
  journal_ = std::move(journal).take();
  return {};
}

Status EndedRekeying::finish() {
  return store_.finish_addition(std::move(journal_), "journaled again after the session was over",
                                answered_);
}

}  // namespace pitbox
