// Text from outside: what may be printed passes, what may not is replaced, and no cut goes through
// a character.

#include "proto/text.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

TEST(Text, IsPlainWithoutControlCharactersAndWellFormed) {
  for (const char* text : {"", "FP1", "N\xC3\xBCrburgring", "\xF0\x9F\x8F\x81"}) {
    EXPECT_TRUE(is_plain_text(text)) << text;
  }
  for (const char* text : {"a\n", "\x7F", "\xC2\x85", "\xC0\xAF", "\xED\xA0\x80",
                           "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_FALSE(is_plain_text(text)) << text;
  }
}

TEST(Text, ForAPersonIsPlainWhateverItWas) {
  EXPECT_EQ(printable("key\x01 was \xFF\xC2\x85 revoked", 100), "key  was     revoked");
  EXPECT_EQ(printable("N\xC3\xBCr", 100), "N\xC3\xBCr");
}

TEST(Text, IsCutBetweenCharactersAndSaysSo) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abc...");
  EXPECT_EQ(printable("ab\xC3\xBC\xC3\xBC\xC3\xBC", 6), "ab...");
  EXPECT_EQ(printable("abcd", 3), "...");
  for (std::size_t length = 3; length < 20; ++length) {
    const std::string cut =
        printable("\xE2\x82\xAC\xE2\x82\xAC\xC3\xBC\xE2\x82\xAC\xE2\x82\xAC", length);
    EXPECT_LE(cut.size(), length);
    EXPECT_TRUE(is_plain_text(cut)) << length;
  }
}

TEST(Text, TellsAMomentInUtc) {
  EXPECT_EQ(utc_text(1'682'789'670'010), "2023-04-29T17:34:30.010Z");
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(utc_text(-1), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace pitbox
