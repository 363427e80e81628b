// SIGKILL of the daemon while NMEA sentences arrive over TCP, split at random bytes. Per connection
// the journaled sentences are a gap-free prefix of those sent, at least as far as the bytes that
// the ring's mapping held at the kill; none is torn, none is there twice, and none was joined from
// the pieces of two connections. A connection dies with the daemon that had it; the sender dials
// again.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "buffer/ring.h"
#include "export/session_rows.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr int kTcpKills = 30;

// Sentence `number` of connection `connection`, both from 1: the latitude's minutes tell the
// connection, the longitude's the number; the time moves on by 10 ms each.
std::string sentence(std::uint32_t connection, std::uint32_t number) {
  std::array<char, 128> body{};
  const std::uint32_t centiseconds = number % 8'640'000;
  std::snprintf(body.data(), body.size(),
                "GPRMC,%02u%02u%02u.%02u,A,10%08.5f,N,020%08.5f,E,10.0,90.0,211126,,,A",
                centiseconds / 360'000, centiseconds / 6'000 % 60, centiseconds / 100 % 60,
                centiseconds % 100, connection * 1e-5, number * 1e-5);
  unsigned checksum = 0;
  for (const char* c = body.data(); *c != '\0'; ++c) checksum ^= static_cast<unsigned char>(*c);
  std::array<char, 8> tail{};
  std::snprintf(tail.data(), tail.size(), "*%02X\r\n", checksum);
  return "$" + std::string(body.data()) + tail.data();
}

struct SentenceId {
  std::uint32_t connection = 0;
  std::uint32_t number = 0;
  // clang-tidy 14 takes the 0 in the generated comparison for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const SentenceId&, const SentenceId&) = default;
};

std::uint32_t hundred_thousandths_of_minutes(double degrees) {
  return static_cast<std::uint32_t>(std::llround((degrees - std::floor(degrees)) * 60e5));
}

// Dials the source, writes sentences in pieces of random length, and dials again when the
// connection breaks.
class SentenceSender {
 public:
  explicit SentenceSender(std::uint16_t port) : thread_([this, port] { run(port); }) {}
  void stop() {
    is_stopping_ = true;
    thread_.join();
  }
  // Connections made so far.
  std::uint32_t connections() const { return connections_; }
  // Greatest number of which a byte was written, by connection. After stop().
  const std::map<std::uint32_t, std::uint32_t>& written() const { return written_; }

