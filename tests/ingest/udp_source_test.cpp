// UdpSource over real sockets, its loop driven by the test: what is sent is in the ring, in order;
// a full ring loses nothing that the kernel can hold; an inherited socket keeps what it queued.

#include "ingest/udp_source.h"

#include <gtest/gtest.h>
#include <netinet/udp.h>

#include "ingest/listening_socket.h"
#include "tests/ingest/source_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;    // NOLINT(google-build-using-namespace): the test's language.
using namespace source_test;  // NOLINT(google-build-using-namespace)

class UdpSourceTest : public ::testing::Test {
 protected:
  void given_a_source() {
    auto opened_source = UdpSource::open(io_, options_, [this](Source::Urgency urgency) {
      ++wakes_;
      if (urgency == Source::Urgency::kNow) ++urgent_wakes_;
    });
    ASSERT_TRUE(opened_source.ok()) << opened_source.status().message();
    source_ = std::move(opened_source).take();
    source_->start();
    sender_ = connected(SOCK_DGRAM, source_->port());
  }
  bool heard(std::uint64_t count) {
    return run_until(io_, [&] { return source_->ring().last_number() >= count; });
  }

  const Folder folder_;
  SourceOptions options_ = options_of(SourceKind::kUdp, folder_ / "car.ring");
  boost::asio::io_context io_;
  int wakes_ = 0;
  int urgent_wakes_ = 0;
  std::unique_ptr<UdpSource> source_;
  Descriptor sender_;
};

TEST_F(UdpSourceTest, PutsWhatIsSentIntoItsRing) {
  given_a_source();
  for (int i = 0; i < 20; ++i) send_text(sender_, std::to_string(i));
  ASSERT_TRUE(heard(20));
  const auto all = read_all(source_->ring());
  EXPECT_EQ(data_texts(all).at(19), "19");
  EXPECT_NE(all[0].connection, 0U) << "the socket's cookie";
  EXPECT_TRUE(run_until(io_, [&] { return wakes_ > 0; }));
}

