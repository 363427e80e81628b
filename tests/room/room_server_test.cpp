// Threaded. Goal: over real sockets, only holders of a key get in, hostile bytes close one
// connection and harm no other. Method: a server on a thread and a client of plain sockets.

#include "room/room_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "conversation.h"
#include "room_visitor.h"
#include "web_client.h"

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.
using nlohmann::json;

constexpr char kKey[] = "rk_0123456789abcdef0123";
constexpr char kOtherKey[] = "race_fedcba9876543210";

class RoomServerTest : public RoomVisitor {
 protected:
  ~RoomServerTest() override { stop(); }

  void write_keys(const std::string& text) {
    // As an editor does it: a new file in the old one's place.
    const auto fresh = directory_.path() / "keys.new";
    std::ofstream(fresh) << text;
    ::chmod(fresh.c_str(), 0600);
    std::filesystem::rename(fresh, keys_file());
  }
  std::filesystem::path keys_file() const { return directory_.path() / "keys"; }

  void start(bool no_auth = true) {
    stop();
    RoomServer::Options options;
    options.port = 0;
    options.no_auth = no_auth;
    if (!no_auth) options.keys_file = keys_file();
    options.rooms.directory = directory_.path() / "store";
    options.rooms.hello_limit = hello_limit_;
    options.rooms.room.commit_delay_min = commit_delay_;
    options.connections_max = 8;
    auto server = RoomServer::open(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(server).take();
    port_ = server_->port();
    thread_ = std::thread([this] { server_->run(); });
  }
  void stop() {
    if (server_ == nullptr) return;
    server_->stop();
    thread_.join();
    server_.reset();
  }

  std::chrono::seconds hello_limit_{60};
  std::chrono::microseconds commit_delay_{2'000};
  std::unique_ptr<RoomServer> server_;
  std::thread thread_;
};

std::string key_header(const std::string& key) {
  return "X-API-Key: " + key + "\r\n";
}

TEST_F(RoomServerTest, SaysThatItIsAlive) {
  start();
  const HttpReply health = http(port_, "GET", "/health");
  EXPECT_EQ(health.status, 200);
  const auto body = json::parse(health.body);
  EXPECT_EQ(body["ok"], true);
  EXPECT_EQ(body["version"], PITBOX_VERSION);
  EXPECT_NE(health.head.find("Content-Security-Policy: default-src 'none'"), std::string::npos);
}

TEST_F(RoomServerTest, AnUpgradeToSomethingElseIsAnsweredAsARequest) {
  start();
  const HttpReply health = http(port_, "GET", "/health", "Connection: Upgrade\r\nUpgrade: h2c\r\n");
  EXPECT_EQ(health.status, 200);
  const HttpReply other = http(port_, "GET", path(),
                               "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 99\r\n"
                               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                               "Sec-WebSocket-Protocol: pitbox.room.v1\r\n");
  EXPECT_EQ(other.status, 400);
}

TEST_F(RoomServerTest, ABodyIsRefusedHoweverItIsSent) {
  start();
  EXPECT_EQ(http(port_, "POST", "/tickets", "Content-Length: 1\r\n").status, 413);
  EXPECT_EQ(http(port_, "POST", "/tickets", "Transfer-Encoding: chunked\r\n").status, 413);
  const auto counters = json::parse(http(port_, "GET", "/health").body)["counters"];
  EXPECT_EQ(counters["http_body"], 2);
}

TEST_F(RoomServerTest, TellsAnotherStoreInEachLife) {
  const auto store = [&] {
    auto client = connect();
    client->send(hello(box_, session_));
    return client->expect(words::Frame::kWelcome).welcome().store();
  };
  start();
  const std::uint64_t first = store();
  EXPECT_NE(first, 0U);
  EXPECT_EQ(store(), first);
  stop();
  start();
  EXPECT_NE(store(), first) << "its files could have been replaced meanwhile";
}

TEST_F(RoomServerTest, StreamsFromBoxToViewerAndAcknowledges) {
  start();
  auto box = connect_box();
  auto viewer = connect();
  viewer->send(subscribe(session_, true, true));
  viewer->expect(words::Frame::kHistoryEnd);
  const Entry entry = batch(1, 3, 5000);
  give(*box, entry);
  const words::Frame ack = box->expect(words::Frame::kAck);
  EXPECT_EQ(ack.ack().through(), 1U);
  EXPECT_EQ(viewer->expect(words::Frame::kDefinition).definition().content(),
            entry.definitions[0]->bytes());
  Received received;
  while (received.entries.empty()) {
    auto message = viewer->next();
    ASSERT_TRUE(message.has_value());
    words::Frame frame = parse_frame(*message).take();
    frame.mutable_part()->clear_definitions();  // Seen above.
    received.add(frame);
  }
  EXPECT_EQ(received.entries[0].bytes, entry.bytes);
}

TEST_F(RoomServerTest, ALateViewerGetsDefinitionsLapsAndHistoryThenLive) {
  start();
  auto box = connect_box();
  give(*box, lap(1, 1, 92'345));
  for (std::uint64_t sequence = 2; sequence <= 40; ++sequence) give(*box, batch(sequence));
  while (box->expect(words::Frame::kAck).ack().through() < 40) {
  }
  auto viewer = connect();
  viewer->send(subscribe(session_, true, true));
  Received received;
  const auto read_until = [&](const auto& is_done) {
    while (!is_done()) {
      auto message = viewer->next();
      ASSERT_TRUE(message.has_value());
      received.add(parse_frame(*message).take());
    }
  };
  read_until([&] { return received.history_end.has_value(); });
  EXPECT_EQ(received.entries.size(), 40U);
  EXPECT_TRUE(received.entries[0].is_event);
  give(*box, batch(41));
  read_until([&] { return received.entries.size() == 41; });
  EXPECT_EQ(received.entries.back().sequence, 41U);
}

TEST_F(RoomServerTest, ACommitThatIsDueInAMomentWaitsForNothingElse) {
  // A bug: an alarm due when the library looked for the first time was lost, and the Ack came with
  // the next ping, ten seconds later. How short a delay does it depends on the machine.
  std::uint64_t sequence = 0;
  for (int delay_us = 20; delay_us < 400; delay_us += 20) {
    commit_delay_ = std::chrono::microseconds(delay_us);
    start();
    auto box = connect_box();
    for (int i = 0; i < 10; ++i) {
      give(*box, batch(++sequence));
      ASSERT_EQ(box->expect(words::Frame::kAck).ack().through(), sequence) << delay_us << " us";
    }
  }
}

TEST_F(RoomServerTest, WithoutAValidKeyThereIsNoWayIn) {
  write_keys(std::string(kKey) + " team\n# a comment\n");
  start(false);
  EXPECT_EQ(http(port_, "GET", "/health").status, 200) << "needs none";
  EXPECT_EQ(http(port_, "GET", "/").status, 200) << "the page asks for it";
  for (const char* path : {"/auth/me", "/api/sessions"}) {
    EXPECT_EQ(http(port_, "GET", path).status, 401) << path;
    EXPECT_EQ(http(port_, "GET", path, key_header(kOtherKey)).status, 401) << path;
    EXPECT_EQ(http(port_, "GET", path, key_header(kKey)).status, 200) << path;
  }
  EXPECT_EQ(http(port_, "POST", "/tickets").status, 401);
  EXPECT_EQ(connect()->status(), 401);
  EXPECT_EQ(connect(key_header(kOtherKey))->status(), 401);
  EXPECT_EQ(connect(key_header(kKey))->status(), 101);
  EXPECT_EQ(connect("Authorization: Bearer " + std::string(kKey) + "\r\n")->status(), 101);
  EXPECT_EQ(connect("Authorization: Bearer nonsense\r\n")->status(), 401);
  EXPECT_EQ(json::parse(http(port_, "GET", "/auth/me", key_header(kKey)).body)["accountId"],
            "team");
}

TEST_F(RoomServerTest, ARevokedKeyIsRefusedAtTheNextRequestAndItsConnectionsAreClosed) {
  write_keys(std::string(kKey) + "\n" + kOtherKey + "\n");
  start(false);
  auto revoked = connect(key_header(kKey));
  auto kept = connect(key_header(kOtherKey));
  revoked->send(hello(box_, session_));
  revoked->expect(words::Frame::kWelcome);
  kept->send(subscribe(session_, true, false));
  kept->expect(words::Frame::kHistoryEnd);
  write_keys(std::string(kOtherKey) + "\n");
  EXPECT_EQ(http(port_, "GET", "/auth/me", key_header(kKey)).status, 401);
  EXPECT_EQ(connect(key_header(kKey))->status(), 401);
  EXPECT_EQ(http(port_, "GET", "/auth/me", key_header(kOtherKey)).status, 200);
  EXPECT_EQ(revoked->read_to_close(), static_cast<int>(CloseCode::kCredentialRejected));
  auto box = connect(key_header(kOtherKey));
  box->send(hello(box_, session_));
  give(*box, lap(1, 1, 92'345));
  EXPECT_EQ(kept->expect(words::Frame::kPart).part().first(), 1U) << "the other key's lives on";
}

TEST_F(RoomServerTest, ATicketOpensOneConnection) {
  write_keys(std::string(kKey) + "\n");
  start(false);
  const HttpReply reply = http(port_, "POST", "/tickets", key_header(kKey));
  ASSERT_EQ(reply.status, 200);
  const std::string ticket = json::parse(reply.body)["ticket"];
  const std::string with_ticket = path() + "?ticket=" + ticket;
  EXPECT_EQ(WebClient(port_, with_ticket, kViewSubprotocol).status(), 101);
  EXPECT_EQ(WebClient(port_, with_ticket, kViewSubprotocol).status(), 401) << "used";
  EXPECT_EQ(WebClient(port_, path() + "?ticket=guess", kViewSubprotocol).status(), 401);
}

TEST_F(RoomServerTest, ForeignPagesAndForeignNamesAreRefused) {
  start();
  const std::string port = std::to_string(port_);
  EXPECT_EQ(http(port_, "GET", "/health", {}, "rebound.example:" + port).status, 403);
  EXPECT_EQ(http(port_, "GET", "/health", {}, "localhost:" + port).status, 200);
  EXPECT_EQ(connect("Origin: http://evil.example\r\n", kViewSubprotocol)->status(), 403);
  EXPECT_EQ(connect("Origin: null\r\n", kViewSubprotocol)->status(), 403);
  EXPECT_EQ(connect("Origin: http://127.0.0.1:" + port + "\r\n", kViewSubprotocol)->status(), 101);
}

TEST_F(RoomServerTest, AUrlThatIsNoRoomIsRefused) {
  start();
  EXPECT_EQ(WebClient(port_, "/rooms/not-a-uuid", kRoomSubprotocol).status(), 404);
  EXPECT_EQ(WebClient(port_, "/elsewhere", kRoomSubprotocol).status(), 404);
  EXPECT_EQ(WebClient(port_, path(), "chat").status(), 400);
  EXPECT_EQ(http(port_, "GET", path()).status, 400);
  EXPECT_EQ(http(port_, "GET", "/../../etc/passwd").status, 404);
  EXPECT_EQ(http(port_, "DELETE", "/health").status, 405);
}

TEST_F(RoomServerTest, RefusesAHelloThatIsNotTheUrlsAndAViewerOfNoSession) {
  start();
  auto client = connect();
  client->send(hello(box_, Uuid::mint()));
  EXPECT_FALSE(client->expect(words::Frame::kGoodbye).goodbye().reason().empty());
  EXPECT_EQ(client->read_to_close(), static_cast<int>(CloseCode::kHelloRefused));
  auto viewer = connect();
  viewer->send(subscribe(session_, true, true));
  EXPECT_EQ(viewer->read_to_close(), static_cast<int>(CloseCode::kUnknownSession));
  EXPECT_EQ(server_->known_rooms(), 0U) << "neither made a room";
}

TEST_F(RoomServerTest, WhoSaysNothingIsClosed) {
  hello_limit_ = std::chrono::seconds(1);
  start();
  EXPECT_EQ(connect()->read_to_close(), static_cast<int>(CloseCode::kNoHello));
}

TEST_F(RoomServerTest, AMessageOfMoreThanOneMiBClosesItsConnectionOnly) {
  start();
  auto box = connect_box();
  {
    auto client = connect();
    client->send_raw(0x2, std::string(kMaxFrameBytes + 1, '\0'));
    EXPECT_EQ(client->read_to_close(), static_cast<int>(CloseCode::kFrameTooBig));
  }
  {
    auto client = connect();  // In pieces that are each small.
    client->send_raw(0x2, std::string(kMaxFrameBytes / 2, '\0'), false);
    client->send_raw(0x0, std::string(kMaxFrameBytes / 2 + 1, '\0'));
    EXPECT_EQ(client->read_to_close(), static_cast<int>(CloseCode::kFrameTooBig));
  }
  {
    auto client = connect();  // At the limit it is read, and is no frame.
    client->send_raw(0x2, std::string(kMaxFrameBytes, '\x01'));
    EXPECT_EQ(client->read_to_close(), static_cast<int>(CloseCode::kProtocolError));
  }
  {
    auto client = connect();
    client->send_raw(0x1, "text");
    EXPECT_EQ(client->read_to_close(), static_cast<int>(CloseCode::kProtocolError));
  }
  give(*box, batch(1));
  EXPECT_EQ(box->expect(words::Frame::kAck).ack().through(), 1U);
}

TEST_F(RoomServerTest, AGreatFrameInPiecesIsPutTogether) {
  start();
  auto box = connect_box();
  const Entry entry = batch(1, 5, 200'000);
  ASSERT_GT(entry.bytes.size(), 100'000U);
  box->send(define(entry.definitions[0]));
  const std::string frame = serialise(parts(entry, kMaxPartBytes)[0]);
  const std::size_t third = frame.size() / 3;
  box->send_raw(0x2, std::string_view(frame).substr(0, third), false);
  box->send_raw(0x0, std::string_view(frame).substr(third, third), false);
  box->send_raw(0x0, std::string_view(frame).substr(2 * third));
  EXPECT_EQ(box->expect(words::Frame::kAck).ack().through(), 1U);
}

TEST_F(RoomServerTest, NoMoreConnectionsThanItsLimit) {
  start();
  std::array<std::unique_ptr<WebClient>, 8> clients;
  for (auto& client : clients) client = connect();
  for (const auto& client : clients) EXPECT_EQ(client->status(), 101);
  EXPECT_EQ(connect()->status(), 503);
}

TEST_F(RoomServerTest, APageSeesTheRoom) {
  start();
  auto box = connect_box();
  give(*box, lap(1, 4, 92'345));
  box->expect(words::Frame::kAck);
  auto page = connect({}, kViewSubprotocol);
  ASSERT_EQ(page->status(), 101);
  EXPECT_EQ(json::parse(page->next().value())["session"]["id"], session_.text());
  EXPECT_EQ(json::parse(page->next().value())["laps"][0]["lap"], 4);
  const auto list = json::parse(http(port_, "GET", "/api/sessions").body)["sessions"];
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["id"], session_.text());
  EXPECT_EQ(list[0]["name"], "FP1");
  EXPECT_EQ(list[0]["box"], true);
  page->send_raw(0x1, "hello");
  EXPECT_EQ(page->read_to_close(), static_cast<int>(CloseCode::kProtocolError));
}

TEST_F(RoomServerTest, SaysGoodbyeWhenItStops) {
  start();
  auto box = connect_box();
  give(*box, batch(1));
  // Until the room has it: bytes still in the kernel when it stops are not its promise.
  box->expect(words::Frame::kAck);
  std::thread stopper([this] { server_->stop(); });
  EXPECT_EQ(box->expect(words::Frame::kGoodbye).goodbye().reason(), "server_closing");
  EXPECT_EQ(box->read_to_close(), static_cast<int>(CloseCode::kGoingAway));
  stopper.join();
  stop();
}

TEST_F(RoomServerTest, RefusesOptionsThatWouldLeaveTheDoorOpen) {
  RoomServer::Options options;
  options.port = 0;
  options.rooms.directory = directory_.path() / "store";
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected)
      << "neither keys nor no_auth";
  options.no_auth = true;
  options.listen = "0.0.0.0";
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected)
      << "no_auth for all the world";
  options.no_auth = false;
  options.keys_file = keys_file();
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected) << "no such file";
  write_keys("hunter2\n");
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected) << "no such key";
  write_keys(std::string(kKey) + "\n");
  ::chmod(keys_file().c_str(), 0644);
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected) << "open to all readers";
}

TEST_F(RoomServerTest, TwoServersDoNotShareAStoreOrAPort) {
  start();
  RoomServer::Options options;
  options.port = 0;
  options.no_auth = true;
  options.rooms.directory = directory_.path() / "store";
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kTryAgain);
  options.rooms.directory = directory_.path() / "other";
  options.port = port_;
  EXPECT_EQ(RoomServer::open(options).status().code(), Code::kRejected);
}

}  // namespace
}  // namespace pitbox
