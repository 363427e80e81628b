// One session's conversation with a room: who is told what, in which order, and what an answer
// means. Method: session_sync_rig.h.

#include "sync/session_sync.h"

#include <gtest/gtest.h>

#include "tests/sync/session_sync_rig.h"

namespace pitbox {
namespace {

using testing::kFile;
using testing::kMs;
using testing::kOtherFile;
using testing::kRoomUrl;
using SessionSyncTest = testing::SessionSyncRig;

TEST_F(SessionSyncTest, HelloNamesEveryFileAndWhatItWasRekeyedFrom) {
  given_entries(3);
  given_entries(2, 500, kOtherFile);
  journal_.file(kOtherFile).rekeyed_from = kFile;
  connect();
  ASSERT_EQ(room_.hello.incarnations_size(), 2);
  EXPECT_EQ(room_.hello.incarnations(0).incarnation(), kFile);
  EXPECT_EQ(room_.hello.incarnations(0).last(), 3U);
  EXPECT_EQ(room_.hello.incarnations(1).rekeyed_from(), kFile);
  EXPECT_EQ(room_.hello.session_id(), journal_.info.id.raw());
}

TEST_F(SessionSyncTest, NothingIsSentBeforeWelcome) {
  given_entries(3);
  room_.welcomes = false;
  connect();
  commit_more(1);
  EXPECT_EQ(exchange(), 0);
  EXPECT_EQ(room_.arrivals.size(), 0U);
  now_ += 5000 * kMs;
  const auto verdict = sync().step(now_);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->reason, LinkReason::kNoAck);
}

TEST_F(SessionSyncTest, SendsOnlyWhatWelcomeDoesNotHold) {
  given_entries(6);
  for (const std::uint64_t sequence : {1U, 2U, 5U}) {
    room_.held[{kFile, sequence}] = journal_.entry(kFile, sequence).value().hashes.front().raw();
  }
  connect();
  run(3);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{3, 4, 6}));
  EXPECT_EQ(room_.again, 0);
  EXPECT_EQ(sync().pending(), 0U);
}

TEST_F(SessionSyncTest, WelcomeReplacesWhatTheRecorderThinksThenAcksAdd) {
  given_entries(4);
  room_.held[{kFile, 1}] = journal_.entry(kFile, 1).value().hashes.front().raw();
  connect();
  sync().step(now_);
  const auto first = taken(acknowledged_);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(first[0].replaces);
  EXPECT_EQ(first[0].session, journal_.info.id);
  EXPECT_EQ(first[0].ranges.ranges(), (std::vector<Range>{{1, 1}}));
  run(2);
  const auto then = taken(acknowledged_);
  ASSERT_EQ(then.size(), 1U);
  EXPECT_FALSE(then[0].replaces);
  EXPECT_EQ(then[0].ranges.ranges(), (std::vector<Range>{{2, 4}}));
}

TEST_F(SessionSyncTest, ARoomThatForgotGetsItAgain) {
  given_entries(5);
  connect();
  run(3);
  ASSERT_EQ(room_.held.size(), 5U);
  sync().closed(now_);
  room_.held.clear();
  connect();
  run(3);
  EXPECT_EQ(room_.held.size(), 5U);
  EXPECT_TRUE(taken(acknowledged_).back().ranges.contains(Range{1, 5}));
}

TEST_F(SessionSyncTest, WhatIsCommittedNowGoesBeforeTheBacklog) {
  given_entries(400, 1000);
  connect();
  const std::size_t before = room_.arrivals.size();
  EXPECT_LT(before, 400U) << "the window holds the backlog back";
  commit_more(3);
  exchange();
  ASSERT_EQ(room_.arrivals.size(), before + 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(room_.arrivals[before + i].key.second, 401 + i);
    EXPECT_EQ(room_.arrivals[before + i].lane, words::LIVE);
  }
  run(200);
  EXPECT_EQ(room_.held.size(), 403U);
  EXPECT_EQ(room_.again, 0);
}

