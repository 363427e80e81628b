// Goal: the grids of float columns are found, used and left as the values ask for it. Method: round
// trips of columns on grids and beside them, and what they take.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "batch_language.h"
#include "proto/batch.h"

namespace pitbox {
namespace {

using testing::column_of;
using testing::define;
using testing::group_of;
using testing::round_trip;

TEST(BatchGrid, FindsTheGridOfDecimalsAndConverters) {
  constexpr std::size_t kRows = 1000;
  for (const auto& [name, numbers] : testing::telemetry(kRows)) {
    if (name != "decimal 0.01" && name != "adc 5/4095" && name != "float step") continue;
    for (const StorageType type : {StorageType::kF32, StorageType::kF64}) {
      SCOPED_TRACE(std::string(to_string(type)) + ", " + name);
      const auto encoded =
          round_trip({group_of(define("g", {type}), {testing::column_of_numbers(type, numbers)})});
      // Raw: 4000 or 8000 bytes; its own bits: about two thirds of that.
      EXPECT_LT(encoded.blob.size(), 1500U);
    }
  }
}

template <typename Float>
std::vector<Float> counts_times(double factor) {
  std::vector<Float> values;
  for (int i = 0; i < 1000; ++i) {
    values.push_back(static_cast<Float>(static_cast<double>(i * i % 977 - 300) * factor));
  }
  return values;
}

// A converter's counts times a factor of few digits.
TEST(BatchGrid, TakesOutWhatAllDecimalsAreMultiplesOf) {
  for (const double factor : {0.03, 0.25, 0.007, 15.0}) {
    const auto narrow = [](double f) { return column_of(counts_times<float>(f)); };
    const auto bytes = round_trip({group_of(define("g", {StorageType::kF32}), {narrow(factor)})});
    const auto least = round_trip({group_of(define("g", {StorageType::kF32}), {narrow(1)})});
    EXPECT_LT(bytes.blob.size(), least.blob.size() + 8) << factor;
  }
  std::vector<double> wide;
  for (const float value : counts_times<float>(1)) wide.push_back(value * 3 / 100.0);
  const auto multiples =
      round_trip({group_of(define("g", {StorageType::kF64}), {column_of(wide)})});
  for (double& value : wide) value = std::round(value * 100 / 3) / 100.0;
  const auto decimals = round_trip({group_of(define("g", {StorageType::kF64}), {column_of(wide)})});
  EXPECT_LT(multiples.blob.size(), decimals.blob.size() + 8);
}

// What was even by chance is not even for long: then each odd one would be an exception.
TEST(BatchGrid, ForgetsAMultipleThatWasChance) {
  const DefinitionPtr definition = define("g", {StorageType::kF32});
  std::vector<float> even;
  std::vector<float> mixed;
  for (int i = 0; i < 100; ++i) {
    even.push_back(static_cast<float>(2 * (i * i % 41)) / 10.0F);
    mixed.push_back(static_cast<float>(2 * (i * i % 41) + (i % 20 == 3 ? 1 : 0)) / 10.0F);
  }
  const std::size_t alone = round_trip({group_of(definition, {column_of(mixed)})}).blob.size();
  BatchMemory memory;
  round_trip({group_of(definition, {column_of(even)})}, &memory);
  for (int i = 0; i < 3; ++i) {
    const auto after = round_trip({group_of(definition, {column_of(mixed)})}, &memory);
    EXPECT_EQ(after.blob.size(), alone);
  }
}

TEST(BatchGrid, KeepsAMultipleThroughOddFloats) {
  const DefinitionPtr definition = define("g", {StorageType::kF32});
  std::vector<float> counts;
  for (int i = 0; i < 100; ++i) counts.push_back(static_cast<float>((i * i % 41 - 20) * 0.03));
  BatchMemory memory;
  const auto bytes_of = [&] {
    return round_trip({group_of(definition, {column_of(counts)})}, &memory).blob.size();
  };
  const std::size_t whole = bytes_of();
  counts[50] = std::numeric_limits<float>::quiet_NaN();
  counts[60] = -0.0F;
  EXPECT_LT(bytes_of(), whole + 16);
}

TEST(BatchGrid, FindsAGridAgainThatAChannelHadLeft) {
  const DefinitionPtr definition = define("g", {StorageType::kF32});
  std::vector<float> decimals;
  std::vector<float> noise;
  for (int i = 0; i < 1000; ++i) {
    decimals.push_back(static_cast<float>(i * i % 977) / 10.0F);
    noise.push_back(std::sin(static_cast<float>(i * i)));
  }
  BatchMemory memory;
  const auto bytes_of = [&](const std::vector<float>& values) {
    return round_trip({group_of(definition, {column_of(values)})}, &memory).blob.size();
  };
  const std::size_t on_grid = bytes_of(decimals);
  const std::size_t off_grid = bytes_of(noise);
  ASSERT_LT(on_grid, off_grid / 2);
  EXPECT_EQ(bytes_of(noise), off_grid);
  std::size_t batches = 1;
  while (bytes_of(decimals) != on_grid && batches < 1000) ++batches;
  EXPECT_LE(batches, std::size_t{ColumnMemory::kBatches} + 1);
}

TEST(BatchGrid, CountsAFewBreaksOfAGridAsExceptions) {
  std::vector<float> values;
  values.reserve(1000);
  for (int i = 0; i < 1000; ++i) values.push_back(static_cast<float>(i % 50) / 10.0F);
  const auto clean = round_trip({group_of(define("g", {StorageType::kF32}), {column_of(values)})});
  for (const std::size_t at : {5U, 6U, 500U, 999U}) values[at] = -0.0F;
  const auto broken = round_trip({group_of(define("g", {StorageType::kF32}), {column_of(values)})});
  EXPECT_LT(broken.blob.size(), clean.blob.size() + 60);
}

TEST(BatchGrid, HasTheBytesThatFormatMdDescribesForMultiples) {
  std::vector<GroupRows> groups = {group_of(
      define("a", {StorageType::kF32}), {column_of<float>({0.3F, 0.6F, 1.2F, 0.9F, 0.6F, 0.3F})})};
  // Decimal with 1 digit and a multiple, 3: counts 1, 2, 4, 3, 2, 1.
  EXPECT_NE(round_trip(groups).blob.find(std::string("\x42\x11\x03", 3)), std::string::npos);
}

}  // namespace
}  // namespace pitbox
