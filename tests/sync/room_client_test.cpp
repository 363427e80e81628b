// The WebSocket door against servers that misbehave in every way we could think of: a listener that
// refuses, is deaf, accepts and says nothing, answers HTTP, breaks in the middle of a frame. Each
// connect() must end in one on_closed() that says why. Threaded. (wake() comes from another
// thread.)

#include "sync/room_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "buffer/clock.h"
#include "proto/frames.h"
#include "tests/sync/raw_server.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using testing::RawServer;

class Recorded final : public RoomHandler {
 public:
  void on_open() override { opened = true; }
  Status on_frame(std::string_view frame) override {
    frames.emplace_back(frame);
    return accepts ? Status() : Status(Code::kCorrupt, "not this");
  }
  void on_pong() override { ++pongs; }
  bool next_frame(std::string& out) override {
    if (to_send.empty()) return false;
    out += to_send.front();
    to_send.erase(to_send.begin());
    return true;
  }
  void on_closed(const RoomClosed& how) override {
    EXPECT_FALSE(closed.has_value()) << "closed twice";
    closed = how;
  }
  bool opened = false;
  bool accepts = true;
  int pongs = 0;
  std::vector<std::string> frames;
  std::vector<std::string> to_send;
  std::optional<RoomClosed> closed;
};

class RoomClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RoomClient::Options options;
    options.api_key = "rk_secret";
    options.handshake_within = milliseconds(300);
    make(options);
  }
  void make(const RoomClient::Options& options) {
    client_.reset();
    auto made = RoomClient::create(options);
    ASSERT_TRUE(made.ok());
    client_ = std::move(made).take();
  }
  void dial(std::uint16_t port, const std::string& scheme = "ws") {
    RoomClient::Target target;
    target.address = "127.0.0.1";
    target.endpoint = parse_endpoint(scheme + "://localhost:" + std::to_string(port)).value();
    target.endpoint.path = "/rooms/x";
    target.connect_within = milliseconds(300);
    id_ = client_->connect(target, handler_);
  }
  bool until(const std::function<bool()>& done) {
    const BootNs deadline = system_clock().boot_now() + 20'000'000'000;
    while (system_clock().boot_now() < deadline) {
      if (done()) return true;
      client_->service(milliseconds(5));
      server_.poll();
    }
    return false;
  }
  void open() {
    dial(server_.port());
    ASSERT_TRUE(until([&] { return server_.has_request(); }));
    server_.upgrade();
    ASSERT_TRUE(until([&] { return handler_.opened; }));
  }
  // The server answers the upgrade with these bytes and hangs up.
  RoomClosed answered_with(const std::string& answer) {
    dial(server_.port());
    EXPECT_TRUE(until([&] { return server_.has_request(); }));
    if (!answer.empty()) server_.say(answer);
    server_.hang_up();
    EXPECT_TRUE(until([&] { return handler_.closed.has_value(); }));
    return handler_.closed.value_or(RoomClosed{});
  }

  RawServer server_;
  Recorded handler_;
  std::unique_ptr<RoomClient> client_;
  RoomClient::Id id_ = 0;
};

TEST_F(RoomClientTest, SendsTheCredentialTheProtocolAndTheNameOfTheHost) {
  dial(server_.port());
  ASSERT_TRUE(until([&] { return server_.has_request(); }));
  EXPECT_TRUE(server_.heard.starts_with("GET /rooms/x HTTP/1.1\r\n")) << server_.heard;
  EXPECT_EQ(server_.header("x-api-key"), "rk_secret") << server_.heard;
  EXPECT_EQ(server_.header("Sec-WebSocket-Protocol"), "pitbox.room.v1");
  EXPECT_EQ(server_.header("Host"), "localhost:" + std::to_string(server_.port()));
  EXPECT_EQ(server_.heard.find("Origin:"), std::string::npos);
  EXPECT_EQ(server_.heard.find("permessage-deflate"), std::string::npos);
}