TEST_F(SessionSyncTest, ALiveEntryOvertakesAHalfSentBacklogEntry) {
  given_entries(1, 300'000);
  room_.connect();
  sync().opened(now_);
  for (int i = 0; i < 5; ++i) {  // Hello, a definition, and some parts of the big one.
    std::string frame;
    ASSERT_TRUE(sync().next_frame(now_, frame));
    room_.take(frame);
    while (const auto reply = room_.next_reply()) ASSERT_TRUE(sync().received(now_, *reply).ok());
  }
  commit_more(1);
  run(3);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{2, 1}));
}

TEST_F(SessionSyncTest, BacklogPartsAreSmallUntilTheLinkIsKnownToBeFast) {
  given_entries(1, 100'000);
  room_.connect();
  sync().opened(now_);
  std::size_t greatest = 0;
  for (;;) {
    std::string frame;
    if (!sync().next_frame(now_, frame)) break;
    greatest = std::max(greatest, frame.size());
    room_.take(frame);
    while (const auto reply = room_.next_reply()) ASSERT_TRUE(sync().received(now_, *reply).ok());
  }
  EXPECT_LE(greatest, 4096U + 200);
  EXPECT_EQ(room_.arrivals.size(), 1U) << "an entry greater than the window still gets through";
}

TEST_F(SessionSyncTest, ADefinitionGoesOnceAndBeforeItsFirstBatch) {
  const DefinitionPtr engine = testing::make_definition("engine");
  const DefinitionPtr gps = testing::make_definition("gps");
  journal_.add(kFile, 100, engine);
  journal_.add(kFile, 100, gps);
  journal_.add(kFile, 100, engine);
  room_.definitions.insert(std::string(gps->name().begin(), gps->name().end()));
  connect();  // The room fails the test if a batch comes before its definition.
  EXPECT_EQ(room_.arrivals.size(), 3U);
  EXPECT_EQ(room_.definitions.size(), 2U);
  EXPECT_EQ(exchange(), 0);
}

TEST_F(SessionSyncTest, BytesInFlightAreBounded) {
  given_entries(2000, 1000);
  connect();
  EXPECT_LE(sync().in_flight(), 16U * 1024);
  EXPECT_GT(sync().in_flight(), 8U * 1024);
  commit_more(2000, 1000);
  exchange();
  EXPECT_LE(sync().in_flight(), 64U * 1024 + 1000) << "live has a wider window, but it has one";
  EXPECT_FALSE(sync().wants_to_send(now_));
}

TEST_F(SessionSyncTest, AHalfOpenLinkIsFoundWithinTenSeconds) {
  given_entries(1);
  connect();
  const BootNs sent_at = now_;
  BootNs found_at = 0;
  while (found_at == 0) {
    now_ += 100 * kMs;
    const auto verdict = sync().step(now_);
    if (verdict) {
      found_at = now_;
      EXPECT_EQ(verdict->reason, LinkReason::kNoAck);
    }
    ASSERT_LT(now_ - sent_at, 20'000 * kMs);
  }
  EXPECT_LE(found_at - sent_at, 10'000 * kMs);
  EXPECT_GE(found_at - sent_at, 5'000 * kMs);
}

TEST_F(SessionSyncTest, LiveDataThatKeepsComingDoesNotHideAHalfOpenLink) {
  given_entries(1);
  connect();
  const BootNs cut = now_;
  while (!(verdict_ = sync().step(now_))) {
    now_ += 100 * kMs;
    commit_more(1);
    exchange();  // The socket takes it; nobody acknowledges.
    ASSERT_LE(now_ - cut, 10'000 * kMs);
  }
  EXPECT_EQ(verdict_->reason, LinkReason::kNoAck);
}

TEST_F(SessionSyncTest, ALinkWithNothingInFlightIsNotSuspected) {
  given_entries(2);
  connect();
  run(2);
  now_ += 3'600'000 * kMs;
  EXPECT_FALSE(sync().step(now_).has_value());
}

TEST_F(SessionSyncTest, DefinitionsThatGoAheadAfterALongSilenceAreNoHalfOpenLink) {
  // A bug: the cars of a session that had been open for a while went out, and the link reported
  // no_ack of 0 bytes, because a definition was on its way and the last part was long ago.
  given_entries(1);
  connect();
  run(2);
  now_ += 20'000 * kMs;
  ASSERT_FALSE(sync().step(now_).has_value());
  commit_more(1, 20'000);
  std::string frame;
  ASSERT_TRUE(sync().next_frame(now_, frame));
  room_.take(frame);
  EXPECT_FALSE(sync().step(now_).has_value());
  // But if the rest never goes, that is one.
  now_ += 8'000 * kMs;
  const auto verdict = sync().step(now_);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->reason, LinkReason::kNoAck);
}

TEST_F(SessionSyncTest, ABigEntryOnASlowLinkIsNotTakenForAHalfOpenOne) {
  given_entries(1, 200'000);
  room_.connect();
  sync().opened(now_);
  for (int i = 0; room_.arrivals.empty(); ++i) {  // A part a second: 50 s until it is whole.
    ASSERT_LT(i, 100);
    std::string frame;
    ASSERT_TRUE(sync().next_frame(now_, frame));
    room_.take(frame);
    while (const auto reply = room_.next_reply()) ASSERT_TRUE(sync().received(now_, *reply).ok());
    now_ += 1000 * kMs;
    ASSERT_FALSE(sync().step(now_).has_value());
  }
}

TEST_F(SessionSyncTest, SequencesTheFileNeverIssuedRefuseItAndNothingOfItGoes) {
  given_entries(3);
  given_entries(2, 500, kOtherFile);
  room_.held[{kFile, 9}] = std::string(16, 'x');
  connect();
  run(3);
  const auto refused = taken(refused_);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].incarnation, kFile);
  EXPECT_EQ(refused[0].session, journal_.info.id);
  for (const auto& arrival : room_.arrivals) EXPECT_EQ(arrival.key.first, kOtherFile);
  EXPECT_EQ(room_.arrivals.size(), 2U);
}

TEST_F(SessionSyncTest, AConflictRefusesTheFileAndTheOthersCarryOn) {
  given_entries(3);
  connect();
  run(1);
  sync().closed(now_);
  room_.held[{kFile, 2}] = std::string(16, 'x');
  room_.held.erase({kFile, 3});
  connect();
  // The room claims to hold 1 and 2; what it says of 2 is not ours, but only 3 is sent.
  room_.pending[{kFile, 3}] = std::string(16, 'y');
  words::Frame conflict;
  conflict.mutable_conflict()->set_incarnation(kFile);
  conflict.mutable_conflict()->set_first(3);
  conflict.mutable_conflict()->set_last(3);
  conflict.mutable_conflict()->set_held_hash(std::string(16, 'y'));
  room_.send(conflict);
  run(2);
  ASSERT_EQ(taken(refused_).size(), 1U);
  EXPECT_EQ(sync().counters().conflicts, 1U);
  EXPECT_EQ(sync().in_flight(), 0U);
  const std::size_t before = room_.arrivals.size();
  commit_more(2);
  exchange();
  EXPECT_EQ(room_.arrivals.size(), before) << "nothing more under this incarnation";
  journal_.add(kOtherFile, 100);
  sync().update(now_, journal_.heads());
  const auto verdict = sync().step(now_);
  ASSERT_TRUE(verdict.has_value()) << "the room learns of the new file by a new Hello";
  EXPECT_EQ(verdict->reason, LinkReason::kNone);
  sync().closed(now_);
  connect();
  run(2);
  EXPECT_TRUE(room_.held.contains({kOtherFile, 1}));
  EXPECT_EQ(taken(refused_).size(), 1U) << "the room still shows another content of 3";
}

TEST_F(SessionSyncTest, AnEndedSessionIsFinishedOnceAllIsAcknowledged) {
  given_entries(3);
  given_entries(2, 500, kOtherFile);
  connect();
  run(2);
  EXPECT_FALSE(room_.finished.has_value());
  EXPECT_FALSE(sync().is_complete());
  commit_more(1, 500, kOtherFile);
  journal_.ended = true;
  sync().update(now_, journal_.heads());
  run(3);
  EXPECT_TRUE(sync().is_complete());
  const auto completed = taken(completed_);
  ASSERT_EQ(completed.size(), 1U);
  EXPECT_EQ(completed[0].session, journal_.info.id);
  EXPECT_EQ(completed[0].room, (RoomIdentity{kRoomUrl, room_.store}));
  run(3);
  EXPECT_TRUE(taken(completed_).empty()) << "said once";
}

// Whoever is told of a completion first may forget the connection, and with it what is untold.
TEST_F(SessionSyncTest, OfACompletionIsToldAfterAllThatTheRoomHolds) {
  given_entries(1);
  journal_.ended = true;
  while (acknowledged_.try_push({})) {
  }
  connect();
  run(3);
  EXPECT_TRUE(sync().is_complete());
  EXPECT_FALSE(sync().is_completion_told());
  EXPECT_TRUE(taken(completed_).empty());
  taken(acknowledged_);
  run(1);
  EXPECT_TRUE(sync().is_completion_told());
  EXPECT_EQ(taken(completed_).size(), 1U);
  const auto acknowledged = taken(acknowledged_);
  ASSERT_EQ(acknowledged.size(), 1U);
  EXPECT_TRUE(acknowledged[0].ranges.contains(1));
}

TEST_F(SessionSyncTest, EachWelcomeTellsTheRecorderWhichRoomItSaw) {
  given_entries(1);
  connect();
  const auto first = seen_.take();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->room, (RoomIdentity{kRoomUrl, room_.store}));
  sync().closed(now_);
  ++room_.store;
  connect();
  const auto second = seen_.take();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->room, (RoomIdentity{kRoomUrl, room_.store}));
}

TEST_F(SessionSyncTest, ASessionThatTheRoomAlreadyHoldsIsFinishedWithoutAnEntry) {
  given_entries(2);
  connect();
  run(2);
  sync().closed(now_);
  journal_.ended = true;
  sync().update(now_, journal_.heads());
  const std::size_t before = room_.arrivals.size();
  connect();
  run(2);
  EXPECT_TRUE(sync().is_complete());
  EXPECT_EQ(room_.arrivals.size(), before);
}

TEST_F(SessionSyncTest, AnEntryThatCannotBeReadIsLeftOutAndCounted) {
  given_entries(5);
  journal_.unreadable = {2, 4};
  connect();
  run(2);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{1, 3, 5}));
  EXPECT_EQ(sync().counters().unreadable, 2U);
  EXPECT_EQ(sync().pending(), 2U) << "still not in the room, and visibly so";
}

