// Goal: every row that a sender packed comes out once, exact, or is refused with a count; method:
// the encoder's packets, whole, cut, lost, repeated and damaged, against the decoder.

#include "ingest/native_decoder.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ingest/native_encoder.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

DefinitionPtr engine_definition(TimeBase time_base = TimeBase::kCar, const char* name = "engine") {
  return Definition::make({.group = name,
                           .time_base = time_base,
                           .channels = {{"rpm", "1/min", StorageType::kU16, 0.25, 0},
                                        {"oil", "bar", StorageType::kI16, 0.01, -1},
                                        {"lambda", "", StorageType::kF32, 1, 0}}})
      .take();
}

DefinitionPtr wide_definition(int number, std::size_t channels, const std::string& group) {
  ChannelGroup wide{.group = group, .time_base = TimeBase::kCar, .channels = {}};
  for (std::size_t c = 0; c < channels; ++c) {
    wide.channels.push_back({"channel_" + std::to_string(number) + "_" + std::to_string(c), "bar",
                             StorageType::kI16, 0.01, 0});
  }
  return Definition::make(std::move(wide)).take();
}

std::string packed(std::uint16_t value) {
  std::string row(8, '\0');
  std::memcpy(row.data(), &value, 2);
  return row;
}

// One sender with one group of one car, and the decoder that hears it.
class NativeDecoderTest : public ::testing::Test {
 protected:
  std::string rows_packet(std::vector<std::int64_t> times, std::uint16_t first_value,
                          std::uint16_t group = 1) {
    std::string rows;
    for (std::size_t i = 0; i < times.size(); ++i) {
      rows += packed(static_cast<std::uint16_t>(first_value + i));
    }
    std::string datagram;
    const std::size_t taken =
        encoder_.append_rows(group, times, std::as_bytes(std::span(rows)), 60'000, datagram);
    CHECK(taken == times.size());
    return datagram;
  }
  std::string numbered(std::uint64_t sequence) {
    std::string packet = rows_packet({static_cast<std::int64_t>(sequence)}, 1);
    std::memcpy(packet.data() + 24, &sequence, 8);
    return packet;
  }
  void announce(std::uint16_t group = 1, const char* car = "007") {
    hear(encoder_.announce(group, car, engine_definition()).take());
  }
  DecodeOutcome hear(const std::string& bytes, std::int64_t receive_ns = 1'000) {
    return decoder_.decode(data_message(bytes, 1, receive_ns), sink_);
  }
  std::uint64_t rejected(RejectReason reason) { return sink_.rejected[reason]; }

  NativeEncoder encoder_{0xC0FFEE};
  NativeDecoder decoder_{false};
  RecordCollector sink_;
};

TEST_F(NativeDecoderTest, GivesTheRowsOfAnAnnouncedGroupAsTheyWereSent) {
  announce();
  EXPECT_EQ(hear(rows_packet({100, 110, 120}, 40)), DecodeOutcome::kDecoded);
  EXPECT_EQ(hear(rows_packet({130, 131, 999}, 43)), DecodeOutcome::kDecoded);
  ASSERT_EQ(sink_.groups.size(), 1U);
  const CollectedRows& rows = sink_.groups.at({"007", "engine"});
  EXPECT_EQ(rows.source_ns, (std::vector<std::int64_t>{100, 110, 120, 130, 131, 999}));
  EXPECT_EQ(rows.value(5, 0), 45 * 0.25);
  EXPECT_EQ(rows.definition->name(), engine_definition()->name());
  EXPECT_TRUE(sink_.rejected.empty());
  EXPECT_TRUE(sink_.gaps.empty());
}

TEST_F(NativeDecoderTest, HandsRowsOverWhereTheyWereReceived) {
  announce();
  const std::string packet = rows_packet({1, 2, 3}, 1);
  hear(packet);
  EXPECT_EQ(sink_.last_rows,
            reinterpret_cast<const std::byte*>(packet.data()) + packet.size() - 24);
}

TEST_F(NativeDecoderTest, TellsSeveralCarsAndSendersApartInOneDatagram) {
  NativeEncoder other(2);
  std::string datagram = encoder_.announce(1, "007", engine_definition()).take();
  datagram += other.announce(1, "8", engine_definition()).take();
  datagram += rows_packet({5}, 50);
  const std::string row = packed(80);
  const std::int64_t time = 6;
  other.append_rows(1, {&time, 1}, std::as_bytes(std::span(row)), 60'000, datagram);
  EXPECT_EQ(hear(datagram), DecodeOutcome::kDecoded);
  EXPECT_EQ(sink_.groups.at({"007", "engine"}).value(0, 0), 50 * 0.25);
  EXPECT_EQ(sink_.groups.at({"8", "engine"}).value(0, 0), 80 * 0.25);
  EXPECT_EQ(sink_.groups.at({"8", "engine"}).definition,
            sink_.groups.at({"007", "engine"}).definition);
}

TEST_F(NativeDecoderTest, GivesGroupsWithoutSourceTimeNone) {
  hear(encoder_.announce(1, "1", engine_definition(TimeBase::kNone)).take());
  const std::string rows = packed(1) + packed(2);
  std::string datagram;
  EXPECT_EQ(encoder_.append_rows(1, {}, std::as_bytes(std::span(rows)), 1400, datagram), 2U);
  hear(datagram);
  EXPECT_TRUE(sink_.groups.at({"1", "engine"}).source_ns.empty());
  EXPECT_EQ(sink_.delivered, 2U);
}

TEST_F(NativeDecoderTest, CountsRowsOfAGroupNobodyAnnounced) {
  static_cast<void>(encoder_.announce(1, "1", engine_definition()));
  EXPECT_EQ(hear(rows_packet({1, 2, 3}, 1)), DecodeOutcome::kDecoded);
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 3U);
  EXPECT_EQ(sink_.delivered, 0U);
}

TEST_F(NativeDecoderTest, NeverReadsRowsOfOneMeaningAsThoseOfAnother) {
  announce();
  const std::string old_meaning = rows_packet({1, 2}, 1);
  hear(encoder_.announce(1, "007", engine_definition(TimeBase::kUtc)).take());
  hear(old_meaning);
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 2U);
  hear(rows_packet({3}, 1));
  EXPECT_EQ(sink_.delivered, 1U);
}

