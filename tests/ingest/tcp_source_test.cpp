// TcpSource over real sockets, its loop driven by the test: every byte of every connection in
// order, each end told after its last byte, the limit on connections, and a full ring that holds
// senders up without losing a byte or an end.

#include "ingest/tcp_source.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/ingest/source_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;    // NOLINT(google-build-using-namespace): the test's language.
using namespace source_test;  // NOLINT(google-build-using-namespace)

class TcpSourceTest : public ::testing::Test {
 protected:
  void given_a_source() {
    auto opened_source = TcpSource::open(io_, options_, [this](Source::Urgency) { ++wakes_; });
    ASSERT_TRUE(opened_source.ok()) << opened_source.status().message();
    source_ = std::move(opened_source).take();
    source_->start();
  }
  Descriptor given_a_connection() { return connected(SOCK_STREAM, source_->port()); }
  bool has_connections(std::uint64_t count) {
    return run_until(io_, [&] { return source_->status().connections == count; });
  }
  // Moves what the ring holds to streams_ and ended_, by connection, and releases it.
  void take() {
    std::uint64_t position = source_->ring().tail();
    std::uint64_t number = source_->ring().tail_number();
    for (const Heard& heard : read_from(source_->ring(), position)) {
      number = heard.number;
      if (heard.kind == MessageKind::kData) {
        EXPECT_FALSE(ended_.contains(heard.connection)) << "bytes after the end";
        streams_[heard.connection] += heard.text;
      }
      if (heard.kind == MessageKind::kStreamClosed) {
        EXPECT_TRUE(ended_.insert(heard.connection).second) << "one end";
      }
    }
    source_->ring().release(position, number);
  }

  const Folder folder_;
  SourceOptions options_ = options_of(SourceKind::kTcp, folder_ / "car.ring");
  boost::asio::io_context io_;
  int wakes_ = 0;
  std::unique_ptr<TcpSource> source_;
  std::map<std::uint64_t, std::string> streams_;
  std::set<std::uint64_t> ended_;
};

TEST_F(TcpSourceTest, KeepsConnectionsApartAndTellsTheirEnds) {
  given_a_source();
  Descriptor first = given_a_connection();
  Descriptor second = given_a_connection();
  std::string long_text;
  for (int i = 0; long_text.size() < 300'000; ++i) long_text += std::to_string(i) + "\n";
  for (std::size_t begin = 0; begin < long_text.size(); begin += 10'000) {
    send_text(first, long_text.substr(begin, 10'000));
    send_text(second, "b");
    ASSERT_TRUE(has_connections(2));
    take();
  }
  first = Descriptor();
  ASSERT_TRUE(has_connections(1));
  second = Descriptor();
  ASSERT_TRUE(has_connections(0));
  take();
  ASSERT_EQ(streams_.size(), 2U);
  EXPECT_EQ(ended_.size(), 2U);
  std::size_t long_ones = 0;
  for (const auto& [connection, text] : streams_) {
    if (text == long_text) ++long_ones;
  }
  EXPECT_EQ(long_ones, 1U);
  EXPECT_GT(wakes_, 0);
}

TEST_F(TcpSourceTest, RefusesConnectionsBeyondTheLimitAndCountsThem) {
  options_.connections_max = 2;
  given_a_source();
  Descriptor first = given_a_connection();
  const Descriptor second = given_a_connection();
  ASSERT_TRUE(has_connections(2));
  const Descriptor third = given_a_connection();
  ASSERT_TRUE(run_until(io_, [&] { return source_->status().refused == 1; }));
  char byte = 0;
  EXPECT_LE(recv(third.get(), &byte, 1, 0), 0) << "told by a close, not by silence";
  first = Descriptor();
  ASSERT_TRUE(has_connections(1));
  const Descriptor fourth = given_a_connection();
  ASSERT_TRUE(has_connections(2));
}

TEST_F(TcpSourceTest, HoldsTheSenderUpWhileTheRingIsFull) {
  given_a_source();
  Descriptor sender = given_a_connection();
  std::string text;
  for (int i = 0; text.size() < 6'000'000; ++i) text += std::to_string(i) + ",";
  std::size_t sent = 0;
  const auto send_some = [&] {
    if (sent < text.size()) {
      const ssize_t count =
          send(sender.get(), text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
  };
  ASSERT_TRUE(run_until(io_, [&] {
    send_some();
    return source_->status().ring_full > 5;
  }));
  ASSERT_TRUE(run_until(io_, [&] {
    send_some();
    take();
    return sent == text.size();
  }));
  sender = Descriptor();
  ASSERT_TRUE(run_until(io_, [&] {
    take();
    return ended_.size() == 1;
  }));
  ASSERT_EQ(streams_.size(), 1U);
  EXPECT_TRUE(streams_.begin()->second == text);
}

TEST_F(TcpSourceTest, DoesNotLoseAnEndForWhichThereWasNoRoom) {
  given_a_source();
  Descriptor sender = given_a_connection();
  ASSERT_TRUE(has_connections(1));
  MessageRing& ring = source_->ring();
  while (ring.publish(1, 0, bytes_of(std::string(1000, 'x'))).ok()) {
  }
  while (ring.publish_control(MessageKind::kStreamClosed, 1).ok()) {
  }
  send_text(sender, "last words");
  sender = Descriptor();
  ASSERT_TRUE(run_until(io_, [&] { return source_->status().ring_full > 3; }));
  EXPECT_EQ(source_->status().connections, 1U) << "it counts until its end is told";
  std::uint64_t position = ring.tail();
  (void)read_from(ring, position);
  ring.release(position, ring.last_number());
  ASSERT_TRUE(has_connections(0));
  take();
  ASSERT_EQ(streams_.size(), 1U);
  EXPECT_EQ(streams_.begin()->second, "last words");
  EXPECT_EQ(ended_.size(), 1U);
}

TEST_F(TcpSourceTest, BeginsByEndingEveryConnectionOfTheProcessBefore) {
  given_a_source();
  const Descriptor sender = given_a_connection();
  send_text(sender, "$GPRMC,half a sen");
  ASSERT_TRUE(run_until(io_, [&] { return source_->ring().last_number() == 1; }));
  source_.reset();
  given_a_source();
  const auto heard = read_all(source_->ring());
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_EQ(heard[0].kind, MessageKind::kSourceStarted);
  EXPECT_EQ(heard[1].text, "$GPRMC,half a sen");
  EXPECT_EQ(heard[2].kind, MessageKind::kSourceStarted);
}

}  // namespace
}  // namespace pitbox
