// Which entry goes next: live in order of commit, backfill newest lap first, nothing twice, and
// late data never in front of new data.

#include "sync/lanes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace pitbox {
namespace {

using Sequences = std::vector<std::uint64_t>;

Sequences drain_backfill(FileLanes& lanes) {
  Sequences out;
  while (const auto next = lanes.next_backfill()) {
    out.push_back(*next);
    lanes.sent(Range{*next, *next});
  }
  return out;
}

Sequences drain_live(FileLanes& lanes, BootNs now) {
  Sequences out;
  while (const auto next = lanes.next_live(now)) {
    out.push_back(*next);
    lanes.sent(Range{*next, *next});
  }
  return out;
}

TEST(FileLanes, WhatIsCommittedAfterTheStartIsLiveInOrder) {
  FileLanes lanes({}, 1, 10);
  lanes.begin({});
  EXPECT_FALSE(lanes.next_live(0).has_value());
  lanes.advance(1, 1, 13);
  EXPECT_EQ(drain_live(lanes, 1), (Sequences{11, 12, 13}));
  EXPECT_FALSE(lanes.next_live(1).has_value());
}

TEST(FileLanes, BackfillTakesTheNewestLapFirstAndEachInOrder) {
  FileLanes lanes({}, 1, 9);
  lanes.begin({});
  lanes.add_laps({3, 6});
  EXPECT_EQ(drain_backfill(lanes), (Sequences{7, 8, 9, 4, 5, 6, 1, 2, 3}));
  EXPECT_TRUE(lanes.drained());
}

TEST(FileLanes, WithoutLapsBackfillIsNewestStretchFirst) {
  FileLanes lanes({}, 1, FileLanes::kStretchMax + 2);
  lanes.begin({});
  const Sequences order = drain_backfill(lanes);
  ASSERT_EQ(order.size(), FileLanes::kStretchMax + 2);
  EXPECT_EQ(order.front(), 3U);
  EXPECT_EQ(order.back(), 2U);
}

TEST(FileLanes, WhatTheRoomHoldsIsNotOffered) {
  FileLanes lanes({}, 1, 8);
  RangeSet held;
  held.add(Range{1, 2});
  held.add(Range{5, 6});
  lanes.begin(held);
  EXPECT_EQ(lanes.pending(), 4U);
  EXPECT_EQ(drain_backfill(lanes), (Sequences{3, 4, 7, 8}));
  EXPECT_TRUE(lanes.held(Range{3, 4}));
  EXPECT_FALSE(lanes.held(Range{3, 4})) << "no news";
  EXPECT_EQ(lanes.pending(), 2U);
}

TEST(FileLanes, WhatIsEvictedIsNotOffered) {
  FileLanes lanes({}, 4, 8);
  lanes.begin({});
  lanes.advance(0, 6, 8);
  EXPECT_EQ(drain_backfill(lanes), (Sequences{6, 7, 8}));
  EXPECT_EQ(lanes.pending(), 3U);
}

TEST(FileLanes, WhatWaitsTooLongLetsTheNewestCommitPass) {
  FileLanes lanes({}, 1, 0);
  lanes.begin({});
  lanes.advance(0, 1, 4);
  lanes.advance(100 * kNsPerMs, 1, 8);
  EXPECT_EQ(lanes.next_live(100 * kNsPerMs), 1U);
  lanes.sent(Range{1, 1});
  lanes.advance(350 * kNsPerMs, 1, 12);
  EXPECT_EQ(drain_live(lanes, 350 * kNsPerMs), (Sequences{9, 10, 11, 12}));
  EXPECT_EQ(drain_backfill(lanes), (Sequences{2, 3, 4, 5, 6, 7, 8}));
}

TEST(FileLanes, TheNewestCommitIsNeverGivenUpHoweverOldItGets) {
  FileLanes lanes({}, 1, 0);
  lanes.begin({});
  lanes.advance(0, 1, 2);
  EXPECT_EQ(drain_live(lanes, 10'000 * kNsPerMs), (Sequences{1, 2}));
}

TEST(FileLanes, ANewConnectionOffersAgainWhatWasNotAcknowledged) {
  FileLanes lanes({}, 1, 3);
  lanes.begin({});
  EXPECT_EQ(drain_backfill(lanes).size(), 3U);
  RangeSet held;
  held.add(Range{2, 2});
  lanes.begin(held);
  EXPECT_EQ(drain_backfill(lanes), (Sequences{1, 3}));
}

TEST(FileLanes, APullGoesBeforeOtherBackfillEvenIfItWasSent) {
  FileLanes lanes({}, 1, 6);
  lanes.begin({});
  lanes.sent(Range{2, 2});
  lanes.pull(Range{2, 3});
  lanes.pull(Range{9, 9});  // Does not exist.
  EXPECT_EQ(drain_backfill(lanes), (Sequences{2, 3, 1, 4, 5, 6}));
}

TEST(FileLanes, EverySequenceGoesOnceWhateverTheOrderOfEvents) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    FileLanes lanes({}, 1, random() % 50);
    lanes.begin({});
    std::map<std::uint64_t, int> sent;
    BootNs now = 0;
    std::uint64_t last = lanes.last();
    for (int turn = 0; turn < 2000; ++turn) {
      now += static_cast<BootNs>(random() % 50) * kNsPerMs;
      if (random() % 3 == 0 && last < 3000) lanes.advance(now, 1, last += random() % 9);
      const auto next = random() % 2 == 0 ? lanes.next_live(now) : lanes.next_backfill();
      if (!next) continue;
      ++sent[*next];
      lanes.sent(Range{*next, *next});
    }
    for (const std::uint64_t sequence : drain_live(lanes, now)) ++sent[sequence];
    for (const std::uint64_t sequence : drain_backfill(lanes)) ++sent[sequence];
    EXPECT_EQ(sent.size(), last) << "seed " << seed;
    for (const auto& [sequence, times] : sent) {
      ASSERT_EQ(times, 1) << "seed " << seed << " sequence " << sequence;
    }
  }
}

}  // namespace
}  // namespace pitbox
