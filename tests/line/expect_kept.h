// Everything that was sent is in the journal and in the room, once.

#pragma once

#include <gtest/gtest.h>

#include "tests/torture/kept.h"

namespace pitbox {

inline void expect_all_kept(const Kept& kept) {
  ASSERT_EQ(kept.kernel_drops, 0U) << "invalid run: the kernel dropped datagrams";
  EXPECT_GT(kept.sent, 0U);
  for (const RowComparison& place : {kept.journal, kept.room}) {
    EXPECT_EQ(place.expected, kept.sent);
    EXPECT_EQ(place.actual, kept.sent);
    EXPECT_EQ(place.missing, 0U);
    EXPECT_EQ(place.duplicated, 0U);
    EXPECT_EQ(place.different, 0U);
  }
  EXPECT_TRUE(kept.is_verified) << "see verify.log";
}

}  // namespace pitbox
