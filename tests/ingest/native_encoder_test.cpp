// Goal: whatever times and rows a sender has, its packets fit their datagrams and say the same;
// method: random times of several habits, encoded and decoded.

#include "ingest/native_encoder.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ingest/native_decoder.h"
#include "ingest/native_format.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

DefinitionPtr one_channel() {
  return Definition::make({.group = "g",
                           .time_base = TimeBase::kCar,
                           .channels = {{"c", "", StorageType::kU64, 1, 0}}})
      .take();
}

// Sends the rows in datagrams of at most `bytes_max`; returns how many it took.
std::size_t send_all(std::span<const std::int64_t> times, std::size_t bytes_max,
                     RecordCollector& sink) {
  NativeEncoder encoder(1);
  NativeDecoder decoder(false);
  const std::string hello = encoder.announce(1, "1", one_channel()).take();
  decoder.decode(data_message(hello), sink);
  std::vector<std::uint64_t> values(times.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i * i;
  std::span<const std::byte> rows = std::as_bytes(std::span(values));
  std::size_t datagrams = 0;
  while (!times.empty()) {
    std::string datagram;
    const std::size_t taken = encoder.append_rows(1, times, rows, bytes_max, datagram);
    CHECK(taken > 0 && datagram.size() <= bytes_max);
    CHECK(decoder.decode(data_message(datagram), sink) == DecodeOutcome::kDecoded);
    times = times.subspan(taken);
    rows = rows.subspan(taken * 8);
    ++datagrams;
  }
  CHECK(encoder.sequence(1) == datagrams);
  return datagrams;
}

TEST(NativeEncoder, SaysTheSameTimesWhateverTheirHabit) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int64_t> times;
    std::int64_t time = static_cast<std::int64_t>(random());
    for (int i = 0; i < 200; ++i) {
      times.push_back(time);
      std::uint64_t step = 1'000'000;
      if (round % 4 == 1) step += random() % 1000;
      if (round % 4 == 2) step = random() % 8'000'000'000;
      if (round % 4 == 3) step = random();  // Also backwards, also around the end.
      time = static_cast<std::int64_t>(static_cast<std::uint64_t>(time) + step);
    }
    RecordCollector sink;
    send_all(times, 200 + random() % 2000, sink);
    ASSERT_EQ(sink.groups.at({"1", "g"}).source_ns, times) << round;
    ASSERT_EQ(sink.groups.at({"1", "g"}).value(199, 0), 199.0 * 199.0);
    ASSERT_TRUE(sink.rejected.empty() && sink.gaps.empty());
  }
}

TEST(NativeEncoder, PaysNothingForTimesThatAreEquallySpaced) {
  std::vector<std::int64_t> times;
  times.reserve(1690);
  for (int i = 0; i < 1690; ++i) times.push_back(i * std::int64_t{1'000'000});
  RecordCollector sink;
  EXPECT_EQ(send_all(times, 1400, sink), 10U);  // (1400 - 48) / 8 = 169 rows each.
}

TEST(NativeEncoder, FillsADatagramExactlyAndTakesNothingIfNotOneRowFits) {
  NativeEncoder encoder(1);
  static_cast<void>(encoder.announce(1, "1", one_channel()));
  const std::vector<std::int64_t> times = {1, 2, 3};
  const std::vector<std::uint64_t> rows(3);
  std::string datagram = "xx";
  EXPECT_EQ(encoder.append_rows(1, times, std::as_bytes(std::span(rows)), 2 + 48 + 7, datagram),
            0U);
  EXPECT_EQ(datagram, "xx");
  EXPECT_EQ(encoder.append_rows(1, times, std::as_bytes(std::span(rows)), 2 + 48 + 23, datagram),
            2U);
  EXPECT_EQ(datagram.size(), 2U + 48 + 16);
  EXPECT_EQ(encoder.sequence(1), 1U);
}

TEST(NativeEncoder, RefusesCarsWithoutANameAndAnnouncementsThatAreTooLong) {
  NativeEncoder encoder(1);
  EXPECT_EQ(encoder.announce(1, "", one_channel()).status().code(), Code::kRejected);
  EXPECT_EQ(encoder.announce(1, std::string(129, 'c'), one_channel()).status().code(),
            Code::kRejected);
  EXPECT_EQ(encoder.announce(1, "a\nb", one_channel()).status().code(), Code::kRejected);
  ChannelGroup wide{.group = "g", .time_base = TimeBase::kCar, .channels = {}};
  for (int c = 0; c < 4096; ++c) {
    wide.channels.push_back({"channel" + std::to_string(c), "", StorageType::kU8, 1, 0});
  }
  EXPECT_EQ(encoder.announce(1, "1", Definition::make(wide).take()).status().code(),
            Code::kRejected);
}

}  // namespace
}  // namespace pitbox
