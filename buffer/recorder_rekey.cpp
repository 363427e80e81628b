// What the room refuses: a file that must not grow, and entries that go under another incarnation.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "buffer/recorder.h"

namespace pitbox {
namespace {

// What of a file is not to be copied: all that the room does not have with another content, and
// what is settled anyway.
RangeSet spared_of(const FileHead& head, const RangeSet& conflicts) {
  RangeSet spared = head.acknowledged;
  spared.add_all(head.evicted);
  if (head.first > head.last) return spared;
  for (const Range& range : conflicts.missing({head.first, head.last})) spared.add(range);
  return spared;
}

}  // namespace

void Recorder::refuse(const IncarnationRefused& refused, BootNs now) {
  const Status why(Code::kRejected, "incarnation " + hex_id(refused.incarnation) + " of session " +
                                        refused.session.text() + ": " + refused.reason);
  note_error("the room refused", why, now);
  const bool is_open = journal_ != nullptr && journal_->session().id == refused.session;
  if (is_open && journal_->incarnation() == refused.incarnation) {
    // Nothing of the old file may be in memory any more.
    if (due_ns_ != kNever) commit(now);
    // If that failed another file took over, or none could, and the room will refuse it again.
    if (journal_ == nullptr || journal_->incarnation() != refused.incarnation) return;
    if (!replace_journal(refused.conflicts.empty() ? 0 : refused.incarnation, why.message(), now)) {
      return;
    }
  }
  const std::optional<FileHead> head = find_head(refused.incarnation);
  if (!head || head->first > head->last) return;
  const RangeSet spared = spared_of(*head, refused.conflicts);
  if (spared.contains(Range{head->first, head->last})) return;  // Nothing to copy, or not any more.
  is_open ? rekey_open(*head, spared, now) : rekey_ended(refused.session, *head, spared, now);
}

// Into the live file. After a kill the room refuses again what is not answered for.
void Recorder::rekey_open(const FileHead& head, const RangeSet& spared, BootNs now) {
  if (rekeying_ != nullptr) return;  // One at a time; the room will refuse it again.
  auto opened = Rekeying::open(head.file, spared, {head.first, head.last});
  if (!opened.ok()) {
    // It is not there to be copied; its entries stay pending, and `verify` names them.
    note_error("journal again under a new incarnation", opened.status(), now);
    return;
  }
  rekeying_ = std::move(opened).take();
}

// One chunk, between live commits.
std::size_t Recorder::rekey(BootNs now) {
  std::size_t work = step_ended_rekeying(now);
  if (rekeying_ == nullptr || state_ != RecorderState::kRecording) return work;
  ++work;
  if (due_ns_ != kNever && !commit(now)) return work;
  const std::uint64_t from = rekeying_->incarnation();
  Rekeying::Chunk next = rekeying_->next_or_give_up(now);
  // The room may have told meanwhile that it holds some of it.
  RangeSet answered = next.answered;
  if (const std::optional<FileHead> head = find_head(from)) {
    answered.remove_all(head->acknowledged);
  }
  if (next.done) rekeying_.reset();
  commit_chunk(std::move(next), from, answered, now);
  return work;
}

// Of a session that is over: in a file of its own.
void Recorder::rekey_ended(const Uuid& session, const FileHead& head, const RangeSet& spared,
                           BootNs now) {
  if (ended_rekeying_ != nullptr) return;  // One at a time; the room will refuse it again.
  auto opened = EndedRekeying::open(*store_, session, head, spared);
  if (!opened.ok()) {
    note_error("journal again under a new incarnation", opened.status(), now);
    return;
  }
  ended_rekeying_ = std::move(opened).take();
}

std::size_t Recorder::step_ended_rekeying(BootNs now) {
  if (ended_rekeying_ == nullptr) return 0;
  const auto done = ended_rekeying_->step(read_clock(clock_), now);
  if (!done.ok()) note_error("journal again under a new incarnation", done.status(), now);
  if (done.ok() && !done.value()) return 1;
  ended_rekeying_.reset();
  look_for_interrupted_ = true;
  publish_heads(now);
  return 1;
}

}  // namespace pitbox
