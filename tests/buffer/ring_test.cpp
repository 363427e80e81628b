// MessageRing as its two users see it: what goes in comes out once, in order; what is full refuses;
// what is released makes room; what a file says survives closing and opening.

#include "buffer/ring.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/buffer/ring_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;  // NOLINT(google-build-using-namespace): the test's language.

TEST(MessageRing, GivesBackWhatWasPublishedInOrder) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  EXPECT_FALSE(ring->was_attached());
  EXPECT_EQ(ring->last_number(), 0U);
  ASSERT_TRUE(ring->publish(kSocket, 111, bytes_of("one")).ok());
  ASSERT_TRUE(ring->publish(kSocket, 222, bytes_of("")).ok());
  ASSERT_TRUE(ring->publish_control(MessageKind::kStreamClosed, kSocket).ok());
  ASSERT_TRUE(ring->publish(kSocket, 333, bytes_of("three")).ok());

  const auto heard = read_all(*ring);
  ASSERT_EQ(heard.size(), 4U);
  EXPECT_EQ(data_texts(heard), (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(heard[0].receive_ns, 111);
  EXPECT_EQ(heard[0].connection, kSocket);
  EXPECT_EQ(heard[2].kind, MessageKind::kStreamClosed);
  EXPECT_EQ(heard[2].number, 2U) << "a control message carries the number before it";
  EXPECT_EQ(ring->last_number(), 3U);
}

TEST(MessageRing, RefusesWhenFullAndTakesAgainAfterARelease) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const std::string text(100'000, 'x');
  std::uint64_t taken = 0;
  while (ring->publish(kSocket, 0, bytes_of(text)).ok()) ++taken;
  EXPECT_EQ(taken, 10U) << "1 MiB less the reserve holds ten of them";
  EXPECT_EQ(ring->publish(kSocket, 0, bytes_of(text)).code(), Code::kFull);
  EXPECT_TRUE(ring->publish_control(MessageKind::kStreamClosed, kSocket).ok())
      << "the end of a connection has room when data has none";

  std::uint64_t position = ring->tail();
  ASSERT_TRUE(ring->read(position).value());
  EXPECT_EQ(ring->publish(kSocket, 0, bytes_of(text)).code(), Code::kFull)
      << "reading is not releasing";
  ring->release(position, 1);
  EXPECT_EQ(ring->tail_number(), 1U);
  EXPECT_TRUE(ring->publish(kSocket, 0, bytes_of(text)).ok());
}

TEST(MessageRing, RefusesAMessageLongerThanAQuarter) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const std::size_t longest = ring->capacity() / 4 - 64;
  EXPECT_TRUE(ring->publish(kSocket, 0, bytes_of(std::string(longest, 'x'))).ok());
  EXPECT_EQ(ring->publish(kSocket, 0, bytes_of(std::string(longest + 1, 'x'))).code(),
            Code::kRejected);
}

TEST(MessageRing, KeepsMessagesWholeAcrossItsEnd) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  std::uint64_t position = 0;
  for (std::uint64_t n = 1; n <= 3000; ++n) {
    const std::string text(1 + n * 7919 % 1999, static_cast<char>('a' + n % 26));
    ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of(text)).ok());
    const auto heard = read_from(*ring, position);
    ASSERT_EQ(heard.size(), 1U);
    ASSERT_EQ(heard[0].number, n);
    ASSERT_EQ(heard[0].text, text);
    ring->release(position, n);
  }
  EXPECT_GT(ring->head(), 2 * ring->capacity()) << "or the end was never met";
}

TEST(MessageRing, ReadsFromAnyPositionThatReadLeftBehind) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of(std::to_string(i))).ok());
  }
  std::uint64_t position = ring->tail();
  ASSERT_TRUE(ring->read(position).value());
  ASSERT_TRUE(ring->read(position).value());
  std::uint64_t again = position;
  EXPECT_EQ(read_from(*ring, again).size(), 3U);
  EXPECT_EQ(again, ring->head());
}