TEST_F(RoomClientTest, AWaitThatIsOverBeforeItBeginsStillEnds) {
  // A bug: an alarm that was due when the library looked for the first time ended no wait, and the
  // link stood still until something else happened.
  std::atomic<bool> is_back{false};
  std::atomic<bool> was_freed{false};
  std::thread watchdog([&] {
    const BootNs deadline = system_clock().boot_now() + 10'000'000'000;
    while (!is_back && system_clock().boot_now() < deadline) std::this_thread::yield();
    was_freed = !is_back;
    client_->wake();
  });
  for (int i = 0; i < 100 && !was_freed; ++i) client_->service(std::chrono::nanoseconds(1));
  is_back = true;
  watchdog.join();
  EXPECT_FALSE(was_freed);
}

TEST_F(RoomClientTest, ABearerTokenIsAnAuthorizationHeader) {
  RoomClient::Options options;
  options.bearer = "abc.def";
  make(options);
  dial(server_.port());
  ASSERT_TRUE(until([&] { return server_.has_request(); }));
  EXPECT_EQ(server_.header("authorization"), "Bearer abc.def") << server_.heard;
}

TEST_F(RoomClientTest, APortNobodyListensOnHasRefused) {
  server_.stop_listening();
  dial(server_.port());
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->reason, LinkReason::kRefused) << handler_.closed->text;
  EXPECT_FALSE(handler_.closed->answered);
  EXPECT_FALSE(handler_.closed->was_open);
  EXPECT_EQ(client_->connections(), 0U);
}

TEST_F(RoomClientTest, AHostThatDoesNotAnswerIsGivenUpAfterTheConnectTime) {
  // A listener whose queue is full drops what comes.
  RawServer deaf(0);
  Recorded first;
  Recorded second;
  RoomClient::Target target;
  target.address = "127.0.0.1";
  target.endpoint = parse_endpoint("ws://localhost:" + std::to_string(deaf.port())).value();
  target.connect_within = milliseconds(200);
  client_->connect(target, first);
  client_->connect(target, second);
  const BootNs begun = system_clock().boot_now();
  dial(deaf.port());
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->reason, LinkReason::kUnreachable) << handler_.closed->text;
  EXPECT_GE(system_clock().boot_now() - begun, to_ns(milliseconds(200)));
}

TEST_F(RoomClientTest, AServerThatAcceptsAndSaysNothingIsGivenUp) {
  dial(server_.port());
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->reason, LinkReason::kUnreachable) << handler_.closed->text;
  EXPECT_NE(handler_.closed->text.find("accepts and does not answer"), std::string::npos);
  EXPECT_EQ(server_.accepted, 1);
}

