// Goal: a room stores each entry once, acknowledges only what its file has, keeps its own in a
// conflict, refuses what is damaged, and can be dropped at any moment. Method: room_core_rig.h.

#include "room/room_core.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "room_core_rig.h"

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.
using RoomCoreTest = RoomCoreRig;

TEST_F(RoomCoreTest, WelcomesABoxWithWhatItHolds) {
  greet();
  give(batch(1));
  give(batch(2));
  give(batch(5));
  settle();
  greet(2);
  const words::Frame* welcome = out_.last(2, words::Frame::kWelcome);
  ASSERT_NE(welcome, nullptr);
  ASSERT_EQ(welcome->welcome().held_size(), 1);
  EXPECT_EQ(to_range_set(welcome->welcome().held(0).ranges()), set_of({{1, 2}, {5, 5}}));
  EXPECT_EQ(welcome->welcome().definitions_size(), 1);
}

TEST_F(RoomCoreTest, WelcomeShowsTheContentOfWhatTheBoxDidNotKnow) {
  greet();
  std::vector<std::uint64_t> hashes;
  for (const std::uint64_t sequence : {1U, 2U, 3U, 4U, 7U}) {
    const Entry entry = batch(sequence);
    hashes.push_back(short_hash(entry.hash));
    give(entry);
  }
  give(tombstone(8, kIncarnation, {5, 5}));
  settle();
  words::Frame again = hello(box_, session_);
  words::IncarnationState* state = again.mutable_hello()->add_incarnations();
  state->set_incarnation(kIncarnation);
  state->set_first(1);
  state->set_last(8);
  add_ranges(set_of({{2, 2}, {8, 8}}), kMaxKnownRanges, state->mutable_known());
  room_->hello(2, again.hello(), now_);
  const words::Frame* welcome = out_.last(2, words::Frame::kWelcome);
  ASSERT_NE(welcome, nullptr);
  const words::Held& held = welcome->welcome().held(0);
  EXPECT_EQ(to_range_set(held.ranges()), set_of({{1, 5}, {7, 8}}));
  ASSERT_EQ(held.contents_size(), 3);
  EXPECT_EQ(held.contents(0).first(), 1U);
  EXPECT_EQ(held.contents(0).hashes(0), hashes[0]);
  EXPECT_EQ(held.contents(1).first(), 3U);
  ASSERT_EQ(held.contents(1).hashes_size(), 2) << "5 is answered by a tombstone: no content";
  EXPECT_EQ(held.contents(1).hashes(1), hashes[3]);
  EXPECT_EQ(held.contents(2).first(), 7U);
  EXPECT_EQ(held.contents(2).hashes(0), hashes[4]);
  EXPECT_EQ(held.shown_from(), 0U) << "all is shown";
}

TEST_F(RoomCoreTest, AWelcomeShowsAtMostSoManyContentsTheNewest) {
  greet();
  constexpr std::uint64_t kMany = kMaxHeldHashes + 5;
  for (std::uint64_t sequence = 1; sequence <= kMany; ++sequence) give(batch(sequence, 0, 1));
  settle();
  greet(2);
  const words::Frame* welcome = out_.last(2, words::Frame::kWelcome);
  ASSERT_NE(welcome, nullptr);
  ASSERT_TRUE(parse_frame(serialise(*welcome)).ok());
  const words::Held& held = welcome->welcome().held(0);
  ASSERT_EQ(held.contents_size(), 1);
  EXPECT_EQ(held.contents(0).first(), 6U);
  EXPECT_EQ(held.contents(0).hashes_size(), kMaxHeldHashes);
  EXPECT_EQ(held.shown_from(), 6U);
}

TEST_F(RoomCoreTest, AcknowledgesOnlyWhatIsCommitted) {
  greet();
  give(batch(1));
  room_->step(now_);
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 0);
  EXPECT_EQ(rows_on_disk(), 0);
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 1);
  EXPECT_EQ(rows_on_disk(), 1);
  EXPECT_EQ(acknowledged(), set_of({{1, 1}}));
}

TEST_F(RoomCoreTest, OneCommitAndOneAckForWhatCameTogether) {
  greet();
  for (std::uint64_t sequence = 1; sequence <= 50; ++sequence) give(batch(sequence));
  settle();
  EXPECT_EQ(room_->counters().commits, 1U);
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 1);
  EXPECT_EQ(acknowledged(), set_of({{1, 50}}));
}

