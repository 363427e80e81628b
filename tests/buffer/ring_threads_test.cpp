// Threaded. The ring between its producer and its consumer: every message arrives once, whole and
// in order, with the bytes that were written. Under the thread sanitizer this proves the memory
// orders: with the head's release store weakened to relaxed it reports a data race.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/buffer/ring_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;  // NOLINT(google-build-using-namespace): the test's language.

std::size_t length_of(std::uint64_t number) {
  return number * 2654435761U % 1400;
}

TEST(RingThreads, EveryMessageArrivesOnceWholeAndInOrder) {
  constexpr std::uint64_t kMessages = 60'000;
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));

  std::thread producer([&] {
    for (std::uint64_t n = 1; n <= kMessages;) {
      const std::string text(length_of(n), static_cast<char>('a' + n % 26));
      if (ring->publish(kSocket, static_cast<std::int64_t>(n), bytes_of(text)).ok()) {
        ++n;
      } else {
        std::this_thread::yield();
      }
    }
  });

  std::uint64_t expected = 1;
  std::uint64_t position = ring->tail();
  while (expected <= kMessages) {
    const auto message = ring->read(position);
    ASSERT_TRUE(message.ok());
    if (!message.value()) {
      std::this_thread::yield();
      continue;
    }
    const Message& m = *message.value();
    ASSERT_EQ(m.number, expected);
    ASSERT_EQ(m.receive_ns, static_cast<std::int64_t>(expected));
    ASSERT_EQ(m.bytes.size(), length_of(expected));
    const auto fill = static_cast<std::byte>('a' + expected % 26);
    ASSERT_TRUE(
        std::all_of(m.bytes.begin(), m.bytes.end(), [&](std::byte byte) { return byte == fill; }));
    ASSERT_GE(ring->last_number(), expected) << "a count behind what can be read";
    // Not after each: the producer must meet a full ring and a stale tail, too.
    if (expected % 64 == 0) ring->release(position, expected);
    ++expected;
  }
  producer.join();
  EXPECT_EQ(position, ring->head());
}

TEST(RingThreads, DatagramsArriveOnceWholeAndInOrder) {
  constexpr std::uint64_t kDatagrams = 20'000;
  constexpr std::uint64_t kAhead = 200;  // Fits any socket buffer.
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const UdpPair sockets;
  std::atomic<std::uint64_t> consumed = 0;

  std::thread producer([&] {
    std::uint64_t sent = 0;
    while (consumed.load() < kDatagrams) {
      for (; sent < kDatagrams && sent < consumed.load() + kAhead; ++sent) {
        sockets.send(std::to_string(sent + 1));
      }
      (void)ring->receive(sockets.receiver.get(), kSocket);
    }
  });

  std::uint64_t expected = 1;
  std::uint64_t position = ring->tail();
  while (expected <= kDatagrams) {
    for (const Heard& heard : read_from(*ring, position)) {
      EXPECT_EQ(heard.number, expected);
      EXPECT_EQ(heard.text, std::to_string(expected));
      ++expected;
    }
    ring->release(position, expected - 1);
    consumed.store(expected - 1);
  }
  producer.join();
}

}  // namespace
}  // namespace pitbox
