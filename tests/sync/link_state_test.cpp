// The link's state as promises: the table over poll rounds, when rounds start and end, and that
// offline comes 24 to 33 s after a cut, whatever the moment of the cut. Time is passed in.

#include "sync/link_state.h"

#include <gtest/gtest.h>

#include <set>

#include "sync/poll_rounds.h"

namespace pitbox {
namespace {

constexpr BootNs kSecond = 1'000'000'000;

PollRound round_of(bool health, bool auth, bool room) {
  PollRound round;
  round.health = {true, health, health ? LinkReason::kNone : LinkReason::kUnreachable, "health"};
  round.auth = {true, auth, auth ? LinkReason::kNone : LinkReason::kAuthRejected, "auth"};
  round.room = {true, room, room ? LinkReason::kNone : LinkReason::kNoAck, "room"};
  return round;
}

TEST(LinkTable, OneRoundThatSucceedsIsOnline) {
  LinkCondition before;
  before.state = LinkState::kOffline;
  before.failures = 9;
  const auto after = after_round(before, round_of(true, true, true), 5);
  EXPECT_EQ(after.state, LinkState::kOnline);
  EXPECT_EQ(after.failures, 0);
  EXPECT_EQ(after.reason, LinkReason::kNone);
  EXPECT_EQ(after.since_ms, 5);
}

TEST(LinkTable, FourFailuresAreReconnectingAndTheFifthIsOffline) {
  LinkCondition condition = after_round({}, round_of(true, true, true), 1);
  for (int failure = 1; failure <= 4; ++failure) {
    condition = after_round(condition, round_of(true, true, false), 10 + failure);
    EXPECT_EQ(condition.state, LinkState::kReconnecting) << failure;
    EXPECT_EQ(condition.since_ms, 11) << "since the first failure";
  }
  condition = after_round(condition, round_of(true, true, false), 20);
  EXPECT_EQ(condition.state, LinkState::kOffline);
  EXPECT_EQ(condition.since_ms, 20);
  EXPECT_EQ(condition.reason, LinkReason::kNoAck);
  EXPECT_EQ(condition.reason_ms, 11);
  EXPECT_EQ(condition.error, "room");
}

TEST(LinkTable, AnyConfiguredPartThatFailsFailsTheRound) {
  for (int failing = 0; failing < 3; ++failing) {
    const auto after = after_round({}, round_of(failing != 0, failing != 1, failing != 2), 1);
    EXPECT_EQ(after.state, LinkState::kReconnecting) << failing;
    EXPECT_NE(after.reason, LinkReason::kNone);
  }
}

TEST(LinkTable, APartThatIsNotConfiguredDoesNotCount) {
  PollRound round = round_of(false, false, true);
  round.health.configured = false;
  round.auth.configured = false;
  EXPECT_EQ(after_round({}, round, 1).state, LinkState::kOnline);
}

TEST(LinkTable, NothingToPollIsOfflineAndPaused) {
  PollRound round;
  auto after = after_round({}, round, 7);
  EXPECT_EQ(after.state, LinkState::kOffline);
  EXPECT_EQ(after.reason, LinkReason::kPaused);
  EXPECT_EQ(after.error, "no room is configured (room.url)");
  round.has_room = true;
  after = after_round({}, round, 7);
  EXPECT_EQ(after.state, LinkState::kOffline);
  EXPECT_EQ(after.reason, LinkReason::kPaused);
  EXPECT_EQ(after.error, "there is no session to connect for");
}

TEST(LinkTable, OfTwoReasonsTheOneToActOnIsTold) {
  const auto after = after_round({}, round_of(false, false, false), 1);
  EXPECT_EQ(after.reason, LinkReason::kAuthRejected);
  EXPECT_EQ(after.error, "auth");
  EXPECT_EQ(more_telling(LinkReason::kUnreachable, LinkReason::kTls), LinkReason::kTls);
  EXPECT_EQ(more_telling(LinkReason::kNone, LinkReason::kPaused), LinkReason::kPaused);
}

TEST(LinkTable, OfflineAlwaysSaysWhy) {
  LinkCondition condition;
  PollRound silent;
  silent.room.configured = true;  // Failed, and nobody said why.
  for (int i = 0; i < 5; ++i) condition = after_round(condition, silent, i);
  EXPECT_EQ(condition.state, LinkState::kOffline);
  EXPECT_FALSE(to_string(condition.reason).empty());
}

TEST(LinkTable, EveryReasonHasItsOwnWord) {
  std::set<std::string_view> words;
  for (int i = 1; i <= static_cast<int>(LinkReason::kPaused); ++i) {
    words.insert(to_string(static_cast<LinkReason>(i)));
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(LinkReason::kPaused));
  EXPECT_FALSE(words.contains(""));
}

class Rounds : public ::testing::Test {
 protected:
  void SetUp() override { rounds_.configure(true, true, true); }
  void answer_all(bool ok) {
    for (const PollKind kind : {PollKind::kHealth, PollKind::kAuth, PollKind::kRoom}) {
      rounds_.answer(kind, ok, LinkReason::kRefused, "no");
    }
  }
  PollRounds rounds_{PollRounds::Options{}};
};

TEST_F(Rounds, StartEverySixSecondsStartToStartAlsoWhenOneTimesOut) {
  const BootNs begin = 100 * kSecond;
  ASSERT_TRUE(rounds_.try_start(begin));
  EXPECT_FALSE(rounds_.try_finish(begin + 3 * kSecond - 1).has_value());
  ASSERT_TRUE(rounds_.try_finish(begin + 3 * kSecond).has_value());
  EXPECT_FALSE(rounds_.try_start(begin + 6 * kSecond - 1));
  EXPECT_EQ(rounds_.next_at(), begin + 6 * kSecond);
  EXPECT_TRUE(rounds_.try_start(begin + 6 * kSecond));
}

TEST_F(Rounds, EndAsSoonAsEveryPartHasAnswered) {
  ASSERT_TRUE(rounds_.try_start(0));
  answer_all(true);
  const auto round = rounds_.try_finish(1);
  ASSERT_TRUE(round.has_value());
  EXPECT_TRUE(round->health.ok && round->auth.ok && round->room.ok);
  EXPECT_FALSE(rounds_.try_finish(2).has_value()) << "a round is given once";
}

TEST_F(Rounds, WhatDidNotAnswerInTimeHasFailed) {
  ASSERT_TRUE(rounds_.try_start(0));
  rounds_.answer(PollKind::kHealth, true, LinkReason::kNone, {});
  rounds_.answer(PollKind::kAuth, true, LinkReason::kNone, {});
  const auto round = rounds_.try_finish(3 * kSecond);
  ASSERT_TRUE(round.has_value());
  EXPECT_TRUE(round->health.ok);
  EXPECT_FALSE(round->room.ok);
  EXPECT_EQ(round->room.reason, LinkReason::kUnreachable);
}

TEST_F(Rounds, ASocketThatOpensOrClosesStartsOneAtOnce) {
  ASSERT_TRUE(rounds_.try_start(0));
  answer_all(true);
  ASSERT_TRUE(rounds_.try_finish(1).has_value());
  rounds_.trigger();
  EXPECT_TRUE(rounds_.try_start(2));
  rounds_.trigger();  // While it runs: right after it.
  EXPECT_FALSE(rounds_.try_start(3));
  answer_all(false);
  ASSERT_TRUE(rounds_.try_finish(3).has_value());
  EXPECT_TRUE(rounds_.try_start(4));
}

TEST_F(Rounds, AnAnswerThatComesTooLateOrTwiceIsIgnored) {
  rounds_.answer(PollKind::kRoom, true, LinkReason::kNone, {});
  ASSERT_TRUE(rounds_.try_start(0));
  rounds_.answer(PollKind::kRoom, false, LinkReason::kNoAck, "gone");
  rounds_.answer(PollKind::kRoom, true, LinkReason::kNone, {});
  const auto round = rounds_.try_finish(3 * kSecond);
  ASSERT_TRUE(round.has_value());
  EXPECT_FALSE(round->room.ok);
  EXPECT_EQ(round->room.reason, LinkReason::kNoAck);
}

TEST_F(Rounds, ACutIsCalledOfflineAfter24To33Seconds) {
  for (BootNs cut = 0; cut < 6 * kSecond; cut += kSecond / 4) {
    PollRounds rounds{PollRounds::Options{}};
    rounds.configure(true, true, true);
    LinkCondition condition;
    BootNs offline_at = 0;
    for (BootNs now = 0; offline_at == 0; now += kSecond / 20) {
      if (rounds.try_start(now) && now < cut) {
        for (const PollKind kind : {PollKind::kHealth, PollKind::kAuth, PollKind::kRoom}) {
          rounds.answer(kind, true, LinkReason::kNone, {});
        }
      }
      if (const auto round = rounds.try_finish(now)) condition = after_round(condition, *round, 1);
      if (condition.state == LinkState::kOffline) offline_at = now;
      ASSERT_LT(now, 60 * kSecond);
    }
    EXPECT_GE(offline_at - cut, 24 * kSecond) << cut;
    EXPECT_LE(offline_at - cut, 33 * kSecond) << cut;
  }
}

}  // namespace
}  // namespace pitbox