TEST_F(RoomCoreTest, EveryStoredRangeIsInTheAcksOfItsCommitHoweverManyThereAre) {
  greet();
  RangeSet sent;
  for (std::uint64_t sequence = 2; sequence <= 400; sequence += 2) {
    give(batch(sequence, 0, 3));
    sent.add(sequence);
  }
  settle();
  EXPECT_EQ(acknowledged(), sent);
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 4) << "200 ranges, 64 in a frame";
}

TEST_F(RoomCoreTest, PutsPartsTogetherWhileALiveEntryOvertakes) {
  greet();
  const Entry old = batch(1, 0, 3000);
  const Entry fresh = batch(9);
  give(kBox, define(old.definitions[0]));
  const auto slow = parts(old, 100, words::BACKFILL);
  ASSERT_GT(slow.size(), 3U);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    give(kBox, slow[i]);
    if (i == 1) give(kBox, parts(fresh)[0]);
  }
  settle();
  EXPECT_EQ(acknowledged(), set_of({{1, 1}, {9, 9}}));
}

TEST_F(RoomCoreTest, AnEntryThatBeginsAgainReplacesItsOpenParts) {
  greet();
  const Entry entry = batch(1, 0, 3000);
  give(kBox, define(entry.definitions[0]));
  give(kBox, parts(entry, 100)[0]);
  give(entry);
  settle();
  EXPECT_EQ(acknowledged(), set_of({{1, 1}}));
}

TEST_F(RoomCoreTest, APartThatLeavesAHoleOrRepeatsOrMixesIsAProtocolError) {
  const Entry entry = batch(1, 0, 3000);
  const Entry other = batch(2, 1, 3000);
  const auto own = parts(entry, 100);
  const std::vector<std::vector<words::Frame>> hostile = {
      {own[0], own[2]}, {own[0], own[1], own[1]}, {own[1]}, {own[0], parts(other, 100)[1]}};
  ConnectionId id = 10;
  for (const auto& frames : hostile) {
    greet(++id);
    for (const words::Frame& frame : frames) give(id, frame);
    EXPECT_EQ(out_.closed[id], CloseCode::kProtocolError);
    settle();
    EXPECT_TRUE(held().empty());
  }
}

TEST_F(RoomCoreTest, ADuplicateIsAcknowledgedAgainAndNotStored) {
  greet();
  give(batch(1));
  give(batch(1));  // While the first still waits for its commit.
  settle();
  EXPECT_EQ(rows_on_disk(), 1);
  give(batch(1));
  settle();
  EXPECT_EQ(rows_on_disk(), 1);
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 2);
  EXPECT_EQ(room_->counters().duplicates, 2U);
}

TEST_F(RoomCoreTest, ADuplicateIsFoundHoweverMuchCameSince) {
  greet();
  constexpr std::uint64_t kEntries = 500;
  for (std::uint64_t sequence = 1; sequence <= kEntries; ++sequence) give(batch(sequence));
  settle();
  give(batch(1));
  settle();
  EXPECT_EQ(rows_on_disk(), static_cast<std::int64_t>(kEntries));
  EXPECT_EQ(room_->counters().duplicates, 1U);
}

TEST_F(RoomCoreTest, OtherContentUnderAHeldKeyIsAConflictAndTheRoomKeepsItsOwn) {
  greet();
  const Entry own = batch(1, 1);
  const Entry other = batch(1, 2);
  give(own);
  settle();
  give(other);
  settle();
  const words::Frame* conflict = out_.last(kBox, words::Frame::kConflict);
  ASSERT_NE(conflict, nullptr);
  EXPECT_EQ(conflict->conflict().incarnation(), kIncarnation);
  EXPECT_EQ(conflict->conflict().first(), 1U);
  EXPECT_EQ(conflict->conflict().held_hash(), own.hash);
  EXPECT_EQ(out_.count(kBox, words::Frame::kAck), 1) << "a conflict is never acknowledged";
  EXPECT_EQ(room_->counters().conflicts, 1U);
  EXPECT_FALSE(out_.closed.contains(kBox));
  view(kViewer, false, true);
  settle();
  ASSERT_EQ(out_.received[kViewer].entries.size(), 1U);
  EXPECT_EQ(out_.received[kViewer].entries[0].bytes, own.bytes);
  crash();
  EXPECT_EQ(room_->state().totals.conflicts, 1U) << "the alarm survives a restart";
}

