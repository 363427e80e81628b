// Goal: each car's laps come from its best evidence, and from that alone; method: engines that do
// as they are told.

#include "ingest/lap_engines.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace pitbox {
namespace {

// Tells a lap of each car it was told to tell of; times those it was told to.
class ToldEngine final : public TimedLaps {
 public:
  explicit ToldEngine(std::string evidence) : evidence_(std::move(evidence)) {}
  void rows(const RowBlock& block, std::vector<LapRecord>& out) override {
    if (!tells.contains(std::string(block.car))) return;
    LapRecord lap;
    lap.car = block.car;
    lap.evidence = evidence_;
    out.push_back(std::move(lap));
  }
  void finish(std::vector<LapRecord>& out) override {
    for (const std::string& car : tells) {
      LapRecord lap;
      lap.car = car;
      lap.evidence = evidence_;
      out.push_back(std::move(lap));
    }
    timed.clear();
  }
  std::string save() const override { return state; }
  Status load(std::string_view saved) override {
    if (saved == "bad") return Status::corrupt("told so");
    state = saved;
    return {};
  }
  std::uint64_t state_version() const override { return version; }
  bool times(std::string_view car) const override { return timed.contains(std::string(car)); }

  std::set<std::string> tells;
  std::set<std::string> timed;
  std::string state;
  std::uint64_t version = 0;

 private:
  const std::string evidence_;
};

class Evidence : public ::testing::Test {
 protected:
  Evidence() : engines_(made(best_, other_)) {}
  static std::vector<std::unique_ptr<TimedLaps>> made(ToldEngine*& best, ToldEngine*& other) {
    std::vector<std::unique_ptr<TimedLaps>> engines;
    engines.push_back(std::make_unique<ToldEngine>("best"));
    engines.push_back(std::make_unique<ToldEngine>("other"));
    best = static_cast<ToldEngine*>(engines[0].get());
    other = static_cast<ToldEngine*>(engines[1].get());
    return engines;
  }
  std::vector<std::string> told(std::string_view car) {
    std::vector<LapRecord> laps;
    RowBlock block;
    block.car = car;
    engines_.rows(block, laps);
    std::vector<std::string> evidence;
    for (const LapRecord& lap : laps) evidence.push_back(lap.evidence);
    return evidence;
  }

  ToldEngine* best_ = nullptr;
  ToldEngine* other_ = nullptr;
  LapEngines engines_;
};

TEST_F(Evidence, OfTheFirstEngineThatTimesTheCarCounts) {
  best_->tells = {"7"};
  best_->timed = {"7"};
  other_->tells = {"7", "8"};
  other_->timed = {"7", "8"};
  EXPECT_EQ(told("7"), std::vector<std::string>{"best"});
  EXPECT_EQ(told("8"), std::vector<std::string>{"other"});
}

TEST_F(Evidence, OfTheOtherCountsUntilTheFirstHasSome) {
  other_->tells = {"7"};
  other_->timed = {"7"};
  EXPECT_EQ(told("7"), std::vector<std::string>{"other"});
  best_->timed = {"7"};
  EXPECT_TRUE(told("7").empty());
}

TEST_F(Evidence, OfTheOtherDoesNotComeAtTheEndEither) {
  best_->timed = {"7"};
  other_->tells = {"7", "8"};
  std::vector<LapRecord> laps;
  engines_.finish(laps);
  ASSERT_EQ(laps.size(), 1U);
  EXPECT_EQ(laps[0].car, "8");
}

TEST_F(Evidence, IsSavedTogether) {
  EXPECT_TRUE(engines_.save().empty());
  best_->state = "counters";
  other_->state = std::string("\0lines", 6);
  const std::string state = engines_.save();
  ToldEngine* best = nullptr;
  ToldEngine* other = nullptr;
  LapEngines loaded(made(best, other));
  ASSERT_TRUE(loaded.load(state).ok());
  EXPECT_EQ(best->state, "counters");
  EXPECT_EQ(other->state, std::string("\0lines", 6));
  for (std::size_t size = 1; size < state.size(); ++size) {
    EXPECT_EQ(loaded.load(state.substr(0, size)).code(), Code::kCorrupt) << size;
  }
  EXPECT_EQ(loaded.load(state + "x").code(), Code::kCorrupt);
}

TEST_F(Evidence, OfOneEngineIsLostWithoutTheOther) {
  best_->state = "bad";
  other_->state = "lines";
  ToldEngine* best = nullptr;
  ToldEngine* other = nullptr;
  LapEngines loaded(made(best, other));
  ASSERT_TRUE(loaded.load(engines_.save()).ok());
  EXPECT_TRUE(best->state.empty());
  EXPECT_EQ(other->state, "lines");
}

// Journals from before there were several engines.
TEST_F(Evidence, OfTheLastEngineAloneIsRead) {
  ASSERT_TRUE(engines_.load("\x01lines").ok());
  EXPECT_EQ(other_->state, "\x01lines");
  EXPECT_TRUE(best_->state.empty());
  EXPECT_FALSE(engines_.load("bad").ok());
}

TEST_F(Evidence, ChangesWhenAnEngineDoes) {
  const std::uint64_t before = engines_.state_version();
  ++other_->version;
  EXPECT_NE(engines_.state_version(), before);
}

}  // namespace
}  // namespace pitbox
