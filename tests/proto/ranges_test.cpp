// RangeSet: sets of sequences stay sorted, disjoint and non-adjacent whatever is added or removed.

#include "proto/ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace pitbox {
namespace {

TEST(RangeSet, JoinsWhatTouches) {
  RangeSet set;
  set.add(Range{1, 3});
  set.add(Range{7, 9});
  set.add(Range{4, 6});
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 9}}));
  EXPECT_EQ(set.through(), 9U);
}

TEST(RangeSet, AgreesWithAPlainSetUnderRandomChanges) {
  std::mt19937_64 random(7);
  RangeSet set;
  std::set<std::uint64_t> plain;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t first = 1 + random() % 200;
    const std::uint64_t last = first + random() % 12;
    const bool adding = random() % 3 != 0;
    if (adding) {
      set.add(Range{first, last});
    } else {
      set.remove(Range{first, last});
    }
    for (std::uint64_t n = first; n <= last; ++n) {
      if (adding) {
        plain.insert(n);
      } else {
        plain.erase(n);
      }
    }
    ASSERT_EQ(set.count(), plain.size());
    for (std::size_t k = 1; k < set.ranges().size(); ++k) {
      ASSERT_GT(set.ranges()[k].first, set.ranges()[k - 1].last + 1);
    }
    for (std::uint64_t n = 1; n <= 215; ++n) ASSERT_EQ(set.contains(n), plain.contains(n)) << n;
    std::uint64_t absent = 0;
    for (const Range& gap : set.missing(Range{1, 215})) absent += gap.last - gap.first + 1;
    ASSERT_EQ(absent + plain.size(), 215U);
    const Range window{first, last + 30};
    std::uint64_t within = 0;
    for (const Range& part : set.within(window)) {
      ASSERT_LE(part.first, part.last);
      ASSERT_TRUE(set.contains(part));
      ASSERT_TRUE(window.first <= part.first && part.last <= window.last);
      within += part.last - part.first + 1;
    }
    std::uint64_t outside = 0;
    for (const Range& gap : set.missing(window)) outside += gap.last - gap.first + 1;
    ASSERT_EQ(within + outside, window.last - window.first + 1);
    ASSERT_TRUE(set.within(Range{last + 1, last}).empty());
    RangeSet less = set;
    less.remove_all(set);
    ASSERT_TRUE(less.empty());
  }
}

TEST(RangeSet, ThroughIsZeroUntilTheFirstIsHeld) {
  RangeSet set;
  set.add(Range{2, 5});
  EXPECT_EQ(set.through(), 0U);
  EXPECT_TRUE(set.overlaps(Range{5, 9}));
  EXPECT_FALSE(set.overlaps(Range{6, 9}));
  EXPECT_FALSE(set.contains(Range{4, 6}));
}

}  // namespace
}  // namespace pitbox
