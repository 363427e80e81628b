// Goal: a room stores each entry once, acknowledges only what its file has, keeps its own in a
// conflict, refuses what is damaged, and can be dropped at any moment. Method: the real store in a
// temporary directory, a fake Outbound, time passed in; a crash is the object's end without a
// commit.

#include "room/room_core.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "conversation.h"

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ConnectionId kBox = 1;
constexpr ConnectionId kViewer = 100;
constexpr std::uint64_t kIncarnation = 0x9F00'0000'0000'0001;

class RoomCoreTest : public ::testing::Test {
 protected:
  RoomCoreTest() { open(); }

  void open() {
    RoomStore::Options options;
    options.file = directory_.path() / (session_.text() + ".db");
    options.session = session_;
    options.create = true;
    auto store = RoomStore::open(options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    room_ = std::make_unique<RoomCore>(std::move(store).take(), out_, options_);
  }
  // As after SIGKILL: what was not committed is gone, with every connection.
  void crash() {
    room_.reset();
    out_ = FakeOutbound();
    open();
  }

  void give(ConnectionId id, const words::Frame& frame) {
    room_->receive(id, frame, serialise(frame), now_);
  }
  void give(const Entry& entry, std::size_t part_bytes = 1 << 16) {
    for (const DefinitionPtr& used : entry.definitions) give(kBox, define(used));
    for (const words::Frame& part : parts(entry, part_bytes)) give(kBox, part);
  }
  void greet(ConnectionId id = kBox) { room_->hello(id, hello(box_, session_).hello(), now_); }
  void view(ConnectionId id, bool live, bool history) {
    room_->subscribe(id, subscribe(session_, live, history).subscribe(), now_);
  }
  // Lets enough time pass for a commit.
  void settle() {
    now_ += milliseconds(20);
    while (room_->step(now_)) {
    }
  }
  RangeSet acknowledged(ConnectionId id = kBox) {
    return out_.received[id].acknowledged[kIncarnation];
  }
  RangeSet held(std::uint64_t incarnation = kIncarnation) {
    for (const auto& [id, file] : room_->store().files()) {
      if (file.incarnation == incarnation) return file.held;
    }
    return {};
  }
  // What another process sees in the room's file right now.
  std::int64_t rows_on_disk() {
    auto database =
        Database::open(directory_.path() / (session_.text() + ".db"), Database::Mode::kReadOnly);
    EXPECT_TRUE(database.ok());
    return database.value().integer("SELECT count(*) FROM entries").value();
  }

  TemporaryDirectory directory_;
  Uuid session_ = Uuid::mint();
  Uuid box_ = Uuid::mint();
  RoomCore::Options options_;
  RoomCore::Clock::time_point now_{seconds(1000)};
  FakeOutbound out_;
  std::unique_ptr<RoomCore> room_;
};

RangeSet set_of(std::initializer_list<Range> ranges) {
  RangeSet set;
  for (const Range& range : ranges) set.add(range);
  return set;
}

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

TEST_F(RoomCoreTest, ALateViewerGetsDefinitionsThenHistoryThenLive) {
  greet();
  give(lap(1, 1, 92'345));
  give(batch(2));
  give(batch(3, 1, 20, "28", "engine"));
  settle();
  view(kViewer, true, true);
  settle();
  EXPECT_EQ(out_.received[kViewer].history_end, 3U);
  give(batch(4, 2));
  EXPECT_EQ(out_.received[kViewer].entries.size(), 3U) << "not before the commit";
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), (std::vector<std::uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(out_.count(kViewer, words::Frame::kDefinition), 2) << "each once";
  EXPECT_EQ(out_.received[kViewer].entries[1].hash, batch(2).hash);
  EXPECT_EQ(out_.received[kViewer].entries[2].car, "28");
}

TEST_F(RoomCoreTest, HistoryAloneGivesAllAndEnds) {
  greet();
  std::vector<std::uint64_t> want;
  for (std::uint64_t sequence = 1; sequence <= 500; ++sequence) {
    give(batch(sequence, static_cast<int>(sequence), 5));
    want.push_back(sequence);
  }
  settle();
  view(kViewer, false, true);
  settle();
  give(batch(501));
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), want);
  EXPECT_EQ(out_.received[kViewer].history_end, 500U);
}

TEST_F(RoomCoreTest, AViewerOfWhatComesGetsTheLapsThatWere) {
  greet();
  give(lap(1, 1, 92'345));
  give(batch(2));
  give(lap(3, 2, 91'000));
  settle();
  view(kViewer, true, false);
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), (std::vector<std::uint64_t>{1, 3}));
  EXPECT_EQ(out_.received[kViewer].history_end, 2U);
}

TEST_F(RoomCoreTest, FiltersByCarAndByEvents) {
  greet();
  give(batch(1, 0, 20, "27"));
  give(batch(2, 0, 20, "28"));
  give(lap(3, 1, 92'345, "27"));
  give(tombstone(4, 5, {1, 1}));
  settle();
  words::Frame frame = subscribe(session_, true, true);
  frame.mutable_subscribe()->set_car("28");
  room_->subscribe(kViewer, frame.subscribe(), now_);
  frame = subscribe(session_, true, true);
  frame.mutable_subscribe()->set_events_only(true);
  room_->subscribe(kViewer + 1, frame.subscribe(), now_);
  settle();
  give(batch(5, 0, 20, "27"));
  give(batch(6, 0, 20, "28"));
  give(lap(7, 2, 92'000, "27"));
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), (std::vector<std::uint64_t>{2, 4, 6}));
  EXPECT_EQ(out_.received[kViewer + 1].sequences(), (std::vector<std::uint64_t>{3, 4, 7}));
}

TEST_F(RoomCoreTest, AViewerThatFallsBehindStillGetsEveryEntryOnce) {
  greet();
  view(kViewer, true, false);
  settle();
  std::vector<std::uint64_t> want;
  std::uint64_t sequence = 0;
  for (int round = 0; round < 6; ++round) {
    // Stuck in every second round: nothing may be pushed then, and nothing lost.
    if (round % 2 == 1) out_.stuck[kViewer] = kPauseBytes;
    for (int i = 0; i < 30; ++i) {
      want.push_back(++sequence);
      give(batch(sequence, i, 10));
    }
    settle();
    out_.stuck.clear();
  }
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), want);
}

TEST_F(RoomCoreTest, LiveFlowsWhileHistoryIsHeldBack) {
  greet();
  for (std::uint64_t sequence = 1; sequence <= 10; ++sequence) give(batch(sequence));
  settle();
  view(kViewer, true, true);
  out_.stuck[kViewer] = kPauseBytes / 2;  // Room for live entries, none for history.
  settle();
  give(batch(11));
  settle();
  EXPECT_EQ(out_.received[kViewer].sequences(), (std::vector<std::uint64_t>{11}));
  out_.stuck.clear();
  settle();
  EXPECT_EQ(out_.received[kViewer].entries.size(), 11U);
  EXPECT_EQ(out_.received[kViewer].history_end, 10U);
}

words::Frame live_frame(const std::string& car, double value) {
  words::Frame frame;
  frame.mutable_live_view()->set_car(car);
  words::LiveValue* made = frame.mutable_live_view()->add_values();
  made->set_channel("speed");
  made->set_unit("km/h");
  made->set_value(value);
  return frame;
}

TEST_F(RoomCoreTest, LiveViewsArePassedOnShedFirstAndRememberedForTheLate) {
  greet();
  view(kViewer, true, false);
  give(kBox, live_frame("27", 101));
  EXPECT_EQ(out_.received[kViewer].live_views, 1);
  out_.stuck[kViewer] = kShedBytes;
  give(kBox, live_frame("27", 102));
  EXPECT_EQ(out_.received[kViewer].live_views, 1);
  EXPECT_EQ(room_->viewer_counters().live_views_shed, 1U);
  view(kViewer + 1, true, false);
  const words::Frame* live = out_.last(kViewer + 1, words::Frame::kLiveView);
  ASSERT_NE(live, nullptr);
  EXPECT_EQ(live->live_view().values(0).value(), 102);
  view(kViewer + 2, false, true);
  EXPECT_EQ(out_.count(kViewer + 2, words::Frame::kLiveView), 0) << "did not ask for live";
}

TEST_F(RoomCoreTest, AViewerThatTakesNothingIsClosedAsTooSlow) {
  greet();
  view(kViewer, true, false);
  settle();
  out_.stuck[kViewer] = 100;
  now_ += seconds(29);
  room_->step(now_);
  EXPECT_FALSE(out_.closed.contains(kViewer));
  now_ += seconds(2);
  room_->step(now_);
  EXPECT_EQ(out_.closed[kViewer], CloseCode::kTooSlow);
  EXPECT_EQ(room_->viewer_counters().too_slow, 1U);
}

TEST_F(RoomCoreTest, APageIsToldLapsStateAndEventsAsJson) {
  greet();
  give(lap(1, 1, 92'345, "007"));
  settle();
  room_->add_page(kViewer, now_);
  give(lap(2, 2, 91'000, "<b>\"27\"</b>"));
  give(kBox, live_frame("007", 180.5));
  settle();
  std::vector<nlohmann::json> told;
  for (const std::string& text : out_.texts[kViewer]) told.push_back(nlohmann::json::parse(text));
  ASSERT_GE(told.size(), 5U);
  EXPECT_EQ(told[0]["type"], "welcome");
  EXPECT_EQ(told[0]["session"]["name"], "FP1");
  EXPECT_EQ(told[1]["laps"][0]["car"], "007") << "leading zeros are kept";
  EXPECT_EQ(told[1]["laps"][0]["lapTimeMs"], 92'345);
  EXPECT_EQ(told[2]["type"], "state");
  EXPECT_EQ(told[2]["box"], true);
  EXPECT_EQ(told[3]["values"][0]["value"], 180.5);
  EXPECT_EQ(told[4]["lap"]["car"], "<b>\"27\"</b>") << "data, whatever it looks like";
}

TEST_F(RoomCoreTest, ACorrectedLapReplacesTheEarlierOneAndAnOlderRevisionDoesNot) {
  greet();
  give(lap(1, 1, 92'345, "27", 0));
  give(lap(2, 1, 92'340, "27", 2));
  give(lap(3, 1, 92'349, "27", 1));
  settle();
  room_->add_page(kViewer, now_);
  const auto laps = nlohmann::json::parse(out_.texts[kViewer][1])["laps"];
  ASSERT_EQ(laps.size(), 1U);
  EXPECT_EQ(laps[0]["lapTimeMs"], 92'340);
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
