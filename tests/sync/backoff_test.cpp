// When a room is dialled again: bounds of the jitter for both kinds of failure, over many seeds.

#include "sync/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// The longest wait after the `failures`-th failure in a row, over many seeds.
BootNs longest(DialFailure failure, int failures, BootNs apart = 0) {
  BootNs most = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    DialBackoff backoff({}, seed);
    BootNs now = 1000;
    for (int i = 0; i < failures; ++i, now += apart) backoff.failed(now, failure);
    most = std::max(most, backoff.due_at() - (now - apart));
  }
  return most;
}

void expect_close_below(BootNs actual, std::chrono::nanoseconds bound) {
  EXPECT_LE(actual, to_ns(bound));
  EXPECT_GT(actual, to_ns(bound) * 9 / 10);
}

TEST(DialBackoff, DialsAtOnceAtFirst) {
  EXPECT_TRUE(DialBackoff({}, 1).due(0));
}

TEST(DialBackoff, ARefusalDoublesFromAQuarterSecondToThirtySeconds) {
  constexpr auto kRefused = DialFailure::kAnsweredAndRefused;
  expect_close_below(longest(kRefused, 1), milliseconds(250));
  expect_close_below(longest(kRefused, 2), milliseconds(500));
  expect_close_below(longest(kRefused, 5), seconds(4));
  expect_close_below(longest(kRefused, 8), seconds(30));
  expect_close_below(longest(kRefused, 200), seconds(30));
}

TEST(DialBackoff, SilenceIsDialledAgainWithinHalfASecond) {
  expect_close_below(longest(DialFailure::kNoAnswer, 1), milliseconds(250));
  expect_close_below(longest(DialFailure::kNoAnswer, 100), milliseconds(500));
}

TEST(DialBackoff, AfterTenMinutesOfSilenceWithinFiveSeconds) {
  expect_close_below(longest(DialFailure::kNoAnswer, 10, to_ns(seconds(66))), milliseconds(500));
  expect_close_below(longest(DialFailure::kNoAnswer, 11, to_ns(seconds(66))), seconds(5));
}

TEST(DialBackoff, JitterIsFull) {
  int short_waits = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    DialBackoff backoff({}, seed);
    for (int i = 0; i < 20; ++i) backoff.failed(0, DialFailure::kAnsweredAndRefused);
    if (backoff.due_at() < to_ns(seconds(15))) ++short_waits;
  }
  EXPECT_NEAR(short_waits, 200, 50);
}

TEST(DialBackoff, TheOthersWishIsTheLeastWait) {
  DialBackoff backoff({}, 1);
  backoff.failed(0, DialFailure::kAnsweredAndRefused, seconds(90));
  EXPECT_GE(backoff.due_at(), to_ns(seconds(90)));
}

TEST(DialBackoff, ASucceedingPollEndsTheWaitForSilenceButNotForARefusal) {
  DialBackoff silent({}, 1);
  for (int i = 0; i < 9; ++i) silent.failed(0, DialFailure::kNoAnswer);
  silent.hurry(1);
  EXPECT_TRUE(silent.due(1));
  DialBackoff refused({}, 1);
  refused.failed(0, DialFailure::kAnsweredAndRefused, seconds(20));
  refused.hurry(1);
  EXPECT_FALSE(refused.due(1));
}

TEST(DialBackoff, OnlyUsefulnessResetsIt) {
  DialBackoff backoff({}, 1);
  for (int i = 0; i < 8; ++i) backoff.failed(0, DialFailure::kAnsweredAndRefused);
  EXPECT_EQ(backoff.failures(), 8);
  backoff.useful();
  EXPECT_EQ(backoff.failures(), 0);
  backoff.failed(0, DialFailure::kAnsweredAndRefused);
  EXPECT_LE(backoff.due_at(), to_ns(milliseconds(250)));
}

}  // namespace
}  // namespace pitbox
