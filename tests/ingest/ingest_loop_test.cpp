// Threaded. IngestLoop with its own thread: datagrams and streams reach the rings while another
// thread consumes them, the consumer is woken, and stopping and starting again carries on.

#include "ingest/ingest_loop.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/ingest/source_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;    // NOLINT(google-build-using-namespace): the test's language.
using namespace source_test;  // NOLINT(google-build-using-namespace)

// What a consumer waits on.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    condition_.notify_one();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool rung = condition_.wait_for(lock, kDeadline, [this] { return rung_; });
    rung_ = false;
    return rung;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool rung_ = false;
};

class IngestLoopTest : public ::testing::Test {
 protected:
  IngestLoopTest() {
    options_.sources = {options_of(SourceKind::kUdp, folder_ / "udp.ring"),
                        options_of(SourceKind::kTcp, folder_ / "tcp.ring")};
    options_.sources[0].name = "car";
    options_.sources[1].name = "gps";
    options_.on_published = [this](Source::Urgency) { bell_.ring(); };
  }
  void given_a_loop() {
    loop_.reset();
    auto opened_loop = IngestLoop::open(options_);
    ASSERT_TRUE(opened_loop.ok()) << opened_loop.status().message();
    loop_ = std::move(opened_loop).take();
    loop_->start();
  }

  const Folder folder_;
  Bell bell_;
  IngestLoop::Options options_;
  std::unique_ptr<IngestLoop> loop_;
};

TEST_F(IngestLoopTest, BringsBothKindsToAConsumerThatIsWoken) {
  constexpr std::uint64_t kDatagrams = 5000;
  given_a_loop();
  const Descriptor udp = connected(SOCK_DGRAM, loop_->port(0));
  const Descriptor tcp = connected(SOCK_STREAM, loop_->port(1));
  std::uint64_t sent = 0;
  std::uint64_t expected = 1;
  std::uint64_t udp_position = loop_->ring(0).tail();
  std::uint64_t tcp_position = loop_->ring(1).tail();
  std::string stream;
  std::string stream_sent;
  while (expected <= kDatagrams || stream.size() < stream_sent.size()) {
    for (; sent < kDatagrams && sent < expected + 100; ++sent) {
      send_text(udp, std::to_string(sent + 1));
      send_text(tcp, std::to_string(sent + 1) + "\n");
      stream_sent += std::to_string(sent + 1) + "\n";
    }
    for (const Heard& heard : read_from(loop_->ring(0), udp_position)) {
      ASSERT_EQ(std::stoull(heard.text), expected++);
    }
    loop_->ring(0).release(udp_position, expected - 1);
    std::uint64_t number = loop_->ring(1).tail_number();
    for (const Heard& heard : read_from(loop_->ring(1), tcp_position)) {
      stream += heard.text;
      number = heard.number;
    }
    loop_->ring(1).release(tcp_position, number);
    if (expected <= sent || stream.size() < stream_sent.size()) {
      ASSERT_TRUE(bell_.wait());
    }
  }
  EXPECT_EQ(stream, stream_sent);
  const auto statuses = loop_->statuses();
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].heard, kDatagrams);
  EXPECT_EQ(statuses[1].connections, 1U);
}

TEST_F(IngestLoopTest, CarriesOnAfterAStop) {
  given_a_loop();
  const std::uint16_t port = loop_->port(0);
  options_.sources[0].port = port;
  send_text(connected(SOCK_DGRAM, port), "one");
  ASSERT_TRUE(bell_.wait());
  loop_->stop();
  loop_->stop();
  EXPECT_EQ(read_all(loop_->ring(0)).size(), 1U) << "a ring outlives the thread";
  given_a_loop();
  send_text(connected(SOCK_DGRAM, port), "two");
  ASSERT_TRUE(bell_.wait());
  loop_->stop();
  EXPECT_EQ(data_texts(read_all(loop_->ring(0))), (std::vector<std::string>{"one", "two"}));
}

TEST_F(IngestLoopTest, NamesTheSourceThatItCouldNotOpen) {
  options_.sources[1].address = "nowhere";
  const auto refused = IngestLoop::open(options_);
  EXPECT_EQ(refused.status().code(), Code::kRejected);
  EXPECT_NE(refused.status().message().find("source gps"), std::string::npos);
  options_.sources[1] = options_.sources[0];
  EXPECT_EQ(IngestLoop::open(options_).status().code(), Code::kRejected) << "a name twice";
}

}  // namespace
}  // namespace pitbox
