// What the benches of peers are judged by: a book of datagrams, and base64 for the peer that
// carries text.

#include "bench/peers/datagram_book.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/peers/base64.h"

namespace pitbox {
namespace {

std::string_view text_of(std::span<const char> datagram) {
  return {datagram.data(), datagram.size()};
}

TEST(DatagramBook, NumbersTheDatagramsOfALoad) {
  Load load = Load::make(2, 7).take();
  DatagramBook book;
  for (std::size_t i = 0; i < load.size() + 3; ++i) {
    ASSERT_TRUE(book.take(text_of(load.next())).ok());
  }
  EXPECT_EQ(book.distinct(), load.size() + 3);
  EXPECT_EQ(book.repeated(), 0U);
  EXPECT_FALSE(book.take(load.announcements().front()).ok()) << "it carries no rows";
  std::string other(text_of(load.next()));
  other.pop_back();
  EXPECT_FALSE(book.take(other).ok());
}

TEST(DatagramBook, SaysWhatIsThereInRangesAndWhatCameAgain) {
  DatagramBook book;
  for (const std::uint64_t sequence : {1U, 2U, 3U, 5U, 9U, 8U, 5U}) {
    ASSERT_TRUE(book.take(DatagramNumber{.group = 4, .sequence = sequence}).ok());
  }
  ASSERT_TRUE(book.take(DatagramNumber{.group = 11, .sequence = 7}).ok());
  const auto json = nlohmann::json::parse(book.to_json());
  EXPECT_EQ(json.at("distinct"), 7);
  EXPECT_EQ(json.at("repeated"), 1);
  EXPECT_EQ(json.at("ranges").size(), 2U);
  EXPECT_EQ(json.at("ranges").at("4").dump(), "[[1,3],[5,5],[8,9]]");
  EXPECT_EQ(json.at("ranges").at("11").dump(), "[[7,7]]");
}

TEST(DatagramBook, ADatagramIsThereWhenAllItsRowsAre) {
  DatagramBook book;
  const DatagramNumber number{.group = 0, .sequence = 1};
  for (const std::size_t row : {0U, 2U, 2U}) ASSERT_TRUE(book.take_row(number, row, 3).ok());
  EXPECT_EQ(book.distinct(), 0U);
  EXPECT_EQ(book.repeated(), 1U);
  ASSERT_TRUE(book.take_row(number, 1, 3).ok());
  EXPECT_EQ(book.distinct(), 1U);
  ASSERT_TRUE(book.take_row(number, 0, 3).ok());
  EXPECT_EQ(book.repeated(), 2U);
  for (std::size_t row = 0; row < 64; ++row) {
    ASSERT_TRUE(book.take_row({.group = 0, .sequence = 2}, row, 64).ok());
  }
  EXPECT_EQ(book.distinct(), 2U);
}

TEST(DatagramBook, RefusesNumbersThatNoLoadGives) {
  DatagramBook book;
  EXPECT_EQ(book.take(DatagramNumber{.group = 0, .sequence = 0}).code(), Code::kCorrupt);
  EXPECT_EQ(book.take(DatagramNumber{.group = DatagramBook::kGroupsMax, .sequence = 1}).code(),
            Code::kCorrupt);
  EXPECT_EQ(
      book.take(DatagramNumber{.group = 0, .sequence = DatagramBook::kSequencesMax + 1}).code(),
      Code::kCorrupt);
  EXPECT_EQ(book.distinct(), 0U);
}

// RFC 4648, section 10.
TEST(Base64, IsThatOfTheStandard) {
  const std::pair<const char*, const char*> kPairs[] = {{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kPairs) {
    std::string out;
    append_base64(bytes, out);
    EXPECT_EQ(out, text);
    EXPECT_EQ(out.size(), base64_bytes(std::strlen(bytes)));
    EXPECT_EQ(from_base64(text).take(), bytes);
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string out;
  append_base64(all, out);
  EXPECT_EQ(from_base64(out).take(), all);
  for (const char* wrong : {"Zg=", "Z===", "Zm9v=AAA", "Zm 9", "Zm9\x80"}) {
    EXPECT_EQ(from_base64(wrong).status().code(), Code::kCorrupt) << wrong;
  }
}

}  // namespace
}  // namespace pitbox
