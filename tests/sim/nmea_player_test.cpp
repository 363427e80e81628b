// Playing a recording: every byte of it in its order, at the moments its sentences name.

#include "apps/sim/nmea_player.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pitbox {
namespace {

std::vector<NmeaPlayer::Piece> pieces_of(const std::string& recording) {
  auto player = NmeaPlayer::make(recording);
  EXPECT_TRUE(player.ok()) << player.status().message();
  std::vector<NmeaPlayer::Piece> pieces;
  if (!player.ok()) return pieces;
  while (const auto piece = player.value().next()) pieces.push_back(*piece);
  return pieces;
}

TEST(NmeaPlayer, KeepsEveryByteOfEveryLine) {
  const std::string recording =
      "$GPRMC,173430.010,A*00\r\n$GPGSV,1*00\r\n\r\n$GPGGA,173430.250,x*00\n$GPRMC,173431";
  const auto pieces = pieces_of(recording);
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(pieces[0].bytes, "$GPRMC,173430.010,A*00\r\n");
  EXPECT_EQ(pieces[1].bytes, "$GPGSV,1*00\r\n");
  EXPECT_EQ(pieces[2].bytes, "$GPGGA,173430.250,x*00\n");
  EXPECT_EQ(pieces[3].bytes, "$GPRMC,173431");
}

TEST(NmeaPlayer, FollowsTheTimesOfRmcAndGga) {
  const auto pieces = pieces_of(
      "$GPRMC,173430.010,A*00\n$GPGSV,1*00\n$GPGGA,173430.250,x*00\n$GNRMC,173431.25,A*00\n");
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(pieces[0].at_ms, 0);
  EXPECT_EQ(pieces[1].at_ms, 0);
  EXPECT_EQ(pieces[2].at_ms, 240);
  EXPECT_EQ(pieces[3].at_ms, 1240);
}

TEST(NmeaPlayer, PassesMidnightAndDoesNotGoBack) {
  const auto pieces = pieces_of(
      "$GPRMC,235959.900,A*00\n$GPRMC,000000.100,A*00\n$GPRMC,000000.050,A*00\n"
      "$GPRMC,000000.150,A*00\n");
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(pieces[1].at_ms, 200);
  EXPECT_EQ(pieces[2].at_ms, 200);
  EXPECT_EQ(pieces[3].at_ms, 300);
}

TEST(NmeaPlayer, FindsTheTimeBehindATruncatedSentence) {
  EXPECT_EQ(nmea_time_of_day("$GPGGA,17,W,0$GPRMC,170148.12,A*6C"), 61'308'120);
  EXPECT_EQ(nmea_time_of_day("$GPRMC,,V,,,*00"), std::nullopt);
  EXPECT_EQ(nmea_time_of_day("$GPRMC,996199,A"), std::nullopt);
  EXPECT_EQ(nmea_time_of_day("$GPRMC,12"), std::nullopt);
  EXPECT_EQ(nmea_time_of_day("$"), std::nullopt);
}

TEST(NmeaPlayer, RefusesWhatIsNoRecording) {
  EXPECT_FALSE(NmeaPlayer::make("").ok());
  EXPECT_FALSE(NmeaPlayer::make("time,lat,lon\n1,2,3\n").ok());
}

}  // namespace
}  // namespace pitbox