// Thirty datagrams of 100 bytes, cut by the kernel.
void send_run(const Descriptor& sender) {
  const int segment = 100;
  ASSERT_EQ(setsockopt(sender.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
  send_text(sender, std::string(3000, 'x'));
}

TEST_F(UdpSourceTest, TakesARunOfDatagramsAsSoManyMessages) {
  options_.ring.slot_bytes = 65536;
  options_.ring.slot_count = 2;
  options_.ring.ring_bytes = std::size_t{1} << 20;
  given_a_source();
  ASSERT_TRUE(source_->ring().takes_runs());
  send_run(sender_);
  ASSERT_TRUE(heard(30));
  const auto all = read_all(source_->ring());
  EXPECT_EQ(data_texts(all), std::vector<std::string>(30, std::string(100, 'x')));
}

// It would be cut off in a slot that is too small for it.
TEST_F(UdpSourceTest, TakesNoRunIntoSmallSlotsFromASocketThatAllowedThem) {
  const Descriptor holder(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in any = loopback();
  ASSERT_EQ(bind(holder.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  const int on = 1;
  ASSERT_EQ(setsockopt(holder.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
  options_.inherited_socket = dup(holder.get());
  given_a_source();
  ASSERT_FALSE(source_->ring().takes_runs());
  send_run(sender_);
  ASSERT_TRUE(heard(30));
  EXPECT_EQ(source_->status().truncated, 0U);
}

TEST_F(UdpSourceTest, SaysHowItIsDoing) {
  given_a_source();
  send_text(sender_, std::string(300, 'x'));
  ASSERT_TRUE(heard(1));
  const SourceStatus status = source_->status();
  EXPECT_EQ(status.name, "car");
  EXPECT_EQ(status.endpoint, "127.0.0.1:" + std::to_string(source_->port()));
  EXPECT_EQ(status.heard, 1U);
  EXPECT_TRUE(run_until(io_, [&] { return source_->status().truncated == 1; }));
  EXPECT_GT(source_->status().last_receive_ns, 0);
  EXPECT_GE(status.receive_buffer_bytes, 100'000U);
  EXPECT_EQ(status.errors, 0U);
  EXPECT_TRUE(status.error.empty());
}

TEST_F(UdpSourceTest, AsksForItsReaderAtOnceEachTimeAnEighthOfTheRingCame) {
  given_a_source();
  const std::size_t eighth = source_->ring().capacity() / 8;
  const auto send_until = [&](std::uint64_t head) {
    while (source_->ring().head() < head) {
      const std::uint64_t before = source_->ring().last_number();
      send_text(sender_, std::string(200, 'x'));
      ASSERT_TRUE(heard(before + 1));
    }
    // What it tells, it tells after the ring shows it.
    const int wakes = wakes_;
    send_text(sender_, "last");
    ASSERT_TRUE(run_until(io_, [&] { return wakes_ > wakes; }));
  };
  send_until(eighth / 2);
  EXPECT_EQ(urgent_wakes_, 0);
  send_until(eighth);
  EXPECT_EQ(urgent_wakes_, 1);
  send_until(3 * eighth);
  EXPECT_GE(urgent_wakes_, 2);
  EXPECT_LE(urgent_wakes_, 3);
}

TEST_F(UdpSourceTest, WaitsForRoomAndLosesNothing) {
  given_a_source();
  constexpr std::uint64_t kSent = 4000;  // 1.3 MiB of messages into a ring of 1 MiB.
  for (std::uint64_t n = 1; n <= kSent; ++n) {
    send_text(sender_, std::to_string(n) + std::string(250 - std::to_string(n).size(), ' '));
  }
  ASSERT_TRUE(run_until(io_, [&] { return source_->status().ring_full > 2; }));
  EXPECT_LT(source_->ring().last_number(), kSent);
  std::uint64_t position = source_->ring().tail();
  std::uint64_t expected = 1;
  const auto take = [&] {
    for (const Heard& one : read_from(source_->ring(), position)) {
      EXPECT_EQ(std::stoull(one.text), expected++);
    }
    source_->ring().release(position, expected - 1);
    return expected > kSent;
  };
  EXPECT_TRUE(run_until(io_, take)) << expected;
  EXPECT_EQ(source_->status().kernel_drops, 0U);
}

TEST_F(UdpSourceTest, TellsKernelDropsWithoutAnotherDatagram) {
  options_.receive_buffer_bytes = 0;  // The kernel's default.
  options_.ring.slot_bytes = 2048;
  given_a_source();
  for (int i = 0; i < 3000; ++i) send_text(sender_, std::string(1400, 'x'));
  EXPECT_GT(source_->status().kernel_drops, 0U) << "before anything is read";
  ASSERT_TRUE(run_until(
      io_, [&] { return source_->ring().last_number() + source_->status().kernel_drops == 3000; }))
      << source_->ring().last_number() << " + " << source_->status().kernel_drops;
}

TEST_F(UdpSourceTest, TakesOverASocketWithWhatItQueued) {
  auto made = ListeningSocket::open(options_);
  ASSERT_TRUE(made.ok());
  const Descriptor holder(dup(made.value().get()));
  sender_ = connected(SOCK_DGRAM, bound_port(holder.get()));
  send_text(sender_, "queued while nobody ran");
  options_.inherited_socket = dup(holder.get());
  given_a_source();
  ASSERT_TRUE(heard(1));
  source_.reset();
  send_text(sender_, "between two runs");
  options_.inherited_socket = dup(holder.get());
  given_a_source();
  ASSERT_TRUE(heard(2));
  EXPECT_EQ(data_texts(read_all(source_->ring())),
            (std::vector<std::string>{"queued while nobody ran", "between two runs"}));
}

TEST_F(UdpSourceTest, HearsOnIpVersion6) {
  options_.address = "::1";
  auto opened_source = UdpSource::open(io_, options_, nullptr);
  if (!opened_source.ok()) GTEST_SKIP() << opened_source.status().message();
  EXPECT_EQ(opened_source.value()->status().endpoint,
            "[::1]:" + std::to_string(opened_source.value()->port()));
}

TEST_F(UdpSourceTest, RefusesWhatItCannotListenOn) {
  const auto refusal = [&](auto change) {
    SourceOptions options = options_;
    change(options);
    return UdpSource::open(io_, options, nullptr).status().code();
  };
  EXPECT_EQ(refusal([](auto& o) { o.address = "pitbox.local"; }), Code::kRejected);
  EXPECT_EQ(refusal([](auto& o) { o.address = "239.1.2.3"; }), Code::kRejected);
  EXPECT_EQ(refusal([](auto& o) { o.address = "192.0.2.1"; }), Code::kRejected);
  EXPECT_EQ(refusal([](auto& o) { o.inherited_socket = socket(AF_INET, SOCK_STREAM, 0); }),
            Code::kRejected);
  given_a_source();
  EXPECT_EQ(refusal([&](auto& o) { o.port = source_->port(); }), Code::kRejected) << "taken";
}

}  // namespace
}  // namespace pitbox