TEST_F(RoomCoreTest, TheSameSequenceOfAnotherIncarnationOrBoxIsAnotherEntry) {
  greet();
  give(batch(1, 1));
  Entry other = batch(1, 2);
  other.incarnation = 77;
  give(other);
  settle();
  EXPECT_EQ(rows_on_disk(), 2);
  box_ = Uuid::mint();
  greet(2);
  const Entry third = batch(1, 3);
  for (const words::Frame& part : parts(third)) give(2, part);
  settle();
  EXPECT_EQ(rows_on_disk(), 3);
  EXPECT_EQ(room_->counters().conflicts, 0U);
}

TEST_F(RoomCoreTest, DamagedBytesAreRefusedWithTheirKeyAndNothingOfThemIsKept) {
  const Entry good = batch(1);
  std::vector<Entry> damaged;
  damaged.push_back(good);
  damaged.back().bytes[good.bytes.size() / 2] ^= 0x10;
  damaged.push_back(good);
  damaged.back().hash[3] ^= 1;
  damaged.push_back(good);
  damaged.back().car = "28";  // The car is part of what the hash covers.
  damaged.push_back(lap(1, 3, 92'345));
  damaged.back().bytes.back() ^= 1;
  ConnectionId id = 10;
  for (const Entry& entry : damaged) {
    greet(++id);
    give(id, define(good.definitions[0]));
    for (const words::Frame& part : parts(entry)) give(id, part);
    settle();
    EXPECT_EQ(out_.closed[id], CloseCode::kProtocolError);
    const words::Frame* goodbye = out_.last(id, words::Frame::kGoodbye);
    ASSERT_NE(goodbye, nullptr);
    EXPECT_TRUE(goodbye->goodbye().reason().starts_with("content_mismatch 9f00000000000001/1"));
    EXPECT_TRUE(held().empty());
  }
  EXPECT_EQ(room_->counters().refused, damaged.size());
}

TEST_F(RoomCoreTest, WhatCameBeforeDamagedBytesIsAcknowledgedBeforeTheGoodbye) {
  greet();
  give(batch(1));
  Entry damaged = batch(2);
  damaged.hash[0] ^= 1;
  give(damaged);
  ASSERT_TRUE(out_.closed.contains(kBox));
  EXPECT_EQ(acknowledged(), set_of({{1, 1}}));
  EXPECT_EQ(out_.frames[kBox].back().body_case(), words::Frame::kGoodbye);
}

TEST_F(RoomCoreTest, ABatchOfAnUnknownDefinitionIsRefused) {
  greet();
  for (const words::Frame& part : parts(batch(1))) give(kBox, part);
  EXPECT_EQ(out_.closed[kBox], CloseCode::kProtocolError);
}

TEST_F(RoomCoreTest, ADefinitionUnderAFalseNameIsRefused) {
  greet();
  words::Frame frame = define(definition_of("motion"));
  (*frame.mutable_definition()->mutable_name())[0] ^= 1;
  give(kBox, frame);
  EXPECT_EQ(out_.closed[kBox], CloseCode::kProtocolError);
}

TEST_F(RoomCoreTest, AnEventOfANewerKindIsKeptAndHandedOn) {
  greet();
  Entry entry;
  entry.is_event = true;
  entry.bytes = std::string("\x08\x02\xA2\x06\x02hi", 7);  // time_ns, and a field 100.
  entry.hash = hash_event(entry.bytes).raw();
  give(entry);
  settle();
  view(kViewer, false, true);
  settle();
  ASSERT_EQ(out_.received[kViewer].entries.size(), 1U);
  EXPECT_EQ(out_.received[kViewer].entries[0].bytes, entry.bytes);
}

TEST_F(RoomCoreTest, ATombstoneAnswersItsRangeAndDataStillBeatsIt) {
  greet();
  give(batch(5));
  give(tombstone(6, kIncarnation, {1, 4}));
  settle();
  EXPECT_EQ(held(), set_of({{1, 6}}));
  EXPECT_EQ(acknowledged(), set_of({{1, 6}}));
  give(batch(3));
  settle();
  EXPECT_EQ(rows_on_disk(), 3);
  EXPECT_EQ(room_->counters().conflicts, 0U);
  crash();
  EXPECT_EQ(held(), set_of({{1, 6}}));
}

TEST_F(RoomCoreTest, SaysCompleteOnlyOnceEveryFinalSequenceIsHeld) {
  greet();
  give(batch(1));
  give(batch(3));
  give(kBox, finished({{kIncarnation, 3}, {77, 1}, {78, 0}}));
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kSessionComplete), 0);
  give(batch(2));
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kSessionComplete), 0) << "77 is still missing";
  give(tombstone(4, 77, {1, 1}));
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kSessionComplete), 1);
  crash();
  EXPECT_TRUE(room_->state().is_complete);
  greet();
  give(kBox, finished({{kIncarnation, 3}, {77, 1}, {78, 0}}));
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kSessionComplete), 1) << "asked again, answered again";
}

