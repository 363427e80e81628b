// What receive() takes from real sockets: lengths, truncation, kernel stamps and drops, coalesced
// datagrams, the end of a stream, and nothing at all while the ring is full.

#include <gtest/gtest.h>
#include <netinet/udp.h>

#include <array>

#include "buffer/clock.h"
#include "tests/buffer/ring_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;  // NOLINT(google-build-using-namespace): the test's language.

TEST(RingReceive, TakesDatagramsOfEveryLength) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const UdpPair sockets;
  std::vector<std::string> sent;
  for (std::size_t length : {0U, 1U, 7U, 8U, 9U, 255U, 256U}) {
    sent.emplace_back(length, 'x');
    sockets.send(sent.back());
  }
  const auto received = receive_all(*ring, sockets.receiver.get(), kSocket);
  EXPECT_EQ(received.messages, sent.size());
  EXPECT_EQ(received.truncated, 0U);
  const auto heard = read_all(*ring);
  EXPECT_EQ(data_texts(heard), sent);
  EXPECT_EQ(heard[0].connection, kSocket);
}

TEST(RingReceive, CountsAndMarksWhatWasTruncated) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const UdpPair sockets;
  sockets.send(std::string(257, 'x'));
  sockets.send("short");
  EXPECT_EQ(receive_all(*ring, sockets.receiver.get(), kSocket).truncated, 1U);
  const auto heard = read_all(*ring);
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_TRUE(heard[0].truncated);
  EXPECT_EQ(heard[0].text, std::string(256, 'x'));
  EXPECT_FALSE(heard[1].truncated) << "a slot used again forgets what was in it";
}

constexpr BootNs kSlack = 500'000;  // Reading two clocks one after the other, under load.

// Sends, waits and reads: true if what was sent came before it was read.
bool is_stamped_when_heard(MessageRing& ring, const UdpPair& sockets) {
  sockets.send("x");
  const BootNs sent = system_clock().boot_now();
  while (system_clock().boot_now() < sent + 4 * kSlack) {
  }
  receive_all(ring, sockets.receiver.get(), kSocket);
  const auto heard = read_all(ring);
  return !heard.empty() && heard.back().receive_ns <= sent + kSlack;
}

TEST(RingReceive, StampsWithTheTimeTheKernelHeardIt) {
  const Folder folder;
  const UdpPair sockets;
  // The kernel begins to stamp some time after it is asked to (a work queue of its own does it);
  // until then it stamps what it hands over.
  const BootNs give_up_at = system_clock().boot_now() + 10'000'000'000;
  while (!is_stamped_when_heard(*opened(small_options(folder / "earlier")), sockets)) {
    ASSERT_LT(system_clock().boot_now(), give_up_at);
  }
  const auto ring = opened(small_options(folder / "a"));
  const BootNs before = system_clock().boot_now();
  for (int i = 0; i < 20; ++i) sockets.send("x");
  const BootNs sent = system_clock().boot_now();
  while (system_clock().boot_now() < sent + 4 * kSlack) {
  }
  receive_all(*ring, sockets.receiver.get(), kSocket);
  BootNs last = 0;
  for (const Heard& heard : read_all(*ring)) {
    EXPECT_GE(heard.receive_ns, before - kSlack);
    EXPECT_LE(heard.receive_ns, sent + kSlack) << "when it came, not when it was read";
    EXPECT_GE(heard.receive_ns, last);
    last = heard.receive_ns;
  }
}