TEST(MessageRing, SaysCorruptForAPositionThatIsNone) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of("hello")).ok());
  ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of("there")).ok());
  for (std::uint64_t wrong : {std::uint64_t{8}, std::uint64_t{3}, ring->head() + 8}) {
    EXPECT_EQ(ring->read(wrong).status().code(), Code::kCorrupt);
  }
  std::uint64_t position = 0;
  ASSERT_TRUE(ring->read(position).value());
  ring->release(position, 1);
  std::uint64_t released = 0;
  EXPECT_EQ(ring->read(released).status().code(), Code::kCorrupt);
}

TEST(MessageRing, CarriesOnAfterClosingAndOpening) {
  const Folder folder;
  auto ring = opened(small_options(folder / "a"));
  const std::uint64_t id = ring->id();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(ring->publish(kSocket, 9, bytes_of(std::to_string(i))).ok());
  }
  std::uint64_t position = ring->tail();
  ASSERT_TRUE(ring->read(position).value());
  ASSERT_TRUE(ring->read(position).value());
  ring->release(position, 2);
  ring.reset();

  ring = opened(small_options(folder / "a"));
  EXPECT_TRUE(ring->was_attached());
  EXPECT_EQ(ring->id(), id);
  EXPECT_EQ(ring->recovered(), 0U);
  EXPECT_EQ(ring->tail(), position);
  EXPECT_EQ(ring->tail_number(), 2U);
  EXPECT_EQ(ring->last_number(), 5U);
  const auto heard = read_all(*ring);
  EXPECT_EQ(data_texts(heard, 3), (std::vector<std::string>{"2", "3", "4"}));
  EXPECT_EQ(heard.back().kind, MessageKind::kSourceStarted);
}

TEST(MessageRing, KnowsItsNumbersWhenAllIsReleased) {
  const Folder folder;
  auto ring = opened(small_options(folder / "a"));
  ASSERT_TRUE(ring->publish(kSocket, 9, bytes_of("x")).ok());
  ring->release(ring->head(), 1);
  ring.reset();
  ring = opened(small_options(folder / "a"));
  EXPECT_EQ(ring->tail_number(), 1U);
  EXPECT_EQ(ring->last_number(), 1U);
  ASSERT_TRUE(ring->publish(kSocket, 9, bytes_of("y")).ok());
  EXPECT_EQ(ring->last_number(), 2U);
}

TEST(MessageRing, SaysSourceStartedOnceHoweverOftenItIsOpened) {
  const Folder folder;
  auto options = small_options(folder / "a");
  options.is_stream = true;
  auto ring = opened(options);
  EXPECT_EQ(read_all(*ring).size(), 1U) << "a new stream ring begins with it, too";
  for (int i = 0; i < 3; ++i) {
    ring.reset();
    ring = opened(options);
  }
  EXPECT_EQ(read_all(*ring).size(), 1U);
  ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of("x")).ok());
  ring.reset();
  ring = opened(options);
  EXPECT_EQ(read_all(*ring).size(), 3U);
}

TEST(MessageRing, OwesSourceStartedWhileThereIsNoRoom) {
  const Folder folder;
  auto ring = opened(small_options(folder / "a"));
  while (ring->publish(kSocket, 0, bytes_of(std::string(1000, 'x'))).ok()) {
  }
  while (ring->publish_control(MessageKind::kStreamClosed, kSocket).ok()) {
  }
  const std::uint64_t last = ring->last_number();
  ring.reset();
  ring = opened(small_options(folder / "a"));
  EXPECT_EQ(ring->publish(kSocket, 0, bytes_of("x")).code(), Code::kFull);
  std::uint64_t position = ring->tail();
  (void)read_from(*ring, position);
  ring->release(position, last);
  ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of("next")).ok());
  const auto heard = read_from(*ring, position);
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].kind, MessageKind::kSourceStarted);
  EXPECT_EQ(heard[1].number, last + 1);
}

}  // namespace
}  // namespace pitbox
