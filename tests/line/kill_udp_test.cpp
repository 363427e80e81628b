// SIGKILL of the daemon fifty times at random moments, also while it starts, under 200,000
// samples/s of numbered records over a UDP socket that outlives it. Every record sent is in the
// journal exactly once. The definition is announced once, before the first kill, so the decoder's
// state must survive all of them. A run in which the kernel dropped anything proves nothing and
// fails.

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>

#include "apps/launch/udp_holder.h"
#include "buffer/clock.h"
#include "export/session_rows.h"
#include "ingest/native_encoder.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr int kUdpKills = 50;
constexpr std::size_t kRowsPerDatagram = 10;
constexpr std::size_t kSamplesPerRow = 20;  // 200 a datagram: 1,000 datagrams/s.
constexpr std::chrono::milliseconds kDatagramEvery{1};

DefinitionPtr numbered_definition() {
  ChannelGroup group{.group = "numbered", .time_base = TimeBase::kCar, .channels = {}};
  group.channels.push_back({.name = "number", .unit = "", .type = StorageType::kU64});
  for (std::size_t i = 1; i < kSamplesPerRow; ++i) {
    group.channels.push_back(
        {.name = "value" + std::to_string(i), .unit = "V", .type = StorageType::kI16});
  }
  return Definition::make(group).take();
}

// Sends numbered records until it is stopped; what sendto() accepted was sent.
class NumberedSender {
 public:
  explicit NumberedSender(std::uint16_t port) : thread_([this, port] { run(port); }) {}
  // Stops, and returns how many records were sent: they are numbered 1 to that.
  std::uint64_t stop() {
    is_stopping_ = true;
    thread_.join();
    return sent_;
  }

 private:
  void run(std::uint16_t port) {
    const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto send = [&](const std::string& datagram) {
      return sendto(socket_fd, datagram.data(), datagram.size(), 0,
                    reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) == static_cast<ssize_t>(datagram.size());
    };
    const DefinitionPtr definition = numbered_definition();
    NativeEncoder encoder(7);
    EXPECT_TRUE(send(encoder.announce(1, "27", definition).take()));
    auto next = std::chrono::steady_clock::now();
    while (!is_stopping_) {
      if (!send(datagram_of(encoder, *definition))) break;
      sent_ += kRowsPerDatagram;
      next += kDatagramEvery;
      std::this_thread::sleep_until(next);
    }
    close(socket_fd);
  }

  std::string datagram_of(NativeEncoder& encoder, const Definition& definition) const {
    std::vector<std::int64_t> times;
    std::vector<std::byte> rows(kRowsPerDatagram * definition.row_bytes());
    for (std::size_t i = 0; i < kRowsPerDatagram; ++i) {
      const std::uint64_t number = sent_ + i + 1;
      times.push_back(static_cast<std::int64_t>(number) * 100'000);
      std::memcpy(rows.data() + i * definition.row_bytes(), &number, sizeof number);
      const auto value = static_cast<std::int16_t>(number % 4096);
      for (std::size_t c = 1; c < kSamplesPerRow; ++c) {
        std::memcpy(rows.data() + i * definition.row_bytes() + definition.column_offset(c), &value,
                    sizeof value);
      }
    }
    std::string datagram;
    EXPECT_EQ(encoder.append_rows(1, times, rows, 1400, datagram), kRowsPerDatagram);
    return datagram;
  }

  std::uint64_t sent_ = 0;  // Of the thread; read after join().
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

std::vector<std::uint64_t> journaled_numbers(const SessionFiles& session) {
  std::vector<std::uint64_t> numbers;
  SessionReadOptions options;
  options.keep_copies = true;  // What was journaled twice would have to show.
  const Status read =
      read_session_batches(session, options, [&](const SessionBatch& batch) -> Status {
        for (const GroupColumns& group : batch.decoded.groups) {
          for (std::size_t row = 0; row < group.row_count(); ++row) {
            std::uint64_t number = 0;
            std::memcpy(&number, group.columns[0].data() + row * sizeof number, sizeof number);
            numbers.push_back(number);
          }
        }
        return {};
      });
  EXPECT_TRUE(read.ok()) << read.message();
  return numbers;
}

// How long from exec until the daemon takes datagrams from the socket; nothing if it did not within
// `patience` (the next kill comes then).
std::optional<std::int64_t> until_it_receives(const UdpHolder& socket,
                                              std::chrono::milliseconds patience) {
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t most = 0;
  while (std::chrono::steady_clock::now() - began < patience) {
    const auto queued = socket.queued_bytes();
    if (queued.ok() && queued.value() < most) {
      return std::chrono::duration_cast<std::chrono::milliseconds>(
                 std::chrono::steady_clock::now() - began)
          .count();
    }
    most = std::max(most, queued.ok() ? queued.value() : 0);
    usleep(1'000);
  }
  return std::nullopt;
}

TEST(KillUdp, EveryRecordSentIsJournaledOnceThoughTheDaemonDiesFiftyTimes) {
  LineRig rig;
  rig.set({});
  if (testing::Test::HasFatalFailure()) return;
  const UdpHolder& socket = rig.stage().source();
  // A datagram of this test costs the kernel about 1,280 bytes of buffer.
  std::printf("receive buffer %zu KiB, covers about %zu ms\n", socket.buffer_bytes() / 1024,
              socket.buffer_bytes() / 1280);
  const Uuid session = rig.start_session("killed");
  NumberedSender sender(socket.port());
  ASSERT_TRUE(becomes_true([&] { return rig.status().records > 0; }));

  std::mt19937 random(20);
  std::vector<std::int64_t> receives_after_ms;
  for (int kill = 0; kill < kUdpKills; ++kill) {
    const std::chrono::milliseconds lives(5 + random() % 300);
    const auto killed_at = std::chrono::steady_clock::now() + lives;
    if (kill > 0) {
      if (const auto after = until_it_receives(socket, lives)) receives_after_ms.push_back(*after);
    }
    std::this_thread::sleep_until(killed_at);
    rig.stage().kill_daemon();
    const Status started = rig.stage().exec_daemon();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  const std::uint64_t sent = sender.stop();
  ASSERT_TRUE(becomes_true([&] { return rig.status().records >= sent; }))
      << rig.status().records << " of " << sent;
  rig.end_session();

  const auto drops = socket.kernel_drops();
  ASSERT_TRUE(drops.ok());
  ASSERT_EQ(drops.value(), 0U) << "invalid run: the kernel dropped datagrams";
  const auto found = find_session(rig.stage().state_directory(), session.text());
  ASSERT_TRUE(found.ok()) << found.status().message();
  auto numbers = journaled_numbers(found.value());
  std::sort(numbers.begin(), numbers.end());
  ASSERT_EQ(numbers.size(), sent);
  for (std::uint64_t i = 0; i < sent; ++i) ASSERT_EQ(numbers[i], i + 1);

  std::sort(receives_after_ms.begin(), receives_after_ms.end());
  if (!receives_after_ms.empty()) {
    std::printf("%d kills, %lu records; received again after exec: median %ld ms, most %ld ms\n",
                kUdpKills, sent, receives_after_ms[receives_after_ms.size() / 2],
                receives_after_ms.back());
  }
}

}  // namespace
}  // namespace pitbox