TEST(RingReceive, ReportsWhatTheKernelDropped) {
  const Folder folder;
  auto options = small_options(folder / "a");
  const auto ring = opened(options);
  const UdpPair sockets;
  const int tiny = 1;
  setsockopt(sockets.receiver.get(), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
  for (int i = 0; i < 100; ++i) sockets.send(std::string(200, 'x'));
  const auto first = receive_all(*ring, sockets.receiver.get(), kSocket);
  ASSERT_LT(first.messages, 100U);
  sockets.send("after");
  const auto second = receive_all(*ring, sockets.receiver.get(), kSocket);
  EXPECT_EQ(second.kernel_drops, 100 - first.messages);
  std::uint64_t position = ring->tail();
  std::uint32_t drops = 0;
  while (const auto message = ring->read(position).take()) drops = message->kernel_drops;
  EXPECT_EQ(drops, 100 - first.messages);
}

TEST(RingReceive, SplitsWhatTheKernelCoalesced) {
  const Folder folder;
  auto options = small_options(folder / "a");
  options.slot_bytes = 65536;
  options.slot_count = 2;
  const auto ring = opened(options);
  const UdpPair sockets;
  const int on = 1;
  const int segment = 1000;
  if (setsockopt(sockets.receiver.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0 ||
      setsockopt(sockets.sender.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) {
    GTEST_SKIP() << "this kernel does not coalesce";
  }
  std::vector<std::string> sent;
  std::string together;
  for (int i = 0; i < 30; ++i) {
    sent.emplace_back(i < 29 ? 1000 : 77, static_cast<char>('a' + i % 26));
    together += sent.back();
  }
  sockets.send(together);
  EXPECT_EQ(receive_all(*ring, sockets.receiver.get(), kSocket).messages, sent.size());
  EXPECT_EQ(data_texts(read_all(*ring)), sent);
}

TEST(RingReceive, AsksTheKernelForNothingWhileFull) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const UdpPair sockets;
  while (ring->publish(kSocket, 0, bytes_of(std::string(900, 'x'))).ok()) {
  }
  const std::uint64_t published = ring->last_number();
  sockets.send("waits");
  EXPECT_EQ(ring->receive(sockets.receiver.get(), kSocket).status().code(), Code::kFull);
  EXPECT_EQ(ring->last_number(), published);
  std::uint64_t position = ring->tail();
  (void)read_from(*ring, position);
  ring->release(position, published);
  EXPECT_EQ(receive_all(*ring, sockets.receiver.get(), kSocket).messages, 1U);
  EXPECT_EQ(read_from(*ring, position).at(0).text, "waits");
}

// However often a full area meets an almost full ring: refused before, never lost after.
TEST(RingReceive, LosesNothingAtTheEdgeOfFull) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  const UdpPair sockets;
  std::uint64_t sent = 0;
  std::uint64_t expected = 1;
  std::uint64_t position = 0;
  while (sent < 30'000) {
    for (int i = 0; i < 50; ++i) sockets.send(std::to_string(++sent) + std::string(200, ' '));
    while (ring->receive(sockets.receiver.get(), kSocket).ok() && ring->last_number() < sent) {
    }
    if (ring->last_number() == sent && sent % 5000 != 0) continue;
    for (const Heard& heard : read_from(*ring, position)) {
      ASSERT_EQ(std::stoull(heard.text), expected++);
    }
    ring->release(position, expected - 1);
    receive_all(*ring, sockets.receiver.get(), kSocket);
  }
  for (const Heard& heard : read_from(*ring, position)) {
    ASSERT_EQ(std::stoull(heard.text), expected++);
  }
  EXPECT_EQ(expected, sent + 1);
}

TEST(RingReceive, SaysWhenAStreamEndsAfterItsLastBytes) {
  const Folder folder;
  auto options = small_options(folder / "a");
  options.is_stream = true;
  const auto ring = opened(options);
  TcpPair sockets;
  EXPECT_TRUE(ring->receive(sockets.receiver.get(), kSocket).value().would_block);
  sockets.send("$GPRMC,half");
  sockets.sender = Descriptor();
  const auto first = ring->receive(sockets.receiver.get(), kSocket);
  EXPECT_EQ(first.value().messages, 1U);
  EXPECT_FALSE(first.value().closed);
  EXPECT_TRUE(ring->receive(sockets.receiver.get(), kSocket).value().closed);
  EXPECT_EQ(data_texts(read_all(*ring)), (std::vector<std::string>{"$GPRMC,half"}));
}

TEST(RingReceive, TreatsAResetStreamAsClosed) {
  const Folder folder;
  auto options = small_options(folder / "a");
  options.is_stream = true;
  const auto ring = opened(options);
  TcpPair sockets;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(sockets.sender.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockets.sender = Descriptor();
  EXPECT_TRUE(ring->receive(sockets.receiver.get(), kSocket).value().closed);
}

TEST(RingReceive, SaysFatalForADescriptorThatIsNoSocket) {
  const Folder folder;
  const auto ring = opened(small_options(folder / "a"));
  EXPECT_EQ(ring->receive(-1, kSocket).status().code(), Code::kFatal);
}

}  // namespace
}  // namespace pitbox
