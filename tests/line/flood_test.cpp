// Goal: no port of daemon or room can be talked to death: random bytes, halves of what is right,
// datagrams of 65,507 bytes and 10,000 connections leave both alive, each refusal counted under a
// name, and the next session recorded and in the room without a fault. Method: the real programs,
// and sockets that behave badly.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "apps/control/control_server.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr std::size_t kConnections = 10'000;
constexpr std::size_t kDatagrams = 20'000;
constexpr std::size_t kLongestDatagram = 65'507;  // UDP over IPv4.
constexpr std::size_t kSpareDescriptors = 200;    // Of this process, beside the attackers.

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr_un unix_address(const std::filesystem::path& file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, file.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

// As many descriptors as this process may have; how many attackers fit into them at a time.
std::size_t make_room_for_attackers() {
  rlimit limit{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_GT(limit.rlim_max, 2 * kSpareDescriptors);
  if (limit.rlim_max <= 2 * kSpareDescriptors) return 1;
  limit.rlim_cur = limit.rlim_max;
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return std::min<std::size_t>(kConnections, limit.rlim_cur - kSpareDescriptors);
}

class Flood : public testing::Test {
 protected:
  using Bytes = std::function<std::string(std::size_t index)>;

  void given_a_line() {
    rig_.set({.more_sources = "[[source]]\nname = \"gps\"\nkind = \"tcp\"\nlisten = "
                              "\"127.0.0.1:0\"\ndecoder = \"nmea\"\n\n"
                              "[[source]]\nname = \"logger\"\nkind = \"tcp\"\nlisten = "
                              "\"127.0.0.1:0\"\ndecoder = \"native\"\n"});
    if (HasFatalFailure()) return;
    at_once_ = make_room_for_attackers();
    daemon_ = rig_.stage().daemon().pid();
    room_ = rig_.stage().room().pid();
  }

  nlohmann::json status() {
    const auto answer = rig_.stage().ask(R"({"command":"status"})");
    EXPECT_TRUE(answer.ok()) << answer.status().message();
    return answer.ok() ? nlohmann::json::parse(answer.value(), nullptr, false) : nlohmann::json();
  }
  nlohmann::json source(const std::string& name) {
    const nlohmann::json now = status();
    for (const auto& source : now["sources"]) {
      if (source["name"] == name) return source;
    }
    ADD_FAILURE() << "no source " << name;
    return {};
  }
  std::uint16_t port_of(const std::string& name) {
    const auto endpoint = source(name)["endpoint"].get<std::string>();
    return static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  }
  std::uint16_t room_port() {
    const std::string url = rig_.stage().room_url();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }

  std::string random_bytes(std::size_t most) {
    std::string bytes(1 + random_() % most, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  // kConnections of them, as many at once as fit, each sending its bytes; then all are closed.
  template <typename Address>
  void attack(const Address& address, const Bytes& bytes_of,
              const std::function<void()>& meanwhile = {}) {
    for (std::size_t done = 0; done < kConnections;) {
      std::vector<int> open;
      for (; open.size() < at_once_ && done < kConnections; ++done) {
        const int attacker =
            socket(address_family(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ASSERT_GE(attacker, 0) << errno;
        open.push_back(attacker);
        connect_to(attacker, address);
        const std::string bytes = bytes_of(done);
        (void)send(attacker, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      }
      if (meanwhile) meanwhile();
      for (const int attacker : open) close(attacker);
    }
  }

  // Drives a car for a while: what it sent is in the journal and in the room, once.
  void expect_a_sound_session(const std::string& name) {
    EXPECT_TRUE(rig_.stage().daemon().is_running());
    EXPECT_TRUE(rig_.stage().room().is_running());
    EXPECT_EQ(rig_.stage().daemon().pid(), daemon_);
    EXPECT_EQ(rig_.stage().room().pid(), room_);
    EXPECT_EQ(status()["recorder"]["law_violations"], 0);
    const Uuid session = rig_.start_session(name);
    const auto drove = rig_.pitbox({"sim", "--cars", "1", "--seconds", "10", "--speed", "10",
                                    "--to", rig_.stage().source().address()});
    ASSERT_EQ(drove.exit_code, 0) << drove.output;
    EXPECT_TRUE(becomes_true([&] { return rig_.status().records > 0; }));
    rig_.end_session();
    ASSERT_TRUE(becomes_true([&] { return rig_.is_complete(session); }));
    const auto verified =
        rig_.pitbox({"verify", session.text(), "--room", rig_.stage().room_url(), "--json"});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
  }

  // The room's counters, once it answers.
  nlohmann::json room_counters() {
    nlohmann::json counters;
    EXPECT_TRUE(becomes_true([&] {
      const std::string text = get("/health");
      const auto body = text.find("\r\n\r\n");
      if (!text.starts_with("HTTP/1.1 200") || body == std::string::npos) return false;
      counters = nlohmann::json::parse(text.substr(body + 4), nullptr, false)["counters"];
      return true;
    }));
    return counters;
  }

  LineRig rig_;
  std::mt19937 random_{7};

 private:
  static int address_family(const sockaddr_in&) { return AF_INET; }
  static int address_family(const sockaddr_un&) { return AF_UNIX; }
  // A queue of connections that is full is waited for: the attack is on who accepts, not on it.
  template <typename Address>
  static void connect_to(int attacker, const Address& address) {
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    becomes_true([&] {
      return connect(attacker, raw, sizeof(address)) == 0 || errno == EINPROGRESS ||
             errno == EISCONN || errno == EALREADY;
    });
  }
  std::string get(const std::string& path) {
    const int asker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(room_port());
    const timeval patience{2, 0};
    EXPECT_EQ(setsockopt(asker, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    std::string answer;
    if (connect(asker, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      const std::string request = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
      (void)send(asker, request.data(), request.size(), MSG_NOSIGNAL);
      std::array<char, 4096> bytes{};
      const ssize_t got = recv(asker, bytes.data(), bytes.size(), 0);
      if (got > 0) answer.assign(bytes.data(), static_cast<std::size_t>(got));
    }
    close(asker);
    return answer;
  }

  std::size_t at_once_ = 0;
  pid_t daemon_ = -1;
  pid_t room_ = -1;
};

TEST_F(Flood, EachDatagramOfAFloodIsCountedAndTheCarsAreStillHeard) {
  given_a_line();
  if (HasFatalFailure()) return;
  const int attacker = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(rig_.stage().source().port());
  for (std::size_t i = 0; i < kDatagrams; ++i) {
    std::string bytes = i % 20 == 0 ? std::string(kLongestDatagram, 'P') : random_bytes(1'400);
    if (i % 3 == 0) bytes.replace(0, 4, "PBX1");  // Would pass for ours at a first look.
    ASSERT_EQ(sendto(attacker, bytes.data(), bytes.size(), 0,
                     reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              static_cast<ssize_t>(bytes.size()));
  }
  close(attacker);
  nlohmann::json messages;
  EXPECT_TRUE(becomes_true([&] {
    const nlohmann::json now = status();
    messages = now["messages"];
    return messages["in_ring"] == 0 &&
           messages["heard"].get<std::size_t>() + now["unheard"].get<std::size_t>() == kDatagrams;
  })) << status().dump(2);
  EXPECT_GT(messages["dropped"]["receive.truncated"], 0) << messages.dump();
  EXPECT_GT(messages["dropped"]["decode.malformed"], 0) << messages.dump();
  expect_a_sound_session("after datagrams");
}

TEST_F(Flood, AStreamTakesItsLimitOfConnectionsAndCountsTheOthers) {
  given_a_line();
  if (HasFatalFailure()) return;
  for (const char* name : {"gps", "logger"}) {
    attack(loopback(port_of(name)), [&](std::size_t) { return random_bytes(600); });
    EXPECT_TRUE(becomes_true([&] { return source(name)["connections"] == 0; })) << name;
    EXPECT_GT(source(name)["refused"], kConnections / 2) << name;
  }
  EXPECT_TRUE(becomes_true([&] { return status()["messages"]["in_ring"] == 0; }));
  const nlohmann::json now = status();
  std::uint64_t refused = 0;
  for (const auto& [reason, count] : now["records"]["rejected"].items()) {
    refused += count.get<std::uint64_t>();
  }
  EXPECT_GT(refused + now["messages"]["dropped"]["decode.malformed"].get<std::uint64_t>(), 0U);
  rig_.end_session();  // The automatic one that they opened.
  expect_a_sound_session("after streams");
}

TEST_F(Flood, TheControlSocketTakesSixteenAndCountsTheOthers) {
  given_a_line();
  if (HasFatalFailure()) return;
  const auto file = rig_.stage().ring_file("cars").parent_path().parent_path() / "control.sock";
  attack(unix_address(file), [&](std::size_t i) {
    if (i % 4 == 0) return std::string("{\"command\":\"no such\"}\n");
    if (i % 4 == 1) return std::string(ControlServer::kMaxRequestBytes + 1, '[');
    return random_bytes(600);
  });
  nlohmann::json counters;
  ASSERT_TRUE(becomes_true([&] {
    const auto answer = rig_.stage().ask(R"({"command":"status"})");
    if (!answer.ok()) return false;
    counters = nlohmann::json::parse(answer.value(), nullptr, false).value("control", counters);
    return !counters.is_null();
  }));
  EXPECT_GT(counters["clients_refused"], kConnections / 2) << counters.dump();
  EXPECT_GT(counters["lines_too_long"], 0) << counters.dump();
  EXPECT_GT(counters["requests_refused"], 0) << counters.dump();
  expect_a_sound_session("after clients");
}

TEST_F(Flood, TheRoomKeepsItsBoxAndNamesWhatItRefused) {
  given_a_line();
  if (HasFatalFailure()) return;
  const Uuid session = rig_.start_session("through the flood");
  const std::string host = "Host: 127.0.0.1\r\n";
  const std::string upgrade = host +
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                              "Sec-WebSocket-Protocol: pitbox.room.v1\r\n\r\n";
  const std::vector<Bytes> kinds = {
      [&](std::size_t) { return random_bytes(600); },
      [&](std::size_t) { return std::string("GET / HT"); },
      [&](std::size_t) { return "GET /nothing HTTP/1.1\r\n" + host + "\r\n"; },
      [&](std::size_t) { return "GET /tickets HTTP/1.1\r\n" + host + "\r\n"; },
      [&](std::size_t) { return "GET /rooms/any HTTP/1.1\r\n" + host + "\r\n"; },
      [&](std::size_t) {
        return "POST /tickets HTTP/1.1\r\n" + host +
               "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
      },
      [&](std::size_t) {
        return "POST /tickets HTTP/1.1\r\n" + host + "Content-Length: 9\r\n\r\n" + random_bytes(9);
      },
      [&](std::size_t) { return "GET /rooms/not-a-room HTTP/1.1\r\n" + upgrade; },
      [&](std::size_t) { return "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"; },
      [&](std::size_t) {
        return "GET /rooms/" + session.text() + " HTTP/1.1\r\n" + upgrade + random_bytes(600);
      },
      [&](std::size_t) { return std::string(); },
  };
  const auto before = room_counters();
  attack(
      loopback(room_port()), [&](std::size_t i) { return kinds[i % kinds.size()](i); },
      [&] {
        // The box was there before them: what the car sends now arrives.
        const auto before_them = rig_.status().batches;
        const auto drove = rig_.pitbox({"sim", "--cars", "1", "--seconds", "10", "--speed", "10",
                                        "--to", rig_.stage().source().address()});
        EXPECT_EQ(drove.exit_code, 0) << drove.output;
        EXPECT_TRUE(becomes_true([&] {
          const StatusView now = rig_.status();
          return now.batches > before_them && now.pending == 0;
        })) << status().dump(2);
      });
  const auto after = room_counters();
  for (const char* name : {"not_http", "http_not_found", "http_body", "http_foreign",
                           "http_bad_method", "http_bad_request"}) {
    EXPECT_GT(after[name], before[name]) << name << ": " << after.dump();
  }
  EXPECT_EQ(after["conflicts"], 0);
  EXPECT_EQ(after["store_failures"], 0);
  rig_.end_session();
  ASSERT_TRUE(becomes_true([&] { return rig_.is_complete(session); })) << status().dump(2);
  expect_a_sound_session("after the flood");
}

}  // namespace
}  // namespace pitbox
