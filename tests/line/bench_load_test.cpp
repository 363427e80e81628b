// The loads that others are measured with: what the books say was sent is what a decoder hears.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "apps/bench/load.h"
#include "ingest/decoders.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

class Loads : public ::testing::TestWithParam<LoadCar> {
 protected:
  Load load_ = Load::make(2, 7, GetParam()).take();
};

std::int64_t number_at(std::span<const char> datagram, std::size_t at) {
  std::int64_t number = 0;
  std::memcpy(&number, datagram.data() + at, sizeof number);
  return number;
}

LoadTotals totals_of(const RecordCollector& heard) {
  LoadTotals totals;
  for (const auto& [name, group] : heard.groups) {
    const std::size_t row_bytes = group.definition->row_bytes();
    const auto bytes = std::as_bytes(std::span(group.bytes));
    for (std::size_t row = 0; row < group.count; ++row) {
      totals.add(identify_row(name.first, name.second, group.source_ns[row],
                              bytes.subspan(row * row_bytes, row_bytes)));
    }
    totals.samples += group.count * group.definition->channels().size();
  }
  return totals;
}

// The same datagrams come again with other times and sequences, and the books know.
TEST_P(Loads, SendEachLoopWithTimesAndSequencesOfItsOwn) {
  const auto first = load_.next();
  const std::int64_t sequence = number_at(first, 24);
  const std::int64_t base = number_at(first, 32);
  for (std::size_t i = 1; i < load_.size(); ++i) load_.next();
  const auto again = load_.next();
  EXPECT_EQ(again.data(), first.data());
  EXPECT_GT(number_at(again, 24), sequence);
  EXPECT_EQ(number_at(again, 32), base + Load::kLoopNs);
  const LoadTotals one = load_.totals(load_.size());
  const LoadTotals two = load_.totals(2 * load_.size());
  EXPECT_EQ(two.samples, 2 * one.samples);
  EXPECT_EQ(two.rows, 2 * one.rows);
  EXPECT_NE(two.content_hash, 2 * one.content_hash);
}

TEST_P(Loads, KnowWhatTheyHaveSent) {
  auto decoder = make_decoder("native", {}).take();
  RecordCollector heard;
  const auto hear = [&](std::string_view datagram) {
    EXPECT_EQ(decoder->decode(data_message(datagram), heard), DecodeOutcome::kDecoded);
  };
  for (const std::string& text : load_.announcements()) hear(text);
  const std::size_t count = load_.size() + load_.size() / 3;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto datagram = load_.next();
    hear({datagram.data(), datagram.size()});
    longest = std::max(longest, datagram.size());
  }
  EXPECT_TRUE(heard.rejected.empty() && heard.gaps.empty());
  EXPECT_LE(longest, Load::kDatagramBytes);
  const LoadTotals sent = load_.totals(count);
  const LoadTotals held = totals_of(heard);
  EXPECT_EQ(held.rows, sent.rows);
  EXPECT_EQ(held.samples, sent.samples);
  EXPECT_EQ(held.content_hash, sent.content_hash);
}

TEST_P(Loads, BringTwoCarsNearTheirRate) {
  EXPECT_NEAR(load_.samples_per_second(), 2 * SyntheticCar::kSamplesPerSecond, 1000);
  EXPECT_EQ(Load::make(most_cars(GetParam()) + 1, 7, GetParam()).status().code(), Code::kRejected);
}

INSTANTIATE_TEST_SUITE_P(Bench, Loads, ::testing::Values(LoadCar::kSynthetic, LoadCar::kSimulated),
                         [](const auto& one) { return std::string(name_of(one.param)); });

}  // namespace
}  // namespace pitbox
