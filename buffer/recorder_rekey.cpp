// What the room refuses: a file that must not grow, and entries that go under another incarnation.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "buffer/recorder.h"

namespace pitbox {
namespace {

RangeSet settled_of(const FileHead& head) {
  RangeSet settled = head.acknowledged;
  settled.add_all(head.evicted);
  return settled;
}

bool is_settled(const FileHead& head) {
  return head.first > head.last || settled_of(head).contains(Range{head.first, head.last});
}

}  // namespace

void Recorder::refuse(const IncarnationRefused& refused, BootNs now) {
  const Status why(Code::kRejected, "incarnation " + hex_id(refused.incarnation) + " of session " +
                                        refused.session.text() + ": " + refused.reason);
  note_error("the room refused", why, now);
  const bool is_open = journal_ != nullptr && journal_->session().id == refused.session;
  if (is_open && journal_->incarnation() == refused.incarnation) {
    refuse_live(refused.has_other_content, why.message(), now);
    return;
  }
  if (!refused.has_other_content) return;  // It does not grow any more.
  const std::optional<FileHead> head = find_head(refused.incarnation);
  if (!head || is_settled(*head)) return;
  if (!is_open) {
    rekey_ended(refused.session, *head, now);
    return;
  }
  rekeying_from_ = refused.incarnation;
  rekeying_range_ = {head->first, head->last};
  note_due(now);  // The next commit remembers it.
}

void Recorder::refuse_live(bool has_other_content, const std::string& why, BootNs now) {
  const std::uint64_t refused = journal_->incarnation();
  // Nothing of the old file may be in memory any more.
  if (due_ns_ != kNever) commit(now);
  // If that failed another file took over, or none could, and the room will refuse it again.
  if (journal_ == nullptr || journal_->incarnation() != refused) return;
  const std::uint64_t last = journal_->last_sequence();
  if (has_other_content) {
    rekeying_from_ = last > 0 ? refused : 0;
    rekeying_range_ = {1, last};
  }
  replace_journal(has_other_content ? refused : 0, why, now);
}

bool Recorder::open_rekeying(BootNs now) {
  const std::optional<FileHead> head = find_head(rekeying_from_);
  Status status(Code::kCorrupt, "no such journal file");
  if (head) {
    auto opened = Rekeying::open(head->file, settled_of(*head), rekeying_range_);
    if (opened.ok()) {
      rekeying_ = std::move(opened).take();
      return true;
    }
    status = opened.status();
  }
  note_error("journal again under a new incarnation", status, now);
  // The file is not there to be copied; its entries stay pending, and `verify` names them.
  rekeying_from_ = 0;
  rekeying_range_ = {1, 0};
  return false;
}

// One chunk, between live commits.
std::size_t Recorder::rekey(BootNs now) {
  std::size_t work = step_ended_rekeying(now);
  if (rekeying_from_ == 0 || state_ != RecorderState::kRecording) return work;
  ++work;
  if (due_ns_ != kNever && !commit(now)) return work;
  if (rekeying_ == nullptr && !open_rekeying(now)) return work;
  const std::uint64_t from = rekeying_from_;
  Rekeying::Chunk next = rekeying_->next_or_give_up(now);
  // The room may have told meanwhile that it holds some of it.
  RangeSet answered = next.answered;
  if (const std::optional<FileHead> head = find_head(from)) {
    for (const Range& range : head->acknowledged.ranges()) answered.remove(range);
  }
  if (next.done) {
    rekeying_.reset();
    rekeying_from_ = 0;
  }
  commit_chunk(std::move(next), from, answered, now);
  return work;
}

// Of a session that is over: in a file of its own.
void Recorder::rekey_ended(const Uuid& session, const FileHead& head, BootNs now) {
  if (ended_rekeying_ != nullptr) return;  // One at a time; the room will refuse it again.
  auto opened = EndedRekeying::open(*store_, session, head.incarnation, head.file,
                                    settled_of(head), {head.first, head.last});
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
  publish_heads(now);
  return 1;
}

}  // namespace pitbox
