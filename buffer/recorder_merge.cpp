// Merging finished laps into blocks (lap_merger.h), in idle time.

#include <algorithm>
#include <utility>

#include "buffer/recorder.h"

namespace pitbox {
namespace {

// A step takes some milliseconds, with a commit some tens; it gets a tenth of the time at most.
constexpr std::chrono::milliseconds kMergeAgain{50};
constexpr BootNs kShare = 9;

}  // namespace

bool Recorder::wants_to_merge() const {
  const bool is_free = state_ == RecorderState::kRecording && !boundary_ && !is_short_ &&
                       !is_making_room_ && !is_starving_ && rekeying_ == nullptr &&
                       ended_rekeying_ == nullptr;
  return options_.merges_laps && is_free && merger_.has_work();
}

// REQUIRES: nothing else is to be done now.
std::size_t Recorder::merge_laps(BootNs now) {
  if (!wants_to_merge() || now < merge_due_) return 0;
  Commit commit;
  auto blocks = merger_.step(journal_->acknowledged());
  if (!blocks.ok()) {
    note_error("merge laps", blocks.status(), now);
    merge_due_ = now + to_ns(options_.retry_interval);
    return 0;
  }
  commit.blocks = std::move(blocks).take();
  if (!commit.blocks.empty()) {
    const auto committed = journal_->commit(commit);
    if (journal_->is_broken()) {
      fail_journal(committed.status(), now);
      return 1;
    }
    if (!committed.ok()) note_error("merge laps", committed.status(), now);
    last_commit_ns_ = now;
    checkpointed_ = false;
  }
  const BootNs took = clock_.boot_now() - now;
  merge_due_ = now + took + std::max(to_ns(kMergeAgain), kShare * took);
  return 1;
}

}  // namespace pitbox