TEST_F(RoomClientTest, RefusedUpgradesAreToldApart) {
  struct Case {
    std::string status;
    LinkReason reason;
  };
  const std::vector<Case> cases = {{"401 Unauthorized", LinkReason::kAuthRejected},
                                   {"403 Forbidden", LinkReason::kAuthRejected},
                                   {"404 Not Found", LinkReason::kRefused},
                                   {"429 Too Many Requests", LinkReason::kThrottled},
                                   {"500 Oops", LinkReason::kRefused},
                                   {"503 Busy", LinkReason::kServerClosing},
                                   {"301 Moved", LinkReason::kRefused},
                                   {"200 OK", LinkReason::kRefused}};
  for (const Case& one : cases) {
    handler_.closed.reset();
    server_.heard.clear();
    const RoomClosed closed = answered_with(
        "HTTP/1.1 " + one.status +
        "\r\nRetry-After: 7\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(closed.reason, one.reason) << one.status << ": " << closed.text;
    EXPECT_TRUE(closed.answered) << one.status;
    EXPECT_EQ(closed.http_status, static_cast<unsigned>(std::stoi(one.status))) << one.status;
    if (one.reason == LinkReason::kThrottled) {
      EXPECT_EQ(closed.retry_after, milliseconds(7000));
    }
  }
}

TEST_F(RoomClientTest, AServerThatHangsUpInTheHandshakeHasNotAnswered) {
  const RoomClosed closed = answered_with("");
  EXPECT_FALSE(closed.answered);
  EXPECT_EQ(closed.reason, LinkReason::kRefused) << closed.text;
}

TEST_F(RoomClientTest, GarbageInsteadOfHttpEndsIt) {
  const RoomClosed closed = answered_with("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  EXPECT_FALSE(closed.was_open);
}

TEST_F(RoomClientTest, TlsWithOneWhoSpeaksNoneIsATlsFault) {
  dial(server_.port(), "wss");
  ASSERT_TRUE(until([&] { return !server_.heard.empty(); }));
  server_.say("HTTP/1.1 400 Bad Request\r\n\r\n");
  server_.hang_up();
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->reason, LinkReason::kTls) << handler_.closed->text;
}

TEST_F(RoomClientTest, FramesGoOutWholeAndInOrderUpToAMegabyte) {
  open();
  std::vector<std::string> sent;
  for (const std::size_t bytes : {1UL, 125UL, 126UL, 65535UL, 65536UL, std::size_t{1} << 20}) {
    std::string frame(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) frame[i] = static_cast<char>(i * 7 + bytes);
    sent.push_back(frame);
  }
  handler_.to_send = sent;
  client_->request_send(id_);
  std::vector<std::string> arrived;
  ASSERT_TRUE(until([&] {
    int opcode = 0;
    std::string payload;
    while (server_.next_frame(opcode, payload)) {
      EXPECT_EQ(opcode, 2);
      arrived.push_back(payload);
    }
    return arrived.size() == sent.size();
  }));
  EXPECT_TRUE(arrived == sent);
}

TEST_F(RoomClientTest, FramesComeInWholeHoweverTheyWereCut) {
  open();
  const std::string big(300'000, 'b');
  const std::string bytes = RawServer::frame(2, "one") + RawServer::frame(2, big);
  for (std::size_t at = 0; at < bytes.size(); at += 50'001) {
    server_.say(bytes.substr(at, 50'001));
    client_->service(milliseconds(1));
  }
  ASSERT_TRUE(until([&] { return handler_.frames.size() == 2; }));
  EXPECT_EQ(handler_.frames[0], "one");
  EXPECT_TRUE(handler_.frames[1] == big);
}

TEST_F(RoomClientTest, AFrameThatIsTooBigIsRefusedBeforeItIsThere) {
  open();
  server_.say(RawServer::frame(2, std::string(100, 'x'), std::uint64_t{1} << 30));
  const std::string more(64 * 1024, 'x');
  ASSERT_TRUE(until([&] {
    if (!handler_.closed) server_.say_some(more);
    return handler_.closed.has_value() || !handler_.frames.empty();
  }));
  EXPECT_TRUE(handler_.frames.empty());
  EXPECT_TRUE(handler_.closed->was_open);
}

TEST_F(RoomClientTest, AnEndInTheMiddleOfAFrameIsABrokenConnection) {
  open();
  server_.say(RawServer::frame(2, "half", 1000));
  server_.hang_up();
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_TRUE(handler_.closed->was_open);
  EXPECT_FALSE(handler_.closed->answered);
  EXPECT_EQ(handler_.closed->reason, LinkReason::kUnreachable);
  EXPECT_TRUE(handler_.frames.empty());
}

TEST_F(RoomClientTest, CloseCodesAreReasons) {
  open();
  server_.say(RawServer::frame(8, std::string("\x0f\xa3") + "revoked"));  // 4003
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->close_code, 4003U);
  EXPECT_EQ(handler_.closed->reason, LinkReason::kAuthRejected);
  EXPECT_TRUE(handler_.closed->answered);
  EXPECT_EQ(handler_.closed->text, "the room closed with 4003 (credential_rejected)");
}

// Found when a frame that was too big was refused: libwebsockets 4.1.6 overran its receive buffer.
TEST_F(RoomClientTest, WhatComesAfterACloseOfEitherSideHarmsNobody) {
  const std::string flood = RawServer::frame(2, std::string(150'000, 'x'));
  open();
  client_->close(id_, 1000, "done");
  ASSERT_TRUE(until([&] {
    if (!handler_.closed) server_.say_some(flood.substr(0, 100'000));
    return handler_.closed.has_value();
  }));
  server_.hang_up();
  server_.heard.clear();
  handler_ = Recorded();
  open();
  server_.say(RawServer::frame(8, "\x03\xe8"));
  server_.say_some(flood);
  ASSERT_TRUE(until([&] {
    if (!handler_.closed) server_.say_some(flood);
    return handler_.closed.has_value();
  }));
  EXPECT_EQ(handler_.closed->close_code, 1000U);
}

TEST_F(RoomClientTest, AFrameTheHandlerRefusesClosesWithProtocolError) {
  open();
  handler_.accepts = false;
  server_.say(RawServer::frame(2, "bad"));
  int opcode = 0;
  std::string payload;
  ASSERT_TRUE(until([&] { return server_.next_frame(opcode, payload); }));
  EXPECT_EQ(opcode, 8);
  EXPECT_EQ(payload.substr(0, 2), "\x0f\xab");  // 4011
  EXPECT_EQ(payload.substr(2), "not this");
}

TEST_F(RoomClientTest, PingsAreAnsweredByTheOtherEndOrNot) {
  open();
  client_->ping(id_);
  int opcode = 0;
  std::string payload;
  ASSERT_TRUE(until([&] { return server_.next_frame(opcode, payload); }));
  EXPECT_EQ(opcode, 9);
  EXPECT_EQ(handler_.pongs, 0);
  server_.say(RawServer::frame(10, payload));
  EXPECT_TRUE(until([&] { return handler_.pongs == 1; }));
}

TEST_F(RoomClientTest, AHalfOpenConnectionIsKilledAtOnceWithOurReason) {
  open();
  handler_.to_send.assign(64, std::string(std::size_t{1} << 20, 'x'));
  client_->request_send(id_);
  for (int i = 0; i < 50; ++i) client_->service(milliseconds(1));  // Nobody reads.
  EXPECT_FALSE(handler_.to_send.empty()) << "the kernel's buffer is not a queue of ours";
  client_->kill(id_, LinkReason::kNoAck, "nothing acknowledged");
  client_->service(milliseconds(1));
  ASSERT_TRUE(handler_.closed.has_value());
  EXPECT_EQ(handler_.closed->reason, LinkReason::kNoAck);
  EXPECT_EQ(client_->connections(), 0U);
}

TEST_F(RoomClientTest, APoliteCloseSendsWhatIsLeftThenACloseFrame) {
  open();
  handler_.to_send = {"goodbye"};
  client_->close(id_, 1000, "done");
  int opcode = 0;
  std::string payload;
  ASSERT_TRUE(until([&] { return server_.next_frame(opcode, payload); }));
  EXPECT_EQ(payload, "goodbye");
  ASSERT_TRUE(until([&] { return server_.next_frame(opcode, payload); }));
  EXPECT_EQ(opcode, 8);
  ASSERT_TRUE(until([&] { return handler_.closed.has_value(); }))
      << "also if the other end does not answer";
  EXPECT_EQ(handler_.closed->reason, LinkReason::kNone);
}

TEST_F(RoomClientTest, AConnectionCanBeMadeFromOnClosed) {
  server_.stop_listening();
  for (int i = 0; i < 50; ++i) {
    handler_.closed.reset();
    dial(server_.port());
    ASSERT_TRUE(until([&] { return handler_.closed.has_value(); })) << i;
  }
  EXPECT_EQ(client_->connections(), 0U);
}

TEST_F(RoomClientTest, TooManyConnectionsAreRefusedHere) {
  std::vector<Recorded> many(RoomClient::kMaxConnections + 1);
  RoomClient::Target target;
  target.address = "127.0.0.1";
  target.endpoint = parse_endpoint("ws://localhost:" + std::to_string(server_.port())).value();
  for (Recorded& one : many) client_->connect(target, one);
  ASSERT_TRUE(until([&] { return many.back().closed.has_value(); }));
  EXPECT_FALSE(many.front().closed.has_value());
  client_.reset();
}

TEST_F(RoomClientTest, AnotherThreadCanWakeIt) {
  std::thread waker([&] { client_->wake(); });
  const BootNs begun = system_clock().boot_now();
  client_->service(milliseconds(20'000));
  waker.join();
  EXPECT_LT(system_clock().boot_now() - begun, to_ns(milliseconds(10'000)));
}

TEST_F(RoomClientTest, AProxyOfTheEnvironmentIsNotUsed) {
  ASSERT_EQ(setenv("http_proxy", "127.0.0.1:1", 1), 0);
  make({});
  ASSERT_EQ(unsetenv("http_proxy"), 0);
  dial(server_.port());
  EXPECT_TRUE(until([&] { return server_.has_request(); }));
}

TEST_F(RoomClientTest, ACaFileThatIsNotThereIsRefused) {
  RoomClient::Options options;
  options.ca_file = "/no/such/file.pem";
  EXPECT_EQ(RoomClient::create(options).status().code(), Code::kRejected);
}

}  // namespace
}  // namespace pitbox
