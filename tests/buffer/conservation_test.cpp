// Goal: the law is the sum it says, and its terms survive being stored. Method: by hand.

#include "buffer/conservation.h"

#include <gtest/gtest.h>

#include <set>

namespace pitbox {
namespace {

TEST(Conservation, HoldsForNothingAndNamesTheEquationThatBreaks) {
  Conservation terms;
  EXPECT_TRUE(terms.violations().empty());
  terms.messages.heard = 10;
  terms.messages.decoded = 6;
  terms.messages.in_ring = 3;
  terms.drop(DropReason::kTruncated, 1);
  EXPECT_TRUE(terms.violations().empty());
  terms.reject(RejectReason::kTorn, 2);
  ASSERT_EQ(terms.violations().size(), 1U);
  EXPECT_EQ(terms.violations()[0].substr(0, 7), "records");
  terms.entries.journaled = 1;
  terms.messages.heard = 11;
  EXPECT_EQ(terms.violations().size(), 3U);
}

TEST(Conservation, ComesBackFromItsCountersAndLeavesOthersAlone) {
  Conservation terms;
  terms.messages.heard = 1;
  terms.messages.decoded = 2;
  terms.messages.in_ring = 3;
  for (std::size_t i = 0; i < kDropReasons; ++i) terms.messages.dropped[i] = 10 + i;
  for (std::size_t i = 0; i < kRejectReasons; ++i) terms.records.rejected[i] = 20 + i;
  terms.records.journaled = 4;
  terms.unheard = 5;
  Counters counters{{"source.udp.heard_number", 99}};
  terms.store(counters);
  EXPECT_EQ(counters.at("source.udp.heard_number"), 99U);
  EXPECT_EQ(counters.at("messages.dropped.receive.truncated"), 10U);
  EXPECT_EQ(counters.at("records.rejected.malformed"), 20U);
  const Conservation loaded = Conservation::load(counters);
  EXPECT_EQ(loaded.messages.dropped, terms.messages.dropped);
  EXPECT_EQ(loaded.records.rejected, terms.records.rejected);
  Counters again{{"source.udp.heard_number", 99}};
  loaded.store(again);
  EXPECT_EQ(again, counters);
  EXPECT_EQ(Conservation::load({}).messages.heard, 0U);
}

TEST(Conservation, NamesEveryReasonDifferently) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    names.insert(to_string(static_cast<DropReason>(i)));
  }
  EXPECT_EQ(names.size(), kDropReasons);
  names.clear();
  for (std::size_t i = 0; i < kRejectReasons; ++i) {
    names.insert(to_string(static_cast<RejectReason>(i)));
  }
  EXPECT_EQ(names.size(), kRejectReasons);
}

}  // namespace
}  // namespace pitbox
