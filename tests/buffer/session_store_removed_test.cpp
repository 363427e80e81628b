// Batches that are gone from a file, and tombstones that answer for them: what the store knows of
// it after box.db could not be told, or an older copy was put back. Real files.

#include <gtest/gtest.h>

#include "buffer/events.h"
#include "buffer/journal_removal.h"
#include "buffer/session_store.h"
#include "proto/sqlite.h"
#include "tests/buffer/session_store_rig.h"

namespace pitbox {
namespace {

const RoomIdentity kRemovedRoom{.url = "ws://room", .store = 1};

class StoreRemoved : public SessionStoreRig {
 protected:
  // With batches 1..4.
  void given_ended_session() {
    begin();
    given_commits(4);
    session_ = journal_->session().id;
    incarnation_ = journal_->incarnation();
    file_ = journal_->file();
    end();
  }

  // Of batches 1..4 another file says that 2 and 3 are evicted, and no tombstone does.
  void given_evicted_is_only_carried_on() {
    begin();
    given_commits(4);
    incarnation_ = journal_->incarnation();
    Commit carry = carry_of(4);
    carry.evicted[incarnation_].add(Range{2, 3});
    auto next = store_->replace(std::move(journal_), carry, 0, "test");
    ASSERT_TRUE(next.ok()) << next.status().message();
    journal_ = std::move(next).take();
  }

