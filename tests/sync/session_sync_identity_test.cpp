// Goal: what a room holds under one of our keys counts only if it is ours. Method: a room that
// holds what somebody else sent, with the rig of session_sync_test.cpp.

#include "session_sync_rig.h"

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.

class SessionSyncIdentity : public SessionSyncRig {
 protected:
  void given_held_by_another(std::uint64_t sequence) {
    room_.held[{kFile, sequence}] = std::string(16, 'x');
  }
  void given_held(std::uint64_t sequence) {
    room_.held[{kFile, sequence}] = journal_.file(kFile).entries.at(sequence - 1).hashes[0].raw();
  }
  RangeSet told() {
    RangeSet held;
    for (const Acknowledged& report : taken(acknowledged_)) {
      if (report.replaces) held.clear();
      held.add_all(report.ranges);
    }
    return held;
  }
};

RangeSet set_of(const std::vector<Range>& parts) {
  RangeSet set;
  for (const Range& part : parts) set.add(part);
  return set;
}

TEST_F(SessionSyncIdentity, WhatAnotherBoxSentUnderOurKeyIsNotTakenForAcknowledged) {
  given_entries(5);
  given_held(1);
  given_held(2);
  given_held_by_another(3);
  given_held(4);
  connect();
  run(3);
  const auto refused = taken(refused_);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].conflicts, set_of({{3, 3}}));
  EXPECT_EQ(told(), set_of({{1, 2}, {4, 4}}));
  EXPECT_TRUE(room_.arrivals.empty()) << "nothing until the file is sealed";
  EXPECT_EQ(sync().pending(), 2U);
  journal_.sealed = true;
  sync().update(now_, journal_.heads());
  run(3);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{5})) << "only 3 goes under another incarnation";
}

TEST_F(SessionSyncIdentity, WhatIsKnownIsNotCompared) {
  given_entries(3);
  connect();
  run(2);
  sync().closed(now_);
  connect();
  run(2);
  EXPECT_EQ(to_range_set(room_.hello.incarnations(0).known()), set_of({{1, 3}}));
  EXPECT_EQ(told(), set_of({{1, 3}}));
  EXPECT_EQ(room_.arrivals.size(), 3U);
  EXPECT_TRUE(taken(refused_).empty());
}

TEST_F(SessionSyncIdentity, AConflictIsAboutItsSequencesAlone) {
  given_entries(3);
  connect();
  room_.pending[{kFile, 2}] = std::string(16, 'x');
  words::Frame conflict;
  conflict.mutable_conflict()->set_incarnation(kFile);
  conflict.mutable_conflict()->set_first(2);
  conflict.mutable_conflict()->set_last(2);
  room_.send(conflict);
  exchange();
  run(2);
  const auto refused = taken(refused_);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].conflicts, set_of({{2, 2}}));
  EXPECT_EQ(told(), set_of({{1, 1}, {3, 3}})) << "though the room's Ack says 1..3";
}

TEST_F(SessionSyncIdentity, ARefusalIsSaidAgainUntilTheRecorderActs) {
  given_entries(1);
  given_held_by_another(1);
  connect();
  run(1);
  EXPECT_EQ(taken(refused_).size(), 1U);
  run(5);
  EXPECT_TRUE(taken(refused_).empty());
  now_ += 30'000 * kMs;
  run(1);
  EXPECT_EQ(taken(refused_).size(), 1U);
}

TEST_F(SessionSyncIdentity, ASessionWithARefusedFileIsNotFinished) {
  given_entries(1);
  given_held_by_another(1);
  journal_.ended = true;
  journal_.sealed = true;
  connect();
  run(5);
  EXPECT_FALSE(sync().is_complete());
  EXPECT_FALSE(room_.finished.has_value());
  SessionHeads heads = journal_.heads();
  heads.files[0].evicted.add(1);  // Journaled again in a file that the room knows already.
  sync().update(now_, heads);
  run(2);
  EXPECT_TRUE(sync().is_complete());
}

TEST_F(SessionSyncIdentity, AFileThatIsSealedIsSentThoughTheRoomKnowsItsContinuation) {
  given_entries(3);
  given_held(1);
  given_held_by_another(4);  // Beyond its end.
  connect();
  run(2);
  auto refused = taken(refused_);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_TRUE(refused[0].conflicts.empty());
  EXPECT_TRUE(room_.arrivals.empty()) << "it may grow into what the room holds";
  journal_.sealed = true;
  journal_.ended = true;
  sync().update(now_, journal_.heads());
  run(3);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_TRUE(sync().is_complete());
  EXPECT_TRUE(taken(refused_).empty());
}

TEST_F(SessionSyncIdentity, ATombstoneOfAnotherBoxDoesNotKeepOursBack) {
  given_entries(2);
  given_held(1);
  given_held(2);
  room_.answered = {{kFile, 2}};  // Without a content.
  connect();
  run(2);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{2}));
}