TEST_F(NativeDecoderTest, TellsLostPacketsAndRefusesRepeatedOnes) {
  announce();
  const std::string first = rows_packet({1}, 1);
  const std::string second = rows_packet({2}, 2);
  rows_packet({3}, 3);
  rows_packet({4}, 4);
  const std::string fifth = rows_packet({5, 6}, 5);
  hear(first);
  hear(fifth);
  EXPECT_EQ(sink_.gaps, (std::vector<RecordCollector::Gap>{{"007", "sequence", 3, "messages"}}));
  hear(second);  // Late, and welcome.
  hear(fifth);
  hear(first);
  EXPECT_EQ(sink_.groups.at({"007", "engine"}).source_ns, (std::vector<std::int64_t>{1, 5, 6, 2}));
  EXPECT_EQ(rejected(RejectReason::kDuplicate), 3U);
  EXPECT_EQ(sink_.gaps.size(), 1U);
}

TEST_F(NativeDecoderTest, TellsALossRightAfterTheAnnouncement) {
  announce();
  hear(numbered(3));
  EXPECT_EQ(sink_.gaps, (std::vector<RecordCollector::Gap>{{"007", "sequence", 2, "messages"}}));
}

TEST_F(NativeDecoderTest, RefusesWhatIsBelowTheWindowAndTakesItsLastPlace) {
  announce();
  hear(numbered(100));
  hear(numbered(100 - 63));
  EXPECT_EQ(sink_.delivered, 2U);
  hear(numbered(100 - 64));
  EXPECT_EQ(rejected(RejectReason::kDuplicate), 1U);
}

