// Goal: whoever watches a room gets every entry once and in an order he can use, whenever he came
// and however slow he is, and nobody else waits for him. Method: room_core_rig.h.

#include "room/viewers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "room_core_rig.h"

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.
using RoomViewersTest = RoomCoreRig;

TEST_F(RoomViewersTest, ALateViewerGetsDefinitionsThenHistoryThenLive) {
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

TEST_F(RoomViewersTest, HistoryAloneGivesAllAndEnds) {
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

TEST_F(RoomViewersTest, AViewerOfWhatComesGetsTheLapsThatWere) {
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

TEST_F(RoomViewersTest, FiltersByCarAndByEvents) {
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

TEST_F(RoomViewersTest, AViewerThatFallsBehindStillGetsEveryEntryOnce) {
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

TEST_F(RoomViewersTest, LiveFlowsWhileHistoryIsHeldBack) {
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

TEST_F(RoomViewersTest, LiveViewsArePassedOnShedFirstAndRememberedForTheLate) {
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

TEST_F(RoomViewersTest, AViewerThatTakesNothingIsClosedAsTooSlow) {
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

TEST_F(RoomViewersTest, APageIsToldLapsStateAndEventsAsJson) {
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

TEST_F(RoomViewersTest, ACorrectedLapReplacesTheEarlierOneAndAnOlderRevisionDoesNot) {
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

}  // namespace
}  // namespace pitbox