TEST_F(RoomCoreTest, ASessionOfNothingIsComplete) {
  greet();
  give(kBox, finished({}));
  settle();
  EXPECT_EQ(out_.count(kBox, words::Frame::kSessionComplete), 1);
}

TEST_F(RoomCoreTest, TheNewestConnectionOfABoxWins) {
  greet(1);
  give(batch(1));
  greet(2);
  EXPECT_EQ(out_.closed[1], CloseCode::kReplaced);
  const words::Frame* goodbye = out_.last(1, words::Frame::kGoodbye);
  ASSERT_NE(goodbye, nullptr);
  EXPECT_EQ(goodbye->goodbye().reason(), "replaced");
  EXPECT_GT(goodbye->goodbye().retry_after_ms(), 0U);
  const words::Frame* welcome = out_.last(2, words::Frame::kWelcome);
  ASSERT_NE(welcome, nullptr);
  EXPECT_EQ(welcome->welcome().held_size(), 1) << "what the old one brought is in the Welcome";
  room_->disconnected(1, now_);
  EXPECT_TRUE(room_->is_box_connected()) << "the old one's end is not the new one's";
}

TEST_F(RoomCoreTest, RefusesAHelloOfAnotherVersionSessionOrNoBox) {
  words::Frame frame = hello(box_, session_);
  frame.mutable_hello()->set_version(2);
  room_->hello(1, frame.hello(), now_);
  frame = hello(box_, Uuid::mint());
  room_->hello(2, frame.hello(), now_);
  frame = hello(Uuid{}, session_);
  room_->hello(3, frame.hello(), now_);
  for (const ConnectionId id : {1U, 2U, 3U}) {
    EXPECT_EQ(out_.closed[id], CloseCode::kHelloRefused);
    ASSERT_NE(out_.last(id, words::Frame::kGoodbye), nullptr);
    EXPECT_FALSE(out_.last(id, words::Frame::kGoodbye)->goodbye().reason().empty());
  }
  EXPECT_FALSE(room_->is_box_connected());
}

TEST_F(RoomCoreTest, FramesThatABoxOrAViewerDoesNotSendCloseTheConnection) {
  greet();
  words::Frame ack;
  ack.mutable_ack()->set_incarnation(1);
  give(kBox, ack);
  EXPECT_EQ(out_.closed[kBox], CloseCode::kProtocolError);
  view(kViewer, true, false);
  give(kViewer, parts(batch(1))[0]);
  EXPECT_EQ(out_.closed[kViewer], CloseCode::kProtocolError);
  give(kViewer, parts(batch(1))[0]);  // What was still on the way is ignored.
  settle();
  EXPECT_TRUE(held().empty());
}

TEST_F(RoomCoreTest, PullAndSlowReachTheBox) {
  EXPECT_EQ(room_->slow(1000, 500).code(), Code::kRejected) << "there is none yet";
  greet();
  EXPECT_TRUE(room_->pull(kIncarnation, set_of({{3, 4}, {9, 9}})).ok());
  EXPECT_TRUE(room_->slow(1000, 500).ok());
  ASSERT_NE(out_.last(kBox, words::Frame::kPull), nullptr);
  EXPECT_EQ(out_.last(kBox, words::Frame::kPull)->pull().ranges_size(), 2);
  EXPECT_EQ(out_.last(kBox, words::Frame::kSlow)->slow().for_ms(), 500U);
}