TEST_F(NativeDecoderTest, FollowsASenderThatStartedAgainWithItsOldNumber) {
  announce();
  hear(numbered(1'000));
  for (std::uint64_t s = 1; s <= 20; ++s) hear(numbered(s));
  EXPECT_EQ(rejected(RejectReason::kDuplicate), 15U);
  EXPECT_EQ(sink_.delivered, 1U + 5U);
  EXPECT_EQ(sink_.gaps.back(), (RecordCollector::Gap{"007", "sequence", 0, "messages"}));
}

TEST_F(NativeDecoderTest, TakesUnnumberedPacketsAlways) {
  announce();
  const std::string packet = numbered(0);
  hear(packet);
  hear(packet);
  EXPECT_EQ(sink_.delivered, 2U);
  EXPECT_TRUE(sink_.gaps.empty());
}

TEST_F(NativeDecoderTest, DropsADatagramThatIsNoPacketAndRefusesAnyTruncation) {
  announce();
  const std::string packet = rows_packet({1, 7}, 1);
  EXPECT_EQ(hear(""), DecodeOutcome::kMalformed);
  EXPECT_EQ(hear("hello"), DecodeOutcome::kMalformed);
  for (std::size_t size = 1; size < packet.size(); ++size) {
    EXPECT_EQ(hear(packet.substr(0, size)), DecodeOutcome::kMalformed) << size;
  }
  EXPECT_TRUE(sink_.rejected.empty());
  EXPECT_EQ(hear(packet + "x"), DecodeOutcome::kDecoded);
  EXPECT_EQ(rejected(RejectReason::kMalformed), 1U);
  EXPECT_EQ(sink_.delivered, 2U);
}

TEST_F(NativeDecoderTest, RefusesPacketsWhoseFieldsDisagree) {
  announce();
  const std::string good = rows_packet({10, 20, 31}, 1);  // With offsets.
  const auto with = [&](std::size_t at, char value) {
    std::string packet = good;
    packet[at] = value;
    hear(packet);
  };
  with(44, 4);  // Rows.
  with(44, 0);
  with(46, 1);  // Timing.
  with(46, 0);
  with(46, 3);
  with(47, 1);  // Reserved.
  with(40, 1);  // A period where none belongs.
  EXPECT_EQ(rejected(RejectReason::kMalformed), 7U);
  with(8, 9);  // Kind.
  with(9, 1);  // Flags.
  EXPECT_EQ(rejected(RejectReason::kUnsupported), 2U);
  EXPECT_EQ(sink_.delivered, 0U);
  hear(good);
  EXPECT_EQ(sink_.delivered, 3U);
}

TEST_F(NativeDecoderTest, RefusesDamagedAnnouncements) {
  const std::string good = encoder_.announce(1, "007", engine_definition()).take();
  for (std::size_t at = 32; at < good.size(); ++at) {
    std::string packet = good;
    packet[at] = static_cast<char>(packet[at] ^ 4);
    hear(packet);
  }
  EXPECT_EQ(rejected(RejectReason::kChecksum), good.size() - 32);
  // With a right check, but a body that ends anywhere else.
  for (std::size_t size = 32; size < good.size(); ++size) {
    std::string packet = good.substr(0, size);
    const auto check = native_check(std::as_bytes(std::span(packet)).subspan(32));
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(packet.data() + 4, &length, 4);
    std::memcpy(packet.data() + 16, &check, 8);
    hear(packet);
  }
  EXPECT_EQ(rejected(RejectReason::kMalformed), good.size() - 32);
  hear(rows_packet({1}, 1));
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 1U);
}

TEST_F(NativeDecoderTest, RefusesTimesThatDoNotFit) {
  announce();
  std::string packet = rows_packet({1, 2, 3}, 1);
  const std::int64_t late = std::numeric_limits<std::int64_t>::max() - 1;
  std::memcpy(packet.data() + 32, &late, 8);
  hear(packet);
  EXPECT_EQ(rejected(RejectReason::kLimit), 3U);
}

TEST_F(NativeDecoderTest, KnowsWhatWasAnnouncedOnceAndWhatWasSeenAfterARestart) {
  announce();
  const std::string first = rows_packet({1}, 1);
  hear(first);
  const std::string state = decoder_.save();
  NativeDecoder restarted(false);
  ASSERT_TRUE(restarted.load(state).ok());
  EXPECT_EQ(restarted.save(), state);
  restarted.decode(data_message(first), sink_);
  EXPECT_EQ(rejected(RejectReason::kDuplicate), 1U);
  rows_packet({2}, 2);
  const std::string third = rows_packet({3}, 3);
  restarted.decode(data_message(third), sink_);
  EXPECT_EQ(sink_.groups.at({"007", "engine"}).source_ns, (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(sink_.gaps.size(), 1U);
}

TEST_F(NativeDecoderTest, RefusesStatesThatAreNotItsOwnAndIsThenAsNew) {
  announce();
  hear(rows_packet({1}, 1));
  const std::string state = decoder_.save();
  for (std::size_t size = 1; size < state.size(); ++size) {
    NativeDecoder restarted(false);
    EXPECT_EQ(restarted.load(state.substr(0, size)).code(), Code::kCorrupt) << size;
    EXPECT_EQ(restarted.save(), NativeDecoder(false).save());
  }
  EXPECT_EQ(NativeDecoder(false).load(state + "x").code(), Code::kCorrupt);
}

TEST_F(NativeDecoderTest, KeepsTwentyCarsWithThreeGroupsOfAHundredAndTwentyChannels) {
  for (std::uint16_t car = 0; car < 20; ++car) {
    for (std::uint16_t g = 0; g < 3; ++g) {
      const auto definition = wide_definition(g, 120, "group" + std::to_string(g));
      hear(encoder_
               .announce(static_cast<std::uint16_t>(car * 3 + g), std::to_string(car), definition)
               .take());
    }
  }
  EXPECT_TRUE(sink_.rejected.empty());
  EXPECT_LT(decoder_.save().size(), 12'000U);
}

TEST_F(NativeDecoderTest, RefusesADefinitionBeyondItsMemoryAndForgetsNoneInUse) {
  std::uint16_t group = 0;
  while (rejected(RejectReason::kLimit) == 0) {
    const std::string name = "g" + std::to_string(group);
    hear(encoder_.announce(group, "1", wide_definition(group, 300, name)).take());
    ASSERT_LT(++group, 100);
  }
  EXPECT_GE(group, 7);  // 2,100 different channels.
  EXPECT_LE(decoder_.save().size(), kMaxDecoderStateBytes);
  const std::vector<std::int64_t> times = {1};
  for (std::uint16_t g = 0; g < group; ++g) {
    const std::string row(600, 'r');
    std::string datagram;
    encoder_.append_rows(g, times, std::as_bytes(std::span(row)), 60'000, datagram);
    hear(datagram);
  }
  EXPECT_EQ(sink_.delivered, group - 1U);
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 1U);
}

TEST_F(NativeDecoderTest, MakesRoomByForgettingWhatWasSilentForAnHour) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (std::uint16_t g = 0; g < NativeGroups::kGroupsMax; ++g) {
    hear(encoder_.announce(g, "1", engine_definition()).take(), g * kSecond);
  }
  NativeEncoder newcomer(7);
  const std::string hello = newcomer.announce(1, "2", engine_definition()).take();
  hear(hello, 3599 * kSecond);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  hear(hello, 3600 * kSecond);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  hear(rows_packet({1}, 1, 1), 3600 * kSecond);
  EXPECT_EQ(sink_.delivered, 1U);  // The second oldest is still known, the oldest is not.
  hear(rows_packet({1}, 1, 0), 3600 * kSecond);
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 1U);
}

TEST_F(NativeDecoderTest, MakesRoomForASenderThatStartedAgainAfterAMinute) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (std::uint16_t g = 0; g < NativeGroups::kGroupsMax; ++g) {
    hear(encoder_.announce(g, std::to_string(g), engine_definition()).take(), 0);
  }
  EXPECT_TRUE(sink_.rejected.empty());
  NativeEncoder again(7);
  const std::string hello = again.announce(1, "5", engine_definition()).take();
  hear(hello, 59 * kSecond);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  hear(hello, 60 * kSecond);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  hear(rows_packet({1}, 1, 4), 60 * kSecond);
  hear(rows_packet({1}, 1, 5), 60 * kSecond);
  hear(rows_packet({1}, 1, 6), 60 * kSecond);
  EXPECT_EQ(sink_.delivered, 2U);
  EXPECT_EQ(rejected(RejectReason::kUnknownGroup), 1U);
}

// On streams.
class NativeStreamTest : public NativeDecoderTest {
 protected:
  void SetUp() override {
    stream_ = encoder_.announce(1, "007", engine_definition()).take();
    for (int i = 0; i < 20; ++i) stream_ += rows_packet({10 * i, 10 * i + 3, 10 * i + 4}, 1);
  }
  std::string stream_;
  NativeDecoder decoder_{true};
};

TEST_F(NativeStreamTest, GivesTheSameRowsHoweverTheStreamIsCutAndWheneverItIsRestarted) {
  const std::string damaged = stream_.substr(0, 300) + "noise PXN PXN1" + stream_.substr(300);
  for (const std::string& stream : {stream_, damaged}) {
    RecordCollector whole;
    NativeDecoder at_once(true);
    at_once.decode(data_message(stream), whole);
    EXPECT_GE(whole.delivered, 54U);
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
      RecordCollector pieces;
      auto decoder = std::make_unique<NativeDecoder>(true);
      std::size_t at = 0;
      while (at < stream.size()) {
        const std::size_t size = std::min<std::size_t>(1 + random() % 120, stream.size() - at);
        decoder->decode(data_message(std::string_view(stream).substr(at, size)), pieces);
        at += size;
        const std::string state = decoder->save();
        decoder = std::make_unique<NativeDecoder>(true);
        ASSERT_TRUE(decoder->load(state).ok());
        ASSERT_EQ(decoder->save(), state);
      }
      ASSERT_TRUE(pieces.same_as(whole));
    }
  }
}