  Uuid session_;
  std::uint64_t incarnation_ = 0;
  fs::path file_;
};

// Batches were deleted because the room had them, and the disk was too full to tell box.db.
TEST_F(StoreRemoved, ASessionThatIsAskedAboutAgainDoesNotOfferWhatIsDeleted) {
  given_ended_session();
  ASSERT_TRUE(store_->set_complete(session_, kRemovedRoom).ok());
  close();
  ASSERT_TRUE(remove_batches(file_, {{1, 2}}).ok());
  open();
  ASSERT_EQ(store_->see_room({kRemovedRoom.url, 2}).value(), 1U);
  const auto heads = store_->heads(nullptr);
  ASSERT_TRUE(heads.ok());
  ASSERT_EQ(heads.value().sessions.size(), 1U);
  RangeSet gone;
  gone.add(Range{1, 2});
  EXPECT_EQ(heads.value().sessions[0].files.at(0).removed, gone);
  close();
  open();
  EXPECT_EQ(store_->heads(nullptr).value().sessions[0].files.at(0).removed, gone) << "for good";
}

TEST_F(StoreRemoved, ASessionThatGetsTombstonesAfterItWasCompleteDoesNotOfferWhatIsDeleted) {
  given_ended_session();
  ASSERT_TRUE(store_->set_complete(session_, kRemovedRoom).ok());
  close();
  ASSERT_TRUE(remove_batches(file_, {{1, 2}}).ok());
  open();
  EvictedRanges evicted;
  evicted[incarnation_].add(Range{3, 3});
  ASSERT_TRUE(store_
                  ->bury(session_, {clock_anchor_event(read_clock(system_clock()))}, evicted,
                         [](Counters&) {})
                  .ok());
  RangeSet gone;
  gone.add(Range{1, 2});
  EXPECT_EQ(store_->heads(nullptr).value().sessions[0].files.at(0).removed, gone);
}

// Of a file that a crash kept from box.db it is learned at the same start that it has tombstones.
TEST_F(StoreRemoved, WhatIsDeletedIsLearnedBesideTombstonesThatBoxDbDoesNotKnow) {
  given_ended_session();
  EvictedRanges evicted;
  evicted[incarnation_].add(Range{3, 3});
  const NewEvent anchor = clock_anchor_event(read_clock(system_clock()));
  const NewEvent tombstone = tombstone_event(
      {.incarnation = incarnation_, .range = {3, 3}, .reason = "disk_full", .records = 1}, 1);
  ASSERT_TRUE(store_->bury(session_, {anchor, tombstone}, evicted, [](Counters&) {}).ok());
  close();
  ASSERT_TRUE(remove_batches(file_, {{1, 2}}).ok());
  auto box = Database::open(root_ / "box.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(box.ok()) << box.status().message();
  ASSERT_TRUE(box.value().exec("DELETE FROM files WHERE number = 2").ok());
  ASSERT_TRUE(box.value().exec("DELETE FROM evicted").ok());
  box = Status(Code::kRejected, "closed");
  open();
  const auto heads = store_->heads(nullptr);
  ASSERT_TRUE(heads.ok());
  const FileHead& head = heads.value().sessions.at(0).files.at(0);
  RangeSet gone;
  gone.add(Range{1, 2});
  EXPECT_EQ(head.removed, gone);
  EXPECT_EQ(head.evicted, evicted.at(incarnation_));
}

// A file that took over says what the tombstones before it answered for; that they are still there
// it does not know.
TEST_F(StoreRemoved, WhatIsOnlyCarriedOnAsEvictedIsUnanswered) {
  given_evicted_is_only_carried_on();
  ASSERT_TRUE(remove_batches(store_->retained(journal_.get()).at(0).file, {{2, 3}}).ok());
  restart();
  RangeSet lost;
  lost.add(Range{2, 3});
  EXPECT_EQ(store_->retained(journal_.get()).at(0).unanswered, lost);
}

// The tombstones went with an older copy that has the batches again, and the file that took over
// from it, which carries on that there were some, is itself taken over from.
TEST_F(StoreRemoved, WhatAnOlderCopyHasAgainIsToBeSentWhateverIsCarriedOn) {
  given_evicted_is_only_carried_on();
  given_commits(1);
  const fs::path copy = journal_->file().string() + ".copy";
  const fs::path live = journal_->file();
  close();
  fs::copy_file(live, copy);
  fs::rename(copy, live);
  restart();
  ASSERT_EQ(count_files(), 3U) << "a copy is not appended to";
  EXPECT_TRUE(store_->retained(journal_.get()).at(0).evicted.empty());
  restart();
  EXPECT_TRUE(store_->retained(journal_.get()).at(0).evicted.empty());
}

// Carried on likewise, but the room has them, and they are deleted here: nothing is left to tell.
TEST_F(StoreRemoved, WhatTheRoomHoldsNeedsNoTombstone) {
  given_evicted_is_only_carried_on();
  RangeSet held;
  held.add(Range{1, 4});
  ASSERT_TRUE(store_
                  ->acknowledge({.session = journal_->session().id,
                                 .incarnation = incarnation_,
                                 .ranges = held,
                                 .store = kRemovedRoom.store})
                  .ok());
  ASSERT_TRUE(remove_batches(store_->retained(journal_.get()).at(0).file, {{2, 3}}).ok());
  restart();
  const RetainedFile file = store_->retained(journal_.get()).at(0);
  EXPECT_TRUE(file.unanswered.empty());
  EXPECT_TRUE(file.evicted.empty()) << "or nobody would notice if the room lost them";
}

// At one start tombstones could not be read, were not believed in, and the counters were set to
// that; at the next they are there.
TEST_F(StoreRemoved, WhatIsEvictedAfterAllIsCountedAnew) {
  begin();
  given_commits(4);
  incarnation_ = journal_->incarnation();
  auto next = store_->replace(std::move(journal_), carry_of(4), 0, "test");
  ASSERT_TRUE(next.ok()) << next.status().message();
  journal_ = std::move(next).take();
  restart();
  EXPECT_FALSE(store_->recounted_evicted(*journal_).has_value());
  Commit commit;
  commit.events = {tombstone_event(
      {.incarnation = incarnation_, .range = {2, 3}, .reason = "disk_full", .records = 2}, 1)};
  commit.evicted[incarnation_].add(Range{2, 3});
  ASSERT_TRUE(journal_->commit(commit).ok());
  restart();
  EXPECT_EQ(store_->recounted_evicted(*journal_), 2U);
}

}  // namespace
}  // namespace pitbox
