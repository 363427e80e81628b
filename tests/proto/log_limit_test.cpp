#include "proto/log_limit.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

using std::chrono::milliseconds;

TEST(LogLimitTest, PassesOneAnIntervalAndSaysHowManyWereLeftOut) {
  LogLimit limit(milliseconds(1000));
  EXPECT_EQ(limit.pass(milliseconds(5)), 0U);
  EXPECT_EQ(limit.pass(milliseconds(5)), std::nullopt);
  EXPECT_EQ(limit.pass(milliseconds(1004)), std::nullopt);
  EXPECT_EQ(limit.pass(milliseconds(1005)), 2U);
  EXPECT_EQ(limit.pass(milliseconds(9000)), 0U);
}

}  // namespace
}  // namespace pitbox