// Its Ack covers our sequence whether our entry came or not; only what the room shows is ours.
TEST_F(SessionSyncIdentity, TheAckOfATombstonesAnswerIsNotTakenForOurs) {
  given_entries(2);
  given_held(1);
  given_held(2);
  room_.answered = {{kFile, 2}};
  journal_.ended = true;
  journal_.sealed = true;
  connect();
  words::Frame ack;
  ack.mutable_ack()->set_incarnation(kFile);
  ack.mutable_ack()->set_through(2);
  ASSERT_TRUE(sync().received(now_, serialise(ack)).ok());
  run(1);
  EXPECT_EQ(told(), set_of({{1, 1}}));
  EXPECT_FALSE(room_.finished.has_value());
  run(200);
  ASSERT_TRUE(verdict_.has_value()) << "it wants to see whether it arrived";
  EXPECT_EQ(verdict_->reason, LinkReason::kNone);
  EXPECT_FALSE(room_.finished.has_value());

  sync().closed(now_);
  connect();  // The room lost it before its commit: it is sent again.
  run(200);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{2, 2}));

  sync().closed(now_);
  room_.answered.clear();
  connect();
  run(3);
  EXPECT_EQ(told(), set_of({{1, 2}}));
  EXPECT_TRUE(sync().is_complete());
}

TEST_F(SessionSyncIdentity, AnAckOfWhatWasNotSentSaysNothingOfIt) {
  given_entries(3);
  connect();
  run(1);
  commit_more(2);
  words::Frame ack;
  ack.mutable_ack()->set_incarnation(kFile);
  ack.mutable_ack()->set_through(5);
  ASSERT_TRUE(sync().received(now_, serialise(ack)).ok());
  sync().step(now_);
  EXPECT_EQ(told(), set_of({{1, 3}}));
}

TEST_F(SessionSyncIdentity, WhatTheRoomHadNoPlaceToShowIsComparedNextTime) {
  given_entries(4);
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) given_held(sequence);
  room_.shown_from = 3;
  connect();
  run(5);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{4})) << "neither held nor to be sent";
  EXPECT_EQ(told(), set_of({{3, 4}}));
  run(110);
  ASSERT_TRUE(verdict_.has_value());
  EXPECT_EQ(verdict_->reason, LinkReason::kNone);
  sync().closed(now_);
  room_.shown_from = 0;
  journal_.ended = true;
  sync().update(now_, journal_.heads());
  connect();
  run(3);
  EXPECT_EQ(room_.arrivals.size(), 1U);
  EXPECT_EQ(told(), set_of({{1, 4}}));
  EXPECT_TRUE(sync().is_complete());
}

TEST_F(SessionSyncIdentity, WhatAnotherStoreOfTheRoomHeldIsComparedAgain) {
  given_entries(3);
  connect();
  run(2);
  EXPECT_EQ(told(), set_of({{1, 3}}));
  sync().closed(now_);
  // The room was replaced by an older copy of itself, and another box was faster.
  ++room_.store;
  room_.held.erase({kFile, 3});
  given_held_by_another(2);
  connect();
  run(2);
  EXPECT_EQ(told(), set_of({{1, 1}}));
  const auto refused = taken(refused_);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].conflicts, set_of({{2, 2}}));
}

TEST_F(SessionSyncIdentity, WhatAnotherStoreHeldCountsUntilItIsCompared) {
  given_entries(4);
  connect();
  run(2);
  told();
  sync().closed(now_);
  ++room_.store;
  room_.shown_from = 4;
  connect();
  run(2);
  EXPECT_EQ(told(), set_of({{1, 4}}));
  sync().closed(now_);
  room_.shown_from = 3;
  connect();
  run(1);
  auto reports = taken(acknowledged_);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].ranges, set_of({{1, 4}}));
  EXPECT_EQ(reports[0].store, 0U) << "not all of it is compared";
  sync().closed(now_);
  room_.shown_from = 0;
  connect();
  run(1);
  reports = taken(acknowledged_);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].store, room_.store);
  EXPECT_EQ(room_.arrivals.size(), 4U) << "nothing went twice";
}

TEST_F(SessionSyncIdentity, WhatCannotBeReadForAComparisonIsComparedNextTime) {
  given_entries(2);
  given_held(2);
  journal_.busy = true;
  connect();
  journal_.busy = false;
  run(200);
  ASSERT_TRUE(verdict_.has_value());
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{1}));
  sync().closed(now_);
  connect();
  run(3);
  EXPECT_EQ(room_.again, 0);
  EXPECT_EQ(told(), set_of({{1, 2}}));
}

}  // namespace
}  // namespace pitbox