TEST_F(RoomCoreTest, AStoreThatCannotWriteClosesEverybodyAndAcknowledgesNothing) {
  greet();
  give(batch(1));
  settle();
  view(kViewer, true, false);
  {
    auto other =
        Database::open(directory_.path() / (session_.text() + ".db"), Database::Mode::kReadWrite);
    ASSERT_TRUE(other.ok());
    const auto lock = Transaction::begin(other.value());
    ASSERT_TRUE(lock.ok());
    give(batch(2));
  }
  EXPECT_TRUE(room_->has_failed());
  EXPECT_EQ(out_.closed[kBox], CloseCode::kInternal);
  EXPECT_EQ(out_.closed[kViewer], CloseCode::kInternal);
  EXPECT_EQ(acknowledged(), set_of({{1, 1}}));
  crash();
  EXPECT_EQ(held(), set_of({{1, 1}}));
}

TEST_F(RoomCoreTest, SaysGoodbyeToAllAfterCommittingWhatWaits) {
  greet();
  view(kViewer, true, false);
  room_->add_page(kViewer + 1, now_);
  give(batch(1));
  room_->shut_down("server_closing", 1000);
  EXPECT_EQ(acknowledged(), set_of({{1, 1}}));
  for (const ConnectionId id : {kBox, kViewer}) {
    EXPECT_EQ(out_.closed[id], CloseCode::kGoingAway);
    EXPECT_EQ(out_.last(id, words::Frame::kGoodbye)->goodbye().reason(), "server_closing");
  }
  EXPECT_EQ(nlohmann::json::parse(out_.texts[kViewer + 1].back())["reason"], "server_closing");
}

// The box's side of the contract in twenty lines: it sends what Welcome and Acks did not name.
// Whatever step the room is killed at, and however often, the room ends with each entry once, and
// never had less than it acknowledged.
TEST_F(RoomCoreTest, SurvivesAKillBetweenAnyTwoSteps) {
  std::vector<Entry> journal;
  for (std::uint64_t sequence = 1; sequence <= 12; ++sequence) {
    journal.push_back(sequence % 4 == 0
                          ? lap(sequence, static_cast<std::uint32_t>(sequence), 90'000)
                          : batch(sequence, static_cast<int>(sequence), 40));
  }
  bool was_killed = true;
  for (int kill_at = 0; was_killed; ++kill_at) {
    session_ = Uuid::mint();
    crash();
    RangeSet promised;
    RangeSet has;
    was_killed = false;
    std::mt19937 random(static_cast<unsigned>(kill_at));
    int step = 0;
    for (int life = 0; life < 2; ++life) {
      greet();
      promised.add_all(acknowledged());
      const auto* welcome = out_.last(kBox, words::Frame::kWelcome);
      ASSERT_NE(welcome, nullptr);
      has.clear();
      for (const auto& held : welcome->welcome().held()) has.add_all(to_range_set(held.ranges()));
      for (const Range& range : promised.ranges()) ASSERT_TRUE(has.contains(range)) << kill_at;
      for (const Entry& entry : journal) {
        if (has.contains(entry.sequence)) continue;
        std::vector<words::Frame> frames;
        for (const DefinitionPtr& used : entry.definitions) frames.push_back(define(used));
        for (words::Frame& part : parts(entry, 150)) frames.push_back(std::move(part));
        for (const words::Frame& frame : frames) {
          was_killed = was_killed || (life == 0 && step++ == kill_at);
          if (was_killed && life == 0) break;
          give(kBox, frame);
          if (random() % 5 == 0) settle();
        }
        if (was_killed && life == 0) break;
      }
      promised.add_all(acknowledged());
      if (life == 0) crash();
    }
    settle();
    has.add_all(acknowledged());
    ASSERT_EQ(has, held()) << "all of it was in the Welcome or acknowledged";
    ASSERT_EQ(held(), set_of({{1, 12}}));
    ASSERT_EQ(rows_on_disk(), 12);
    ASSERT_EQ(room_->counters().conflicts, 0U);
  }
}

}  // namespace
}  // namespace pitbox