TEST_F(NativeStreamTest, NeverJoinsTheHalvesOfTwoConnections) {
  const std::string_view stream = stream_;
  const std::size_t cut = stream.size() - 10;
  decoder_.decode(data_message(stream.substr(0, cut), 1), sink_);
  const std::uint64_t before = sink_.delivered;
  decoder_.decode(control_message(MessageKind::kStreamClosed, 1), sink_);
  EXPECT_EQ(rejected(RejectReason::kTorn), 3U);
  decoder_.decode(data_message(stream.substr(cut), 2), sink_);
  EXPECT_EQ(sink_.delivered, before);
  EXPECT_EQ(rejected(RejectReason::kMalformed), 1U);
  decoder_.decode(control_message(MessageKind::kSourceStarted), sink_);
  EXPECT_EQ(rejected(RejectReason::kTorn), 3U);
}

TEST_F(NativeStreamTest, EveryBegunPacketIsTornWhenTheSourceStartsAnew) {
  for (std::uint64_t c = 1; c <= 5; ++c) {
    decoder_.decode(data_message(std::string_view(stream_).substr(0, 20), c), sink_);
  }
  decoder_.decode(control_message(MessageKind::kSourceStarted), sink_);
  EXPECT_EQ(rejected(RejectReason::kTorn), 5U);
}