TEST_F(SessionSyncTest, ABusyJournalIsAskedAgainASecondLater) {
  given_entries(2);
  journal_.busy = true;
  connect();
  const int reads = journal_.reads;
  run(50);
  EXPECT_LE(journal_.reads - reads, 1);
  journal_.busy = false;
  run(100);
  EXPECT_EQ(room_.held.size(), 2U);
}

TEST_F(SessionSyncTest, AnEntryTheRoomFindsDamagedTwiceIsLeftOut) {
  given_entries(3);
  for (int i = 0; i < 2; ++i) {
    connect();
    words::Frame goodbye;
    goodbye.mutable_goodbye()->set_reason("content_mismatch " + hex_id(kFile) + "/2: bad column");
    room_.send(goodbye);
    exchange();
    ASSERT_TRUE(sync().farewell().has_value());
    room_.crash();
    sync().closed(now_);
  }
  room_.arrivals.clear();
  connect();
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{1, 3}));
}

TEST_F(SessionSyncTest, APullIsAnsweredAgain) {
  given_entries(4);
  connect();
  run(2);
  words::Frame pull;
  pull.mutable_pull()->set_incarnation(kFile);
  words::Range& range = *pull.mutable_pull()->add_ranges();
  range.set_first(2);
  range.set_last(3);
  room_.send(pull);
  room_.arrivals.clear();
  run(2);
  EXPECT_EQ(arrived(), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(sync().in_flight(), 0U) << "acknowledged a second time";
}

TEST_F(SessionSyncTest, SlowHoldsBulkBackForAsLongAsItSays) {
  given_entries(200, 1000);
  connect();
  words::Frame slow;
  slow.mutable_slow()->set_bytes_per_second(10'000);
  slow.mutable_slow()->set_for_ms(2000);
  room_.send(slow);
  exchange();
  room_.arrivals.clear();
  run(100);  // One second.
  EXPECT_LE(room_.arrivals.size(), 13U);
  EXPECT_GE(room_.arrivals.size(), 8U);
  run(150);
  EXPECT_EQ(room_.held.size(), 200U) << "the two seconds are over";
}

TEST_F(SessionSyncTest, AFullQueueToTheRecorderLosesNoAcknowledgement) {
  given_entries(30, 1000);
  connect();
  while (acknowledged_.try_push({})) {
  }
  run(30);
  ASSERT_EQ(room_.held.size(), 30U);
  taken(acknowledged_);
  run(1);
  const auto reports = taken(acknowledged_);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_TRUE(reports[0].replaces);
  EXPECT_EQ(reports[0].ranges.ranges(), (std::vector<Range>{{1, 30}}));
}

TEST_F(SessionSyncTest, LiveViewsComeAfterLiveEntriesAndAreMergedNotQueued) {
  given_entries(1);
  connect();
  run(1);
  sync().offer_live_view({{"7", 1, {{"speed", "km/h", 200.0}, {"gear", "", 4.0}}}});
  sync().offer_live_view({{"7", 2, {{"speed", "km/h", 201.0}}}});
  EXPECT_EQ(exchange(), 1);
  ASSERT_EQ(room_.live_views.size(), 1U);
  const words::LiveView& view = room_.live_views[0];
  ASSERT_EQ(view.values_size(), 2);
  EXPECT_EQ(view.values(0).value(), 201.0);
  EXPECT_EQ(view.values(1).value(), 4.0) << "shed in time, not in channels";
  EXPECT_EQ(view.wall_time_ms(), 2);
}

TEST_F(SessionSyncTest, WhileTheLiveLaneIsFullNoLiveViewGoes) {
  given_entries(1);
  connect();
  commit_more(200, 1000);
  exchange();
  sync().offer_live_view({{"7", 1, {{"speed", "km/h", 200.0}}}});
  EXPECT_EQ(exchange(), 0) << sync().in_flight();
  EXPECT_TRUE(room_.live_views.empty());
}

TEST_F(SessionSyncTest, WhatTheProtocolForbidsClosesTheConnection) {
  given_entries(2);
  connect();
  const auto refused = [&](const words::Frame& frame) {
    return sync().received(now_, serialise(frame)).code() == Code::kCorrupt;
  };
  words::Frame ack;
  ack.mutable_ack()->set_incarnation(kFile);
  ack.mutable_ack()->set_through(3);
  EXPECT_TRUE(refused(ack)) << "an Ack of what was never sent";
  words::Frame complete;
  complete.mutable_session_complete();
  EXPECT_FALSE(refused(complete));
  EXPECT_FALSE(sync().is_complete()) << "the answer to another connection's SessionFinished";
  words::Frame welcome;
  welcome.mutable_welcome()->set_version(1);
  EXPECT_TRUE(refused(welcome)) << "twice";
  EXPECT_FALSE(sync().received(now_, "\xff\xff\xff").ok());
  words::Frame other;
  other.mutable_ack()->set_incarnation(77);
  other.mutable_ack()->set_through(1);
  EXPECT_FALSE(refused(other)) << "a file that is no longer here is nobody's mistake";
}

}  // namespace
}  // namespace pitbox
