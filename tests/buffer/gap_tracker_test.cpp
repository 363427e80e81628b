// Goal: a loss is never a silence and never a flood. Method: by hand.

#include "buffer/gap_tracker.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

Gap gap(std::string source, std::string reason, std::uint64_t count, std::int64_t from = 0,
        std::int64_t to = 0) {
  return Gap{.source = std::move(source),
             .car = "7",
             .reason = std::move(reason),
             .unit = "messages",
             .from_ns = from,
             .to_ns = to,
             .count = count};
}

TEST(GapTracker, MergesGapsOfOneSourceCarAndReason) {
  GapTracker tracker;
  tracker.add(gap("udp", "sequence", 2, 100, 200));
  tracker.add(gap("tcp", "sequence", 1, 1, 2));
  tracker.add(gap("udp", "sequence", 3, 50, 300));
  const std::vector<Gap> gaps = tracker.take();
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_EQ(gaps[0].count, 5U);
  EXPECT_TRUE(gaps[0].count_known);
  EXPECT_EQ(gaps[0].from_ns, 50);
  EXPECT_EQ(gaps[0].to_ns, 300);
  EXPECT_TRUE(tracker.empty());
}

TEST(GapTracker, DoesNotKnowASumWithAnUnknownPart) {
  GapTracker tracker;
  tracker.add(gap("udp", "sequence", 2));
  tracker.add(gap("udp", "sequence", 0));
  tracker.add(gap("udp", "sequence", 1));
  EXPECT_FALSE(tracker.take()[0].count_known);
}

TEST(GapTracker, MergesWithoutNamesBeyondItsLimitAndLosesNoCount) {
  GapTracker tracker;
  const std::size_t many = GapTracker::kMaxGaps + 100;
  for (std::size_t i = 0; i < many; ++i) tracker.add(gap("s" + std::to_string(i), "sequence", 1));
  const std::vector<Gap> gaps = tracker.take();
  ASSERT_EQ(gaps.size(), GapTracker::kMaxGaps + 1);
  EXPECT_EQ(gaps.back().source, "");
  EXPECT_EQ(gaps.back().count, 100U);
}

TEST(GapTracker, FollowsACountThatWrapsAndIgnoresOneThatLiesBehind) {
  EXPECT_EQ(kernel_drop_delta(5, 9), 4U);
  EXPECT_EQ(kernel_drop_delta(0xFFFFFFFE, 3), 5U);
  EXPECT_EQ(kernel_drop_delta(9, 9), 0U);
  EXPECT_EQ(kernel_drop_delta(9, 5), 0U);
}

}  // namespace
}  // namespace pitbox