TEST_F(NativeStreamTest, SkipsABegunPacketForWhichThereIsNoRoomAndFindsTheNext) {
  hear("");
  const std::string big =
      encoder_.announce(2, "007", wide_definition(0, 300, std::string(100, 'g'))).take();
  ASSERT_GT(big.size(), 10'000U);
  decoder_.decode(data_message(stream_, 9), sink_);
  const std::uint64_t before = sink_.delivered;
  const std::string_view start = std::string_view(big).substr(0, big.size() - 100);
  decoder_.decode(data_message(start, 1), sink_);
  decoder_.decode(data_message(start, 2), sink_);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  EXPECT_LE(decoder_.save().size(), kMaxDecoderStateBytes);
  const std::string rest = big.substr(start.size()) + rows_packet({1'000}, 1);
  decoder_.decode(data_message(rest, 2), sink_);
  EXPECT_EQ(sink_.delivered, before + 1);
  EXPECT_EQ(rejected(RejectReason::kMalformed), 0U);
}

TEST_F(NativeStreamTest, CountsWhatAConnectionBeyondTheLimitLeavesUnfinished) {
  for (std::uint64_t c = 1; c <= NativeStreams::kConnectionsMax + 1; ++c) {
    decoder_.decode(data_message(std::string_view(stream_).substr(0, 31), c), sink_);
  }
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  NativeDecoder restarted(true);
  EXPECT_TRUE(restarted.load(decoder_.save()).ok());
}

}  // namespace
}  // namespace pitbox
