// Goal: what is heard is recognised by the decoder that understands it, and by no other; method:
// datagrams of every kind that there is a decoder for, and of none.

#include "ingest/recognise.h"

#include <gtest/gtest.h>

#include <string>

#include "ingest/native_encoder.h"
#include "tests/ingest/f1_datagrams.h"

namespace pitbox {
namespace {

constexpr std::string_view kRmcSentence =
    "$GPRMC,173430.010,A,2824.7625,N,08122.7840,W,54.00,270.0,060823,,*11\r\n";

// With the checksum that it has to have.
std::string sound(std::string_view sentence) {
  const std::string body(sentence.substr(1, sentence.find('*') - 1));
  unsigned sum = 0;
  for (const char c : body) sum ^= static_cast<unsigned char>(c);
  constexpr char kDigits[] = "0123456789ABCDEF";
  return "$" + body + "*" + kDigits[sum >> 4U] + kDigits[sum & 15U] + "\r\n";
}

void hear(Recogniser& recogniser, const std::string& message) {
  recogniser.hear(std::as_bytes(std::span(message)));
}

std::string_view best_of(const Recogniser& recogniser) {
  const Recogniser::Tried* best = recogniser.best();
  return best == nullptr ? "" : best->decoder;
}

TEST(Recogniser, KnowsAnF1Game) {
  Recogniser recogniser(false);
  F1Head head;
  head.id = 6;
  for (int i = 0; i < 3; ++i) hear(recogniser, f1_datagram(head));
  EXPECT_EQ(best_of(recogniser), "f1");
  EXPECT_TRUE(recogniser.best()->groups.contains("f1.car_telemetry"));
  EXPECT_EQ(recogniser.best()->understood, 3U);
  EXPECT_EQ(recogniser.messages(), 3U);
}

TEST(Recogniser, KnowsPositionsInDatagramsAndInStreams) {
  for (const bool is_stream : {false, true}) {
    Recogniser recogniser(is_stream);
    for (int i = 0; i < 3; ++i) hear(recogniser, sound(kRmcSentence));
    EXPECT_EQ(best_of(recogniser), "nmea") << is_stream;
    EXPECT_EQ(recogniser.best()->records, 3U);
  }
}

TEST(Recogniser, KnowsItsOwnFormat) {
  const auto definition = Definition::make({.group = "engine",
                                            .time_base = TimeBase::kNone,
                                            .channels = {{"rpm", "", StorageType::kU16, 1, 0}}});
  ASSERT_TRUE(definition.ok());
  NativeEncoder encoder(7);
  Recogniser recogniser(false);
  hear(recogniser, encoder.announce(1, "27", definition.value()).take());
  std::string datagram;
  const std::array<std::byte, 2> row{};
  ASSERT_EQ(encoder.append_rows(1, {}, row, 1400, datagram), 1U);
  hear(recogniser, datagram);
  EXPECT_EQ(best_of(recogniser), "native");
  EXPECT_TRUE(recogniser.best()->cars.contains("27"));
}

TEST(Recogniser, KnowsNothingOfNoiseOfAMixtureOrOfNothing) {
  Recogniser nothing(false);
  EXPECT_EQ(nothing.best(), nullptr);
  Recogniser noise(false);
  for (int i = 0; i < 5; ++i) hear(noise, std::string(static_cast<std::size_t>(100 + i), 'x'));
  EXPECT_EQ(noise.best(), nullptr);
  Recogniser mixture(false);
  hear(mixture, sound(kRmcSentence));
  hear(mixture, "noise");
  EXPECT_EQ(mixture.best(), nullptr) << "half is not more than half";
  hear(mixture, sound(kRmcSentence));
  EXPECT_EQ(best_of(mixture), "nmea");
}

}  // namespace
}  // namespace pitbox
