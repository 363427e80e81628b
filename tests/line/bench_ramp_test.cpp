// Goal: the ramp of `pitbox bench --laptop` finds the most that holds with few tries, and the car
// it counts in is the one that is sent.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "apps/bench/load.h"
#include "apps/bench/ramp.h"
#include "apps/bench/synthetic_car.h"

namespace pitbox {
namespace {

constexpr std::array<std::size_t, 5> kRampSteps = {1, 5, 10, 20, 46};

TEST(BenchRamp, FindsTheMostThatHoldsToAnEighth) {
  for (std::size_t limit = 0; limit <= 50; ++limit) {
    std::vector<std::size_t> tried;
    const auto most = most_that_holds(kRampSteps, [&](std::size_t count) -> Result<bool> {
      tried.push_back(count);
      return count <= limit;
    });
    ASSERT_TRUE(most.ok());
    const std::size_t reachable = std::min(limit, kRampSteps.back());
    EXPECT_LE(most.value(), reachable);
    EXPECT_GE(most.value() + most.value() / 8 + 1, reachable == 0 ? 0 : reachable) << limit;
    EXPECT_LE(tried.size(), 9U) << limit;
    std::sort(tried.begin(), tried.end());
    EXPECT_EQ(std::adjacent_find(tried.begin(), tried.end()), tried.end()) << "twice at " << limit;
  }
}

TEST(BenchRamp, EndsAtAnError) {
  const auto most = most_that_holds(kRampSteps, [&](std::size_t count) -> Result<bool> {
    if (count == 5) return Status(Code::kFatal, "broken");
    return true;
  });
  EXPECT_EQ(most.status().message(), "broken");
}

TEST(BenchRamp, CountsInTheCarThatIsSent) {
  const auto load = Load::make(2, 1);
  ASSERT_TRUE(load.ok());
  EXPECT_EQ(load.value().samples_per_second(), 2 * SyntheticCar::kSamplesPerSecond);
}

}  // namespace
}  // namespace pitbox
