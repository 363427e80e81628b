#include "tests/simulation/world.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace pitbox::simulation {
namespace {

// Otherwise what the judge says of journals would be said of journals without blocks.
TEST(World, JournalsAreMergedWhileTheyAreRecorded) {
  const auto folder =
      std::filesystem::path(::testing::TempDir()) / ("world-" + std::to_string(getpid()));
  std::uint64_t merged = 0;
  std::uint64_t batches = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const RunResult result = run_world({.seed = seed, .folder = folder});
    EXPECT_TRUE(result.faults.empty()) << result.faults.front();
    merged += result.merged_batches;
    batches += result.journaled_batches;
  }
  EXPECT_GT(merged, 0U);
  EXPECT_GT(batches, merged);
}

}  // namespace
}  // namespace pitbox::simulation
