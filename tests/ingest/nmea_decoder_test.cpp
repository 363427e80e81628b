// Goal: every sentence that was sent whole is kept exactly or refused by name, however the bytes
// were cut; method: sentences of every kind and damage, and a real recording against an independent
// decode of it.

#include "ingest/nmea_decoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <memory>
#include <random>
#include <sstream>

#include "tests/ingest/record_collector.h"
#include "tests/ingest/shared_data.h"

namespace pitbox {
namespace {

constexpr std::size_t kLatitude = 0;
constexpr std::size_t kLongitude = 1;
constexpr std::size_t kSpeed = 2;
constexpr std::size_t kCourse = 3;
constexpr std::size_t kValid = 4;

// "$body*HH\r\n" with the right checksum.
std::string sentence(const std::string& body) {
  int sum = 0;
  for (const char each : body) sum ^= static_cast<unsigned char>(each);
  char tail[8];
  std::snprintf(tail, sizeof tail, "*%02X\r\n", static_cast<unsigned>(sum));
  return "$" + body + tail;
}

std::string rmc(const std::string& time, const std::string& day = "290423") {
  return sentence("GPRMC," + time + ",A,2824.70529,N,08122.75973,W,28.72,309.31," + day + ",,,");
}

// `minute` is as date(1) writes it: "2023-04-29 17:34".
std::int64_t utc_ns(const char* minute, double second) {
  std::tm tm{};
  EXPECT_NE(strptime(minute, "%Y-%m-%d %H:%M", &tm), nullptr) << minute;
  return timegm(&tm) * std::int64_t{1'000'000'000} + std::llround(second * 1e9);
}

class NmeaDecoderTest : public ::testing::Test {
 protected:
  DecodeOutcome hear(const std::string& bytes, std::uint64_t connection = 1) {
    return decoder_->decode(data_message(bytes, connection), sink_);
  }
  void restart() {
    const std::string state = decoder_->save();
    decoder_ = std::make_unique<NmeaDecoder>("46", true);
    ASSERT_TRUE(decoder_->load(state).ok());
    ASSERT_EQ(decoder_->save(), state);
  }
  void use_datagrams() { decoder_ = std::make_unique<NmeaDecoder>("46", false); }
  const CollectedRows& positions() { return sink_.groups[{"46", "gps"}]; }
  const CollectedRows& fixes() { return sink_.groups[{"46", "gps_fix"}]; }
  std::uint64_t rejected(RejectReason reason) { return sink_.rejected[reason]; }
  std::uint64_t rejected() {
    std::uint64_t sum = 0;
    for (const auto& [reason, count] : sink_.rejected) sum += count;
    return sum;
  }

  std::unique_ptr<NmeaDecoder> decoder_ = std::make_unique<NmeaDecoder>("46", true);
  RecordCollector sink_;
};

TEST_F(NmeaDecoderTest, KeepsARecommendedMinimumExactly) {
  hear(rmc("173430.010"));
  ASSERT_EQ(positions().count, 1U);
  EXPECT_EQ(positions().source_ns[0], utc_ns("2023-04-29 17:34", 30.010));
  EXPECT_EQ(positions().value(0, kLatitude), 28 + 24.70529 / 60);
  EXPECT_EQ(positions().value(0, kLongitude), -(81 + 22.75973 / 60));
  EXPECT_EQ(positions().value(0, kSpeed), 28.72 * 1.852);
  EXPECT_EQ(positions().value(0, kCourse), 309.31);
  EXPECT_EQ(positions().value(0, kValid), 1);
}

TEST_F(NmeaDecoderTest, KeepsEmptyFieldsAndVoidFixesAsWhatTheyAre) {
  hear(sentence("GNRMC,000000,A,2824.7,S,08122.7,E,,,010124,,,A"));
  hear(sentence("GPRMC,000001.5,V,,,,,,,010124,,,N"));
  ASSERT_EQ(positions().count, 2U);
  EXPECT_LT(positions().value(0, kLatitude), 0);
  EXPECT_GT(positions().value(0, kLongitude), 0);
  EXPECT_TRUE(std::isnan(positions().value(0, kSpeed)));
  EXPECT_TRUE(std::isnan(positions().value(0, kCourse)));
  EXPECT_TRUE(std::isnan(positions().value(1, kLatitude)));
  EXPECT_EQ(positions().value(1, kValid), 0);
  EXPECT_EQ(positions().source_ns[1], utc_ns("2024-01-01 00:00", 1.5));
}

TEST_F(NmeaDecoderTest, GivesFixDataTheDateOfTheNearestRmc) {
  const std::string after = "GPGGA,000000.100,2824.7,N,08122.7,W,2,11,0.9,-3.5,M,,M,,";
  hear(sentence(after));
  EXPECT_EQ(rejected(RejectReason::kUnsupported), 1U);  // No date yet.
  hear(rmc("235959.900", "311223"));
  hear(sentence(after));
  hear(rmc("000000.200", "010124"));
  hear(sentence("GPGGA,235959.800,2824.7,N,08122.7,W,0,,,,M,,M,,"));
  ASSERT_EQ(fixes().count, 2U);
  EXPECT_EQ(fixes().source_ns[0], utc_ns("2024-01-01 00:00", 0.1));
  EXPECT_EQ(fixes().source_ns[1], utc_ns("2023-12-31 23:59", 59.8));
  EXPECT_EQ(fixes().value(0, 0), 2);
  EXPECT_EQ(fixes().value(0, 1), 11);
  EXPECT_EQ(fixes().value(0, 2), 0.9);
  EXPECT_EQ(fixes().value(0, 3), -3.5);
  EXPECT_TRUE(std::isnan(fixes().value(1, 3)));
}

TEST_F(NmeaDecoderTest, RecoversTheSentenceThatIsGluedToATruncatedOne) {
  const std::string first = rmc("170148.08");
  hear(first.substr(0, 40) + rmc("170148.12") + rmc("170148.16"));
  EXPECT_EQ(positions().count, 2U);
  EXPECT_EQ(rejected(RejectReason::kMalformed), 1U);
  EXPECT_EQ(rejected(), 1U);
}

TEST_F(NmeaDecoderTest, RefusesEverySingleDamagedByte) {
  const std::string good = rmc("170148.08");
  for (std::size_t at = 1; at + 2 < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    hear(bad);
    hear("\n");
  }
  EXPECT_EQ(sink_.delivered, 0U);
  EXPECT_GE(rejected(), good.size() - 3);
}

TEST_F(NmeaDecoderTest, RefusesByNameWhatItDoesNotKeep) {
  hear(sentence("GPGSV,3,1,11,03,03,111,00"));
  hear(sentence("PGRMC,A,100.0,100,,,,,,A,3,1,2,4,30"));  // Garmin's own, no RMC.
  hear(sentence("GPRMC,,V,,,,,,,,,,N"));
  hear(sentence(""));
  EXPECT_EQ(rejected(RejectReason::kUnsupported), 4U);
  hear(sentence("GPRMC,250000,A,2824.7,N,08122.7,W,1,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2860.0,N,08122.7,W,1,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2824.7,X,08122.7,W,1,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2824.7,N,18122.7,W,1,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2824.7,N,08122.7,W,1e3,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2824.7,N,08122.7,W,inf,1,010124,,,"));
  hear(sentence("GPRMC,120000,A,2824.7,N,08122.7,W,1,1,310224,,,"));
  hear(sentence("GPRMC,120000,A,,,,,1,1,010124,,,"));
  hear(sentence("GPRMC"));
  EXPECT_EQ(rejected(RejectReason::kMalformed), 9U);
  hear("$GPRMC,120000,A,2824.7,N,08122.7,W,1,1,010124,,,\r\n");  // No checksum.
  hear("$GPRMC*0G\r\n");
  EXPECT_EQ(rejected(RejectReason::kMalformed), 11U);
  hear("$" + std::string(255, 'x') + "\r\n");
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  hear("\x01\x02 noise\r\n\r\n");
  EXPECT_EQ(rejected(RejectReason::kMalformed), 12U);
  EXPECT_EQ(sink_.delivered, 0U);
}

TEST_F(NmeaDecoderTest, KeepsTheHalfSentenceOfAConnectionOverARestart) {
  const std::string one = rmc("120000.0");
  const std::string two = rmc("120001.0");
  hear(one.substr(0, 30), 1);
  hear(two.substr(0, 50), 2);
  restart();
  hear(two.substr(50), 2);
  restart();
  hear(one.substr(30), 1);
  EXPECT_EQ(positions().count, 2U);
  EXPECT_EQ(rejected(), 0U);
}

TEST_F(NmeaDecoderTest, EndsTheHalfSentenceOfAConnectionWithIt) {
  const std::string one = rmc("120000.0");
  hear(one.substr(0, 30), 1);
  hear(one.substr(0, 30), 2);
  decoder_->decode(control_message(MessageKind::kStreamClosed, 1), sink_);
  EXPECT_EQ(rejected(RejectReason::kTorn), 1U);
  hear(one.substr(30), 3);  // No continuation: another connection.
  EXPECT_EQ(sink_.delivered, 0U);
  decoder_->decode(control_message(MessageKind::kSourceStarted), sink_);
  EXPECT_EQ(rejected(RejectReason::kTorn), 2U);
  EXPECT_EQ(decoder_->save(), "");
}

TEST_F(NmeaDecoderTest, HearsAConnectionBeyondTheLimitButKeepsNoHalfOfIt) {
  for (std::uint64_t c = 1; c <= NmeaDecoder::kConnectionsMax; ++c) hear("$", c);
  const std::string one = rmc("120000.0");
  hear(one + one.substr(0, 9), 99);
  EXPECT_EQ(sink_.delivered, 1U);
  EXPECT_EQ(rejected(RejectReason::kLimit), 1U);
  EXPECT_LE(decoder_->save().size(), kMaxDecoderStateBytes);
  restart();
}

TEST_F(NmeaDecoderTest, LetsEveryDatagramStandAlone) {
  use_datagrams();
  const std::string one = rmc("120000.0");
  EXPECT_EQ(hear(one.substr(0, one.size() - 2)), DecodeOutcome::kDecoded);  // No line end: whole.
  EXPECT_EQ(hear(one + rmc("120001") + one.substr(0, 20)), DecodeOutcome::kDecoded);
  EXPECT_EQ(rejected(RejectReason::kTorn), 1U);
  EXPECT_EQ(hear(one.substr(20)), DecodeOutcome::kMalformed);
  EXPECT_EQ(hear(""), DecodeOutcome::kMalformed);
  EXPECT_EQ(positions().count, 3U);
}

TEST_F(NmeaDecoderTest, RefusesStatesThatAreNotItsOwn) {
  hear(rmc("120000.0") + "$GPR", 1);
  const std::string state = decoder_->save();
  for (std::size_t size = 1; size < state.size(); ++size) {
    NmeaDecoder fresh("46", true);
    EXPECT_EQ(fresh.load(state.substr(0, size)).code(), Code::kCorrupt) << size;
  }
  EXPECT_EQ(NmeaDecoder("46", true).load(state + "x").code(), Code::kCorrupt);
}

// The recording as somebody else would read it: by lines, with strtod.
void expect_positions_of(const std::string& file, const CollectedRows& rows) {
  std::istringstream lines(file);
  std::string line;
  std::size_t row = 0;
  while (std::getline(lines, line)) {
    if (!line.starts_with("$GPRMC")) continue;
    std::vector<std::string> fields;
    std::istringstream in(line);
    for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
    const double latitude = std::strtod(fields[3].substr(0, 2).c_str(), nullptr) +
                            std::strtod(fields[3].substr(2).c_str(), nullptr) / 60;
    const double longitude = std::strtod(fields[5].substr(0, 3).c_str(), nullptr) +
                             std::strtod(fields[5].substr(3).c_str(), nullptr) / 60;
    ASSERT_LT(row, rows.count);
    ASSERT_EQ(rows.value(row, kLatitude), fields[4] == "N" ? latitude : -latitude);
    ASSERT_EQ(rows.value(row, kLongitude), fields[6] == "E" ? longitude : -longitude);
    ASSERT_EQ(rows.source_ns[row] % 1'000'000'000,
              std::llround(std::strtod(fields[1].substr(6).c_str(), nullptr) * 1e9));
    ++row;
  }
  EXPECT_EQ(row, rows.count);
}

TEST_F(NmeaDecoderTest, AgreesWithAnIndependentDecodeOfRealRecordingsHoweverTheyAreCut) {
  for (const char* name : {"nmea/okc_2laps.nmea", "nmea/okc_praga_laps.nmea"}) {
    SKIP_WITHOUT(shared_data(name));
    const std::string file = read_whole(shared_data(name));
    RecordCollector whole;
    NmeaDecoder("46", true).decode(data_message(file), whole);
    expect_positions_of(file, whole.groups[{"46", "gps"}]);
    std::mt19937 random(7);
    RecordCollector pieces;
    decoder_ = std::make_unique<NmeaDecoder>("46", true);
    for (std::size_t at = 0; at < file.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 200, file.size() - at);
      decoder_->decode(data_message(std::string_view(file).substr(at, size)), pieces);
      at += size;
      if (random() % 10 == 0) restart();
    }
    EXPECT_TRUE(pieces.same_as(whole));
  }
}

}  // namespace
}  // namespace pitbox