 private:
  static int dial(std::uint16_t port) {
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      close(connection);
      return -1;
    }
    const int on = 1;  // Each piece is a segment of its own, as far as TCP likes.
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
  }

  void run(std::uint16_t port) {
    std::mt19937 random(5);
    std::uint32_t connection = 0;
    while (!is_stopping_) {
      const int stream = dial(port);
      if (stream < 0) {
        usleep(2'000);
        continue;
      }
      connections_ = ++connection;
      talk(stream, connection, random);
      close(stream);
    }
  }

  void talk(int stream, std::uint32_t connection, std::mt19937& random) {
    std::string pending;
    std::uint32_t number = 0;
    while (!is_stopping_ || !pending.empty()) {
      while (pending.size() < 512 && !is_stopping_) {
        pending += sentence(connection, ++number);
        written_[connection] = number;
      }
      const std::size_t piece = std::min<std::size_t>(pending.size(), 1 + random() % 200);
      const auto sent = send(stream, pending.data(), piece, MSG_NOSIGNAL);
      if (sent <= 0) return;
      pending.erase(0, static_cast<std::size_t>(sent));
      usleep(200);
    }
  }

  std::map<std::uint32_t, std::uint32_t> written_;  // Of the thread; read after join().
  std::atomic<std::uint32_t> connections_{0};
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

// The greatest complete sentence of each connection among the bytes that are still in the ring.
void note_received(const std::filesystem::path& ring_file,
                   std::map<std::uint32_t, std::uint32_t>& received) {
  MessageRing::Options options;
  options.file = ring_file;
  options.is_stream = true;
  options.slot_count = 1;
  options.slot_bytes = 64 * 1024;
  auto ring = MessageRing::open(options);
  ASSERT_TRUE(ring.ok()) << ring.status().message();
  ASSERT_TRUE(ring.value()->was_attached()) << "the test's ring options are not the daemon's";
  std::map<std::uint64_t, std::string> streams;
  std::uint64_t position = ring.value()->tail();
  for (;;) {
    const auto message = ring.value()->read(position);
    ASSERT_TRUE(message.ok()) << message.status().message();
    if (!message.value()) break;
    const auto bytes = message.value()->bytes;
    if (message.value()->kind != MessageKind::kData) continue;
    streams[message.value()->connection].append(reinterpret_cast<const char*>(bytes.data()),
                                                bytes.size());
  }
  for (const auto& [cookie, text] : streams) {
    for (std::size_t at = text.find('$'); at != std::string::npos; at = text.find('$', at + 1)) {
      const std::size_t end = text.find("\r\n", at);
      if (end == std::string::npos) break;
      unsigned latitude = 0;
      unsigned longitude = 0;
      ASSERT_EQ(std::sscanf(text.c_str() + at, "$GPRMC,%*[^,],A,1000.%5u,N,02000.%5u", &latitude,
                            &longitude),
                2)
          << text.substr(at, end - at);
      received[latitude] = std::max(received[latitude], longitude);
    }
  }
}

std::vector<SentenceId> journaled_sentences(const SessionFiles& session) {
  std::vector<SentenceId> sentences;
  SessionReadOptions options;
  options.keep_copies = true;  // What was journaled twice would have to show.
  const Status read = read_session_batches(session, options, [&](const SessionBatch& batch) {
    for (const GroupColumns& group : batch.decoded.groups) {
      const int latitude = group.definition->find("latitude");
      const int longitude = group.definition->find("longitude");
      if (latitude < 0 || longitude < 0) continue;
      const auto value = [&](int column, std::size_t row) {
        const Channel& channel = group.definition->channels()[static_cast<std::size_t>(column)];
        const auto& bytes = group.columns[static_cast<std::size_t>(column)];
        return physical(channel, bytes.data() + row * width_of(channel.type));
      };
      for (std::size_t row = 0; row < group.row_count(); ++row) {
        sentences.push_back({hundred_thousandths_of_minutes(value(latitude, row)),
                             hundred_thousandths_of_minutes(value(longitude, row))});
      }
    }
    return Status();
  });
  EXPECT_TRUE(read.ok()) << read.message();
  return sentences;
}

std::uint16_t free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(probe, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  socklen_t size = sizeof any;
  getsockname(probe, reinterpret_cast<sockaddr*>(&any), &size);
  close(probe);
  return ntohs(any.sin_port);
}

TEST(KillTcp, EachConnectionsSentencesAreAGapFreePrefixOfThoseSent) {
  const std::uint16_t port = free_port();
  LineRig rig;
  rig.set({.more_sources = "[[source]]\nname = \"gps\"\nkind = \"tcp\"\nlisten = \"127.0.0.1:" +
                           std::to_string(port) + "\"\ndecoder = \"nmea\"\ncar = \"27\"\n"});
  if (testing::Test::HasFatalFailure()) return;
  const Uuid session = rig.start_session("killed");
  SentenceSender sender(port);
  ASSERT_TRUE(becomes_true([&] { return rig.status().records > 0; }));

  std::mt19937 random(21);
  std::map<std::uint32_t, std::uint32_t> received;  // At the kills, by connection.
  for (int kill = 0; kill < kTcpKills; ++kill) {
    usleep(static_cast<useconds_t>(20'000 + random() % 300'000));
    rig.stage().kill_daemon();
    note_received(rig.stage().ring_file("gps"), received);
    if (testing::Test::HasFatalFailure()) break;
    const Status started = rig.stage().exec_daemon();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  const std::uint32_t before = sender.connections();
  const auto dialled = [&] { return sender.connections() > before && rig.status().records > 0; };
  ASSERT_TRUE(becomes_true(dialled));
  sender.stop();
  // The last connection was closed in good order: its last sentence is the sign that all arrived.
  ASSERT_FALSE(sender.written().empty());
  const auto session_files = [&] {
    return find_session(rig.stage().state_directory(), session.text()).take();
  };
  const auto last = *sender.written().rbegin();
  ASSERT_TRUE(becomes_true([&] {
    const auto journaled = journaled_sentences(session_files());
    return std::find(journaled.begin(), journaled.end(), SentenceId{last.first, last.second}) !=
           journaled.end();
  }));
  rig.end_session();

  auto journaled = journaled_sentences(session_files());
  std::sort(journaled.begin(), journaled.end());
  std::map<std::uint32_t, std::uint32_t> prefix;  // By connection.
  for (const SentenceId& id : journaled) {
    ASSERT_TRUE(sender.written().contains(id.connection)) << "a sentence nobody sent";
    ASSERT_LE(id.number, sender.written().at(id.connection)) << "a sentence nobody sent";
    ASSERT_EQ(id.number, prefix[id.connection] + 1)
        << "connection " << id.connection << " has a gap or a sentence twice";
    prefix[id.connection] = id.number;
  }
  for (const auto& [connection, number] : received) {
    EXPECT_GE(prefix[connection], number) << "connection " << connection << " lost what was heard";
  }
  std::printf(
      "%d kills, %zu connections, %zu sentences journaled; %zu connections had bytes in the "
      "ring at a kill\n",
      kTcpKills, sender.written().size(), journaled.size(), received.size());
}

}  // namespace
}  // namespace pitbox
