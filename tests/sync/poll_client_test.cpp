// The polls against a listener that answers, refuses, is silent: what each means, within its time.

#include "sync/poll_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "buffer/clock.h"
#include "tests/sync/raw_server.h"

namespace pitbox {
namespace {

using testing::RawServer;

class PollClientTest : public ::testing::Test {
 protected:
  void SetUp() override { make("http://api.example:" + std::to_string(server_.port())); }
  void make(const std::string& url) {
    PollClient::Options options;
    options.api = parse_endpoint(url).value();
    options.api_key = "rk_secret";
    options.answer_within = std::chrono::milliseconds(400);
    auto made = PollClient::create(options);
    ASSERT_TRUE(made.ok());
    client_ = std::move(made).take();
  }
  PollAnswer poll(PollKind kind, const std::string& answer) {
    client_->start(kind, "127.0.0.1");
    const BootNs deadline = system_clock().boot_now() + 20'000'000'000;
    bool said = false;
    while (system_clock().boot_now() < deadline) {
      client_->step();
      server_.poll();
      if (!said && !answer.empty() && server_.has_request()) {
        server_.say(answer);
        said = true;
      }
      if (auto done = client_->next_answer()) return *done;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the poll does not end";
    return {};
  }
  static std::string http(const std::string& status, const std::string& body = {},
                          const std::string& headers = {}) {
    return "HTTP/1.1 " + status + "\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  RawServer server_;
  std::unique_ptr<PollClient> client_;
};

TEST_F(PollClientTest, HealthIsAskedByNameAtTheAddressItWasGiven) {
  const PollAnswer answer = poll(PollKind::kHealth, http("200 OK", "{\"ok\":true}"));
  EXPECT_TRUE(answer.ok);
  EXPECT_GT(answer.connect_time.count(), 0);
  EXPECT_TRUE(server_.heard.starts_with("GET /health HTTP/1.1\r\n"));
  EXPECT_EQ(server_.header("Host"), "api.example:" + std::to_string(server_.port()));
  EXPECT_EQ(server_.header("X-API-Key"), "rk_secret");
}

TEST_F(PollClientTest, APathInFrontIsKept) {
  make("http://api.example:" + std::to_string(server_.port()) + "/v2/");
  EXPECT_TRUE(poll(PollKind::kAuth, http("200 OK")).ok);
  EXPECT_TRUE(server_.heard.starts_with("GET /v2/auth/me HTTP/1.1\r\n")) << server_.heard;
}

TEST_F(PollClientTest, A401IsTheCredential) {
  const PollAnswer answer = poll(PollKind::kAuth, http("401 No", "key was\x01 revoked"));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.reason, LinkReason::kAuthRejected);
  EXPECT_EQ(answer.http_status, 401U);
  EXPECT_NE(answer.error.find("HTTP 401 key was  revoked"), std::string::npos) << answer.error;
}

TEST_F(PollClientTest, A429SaysHowLongToWait) {
  const PollAnswer answer = poll(PollKind::kHealth, http("429 Slow", "", "Retry-After: 11\r\n"));
  EXPECT_EQ(answer.reason, LinkReason::kThrottled);
  EXPECT_EQ(answer.retry_after, std::chrono::seconds(11));
}

TEST_F(PollClientTest, NobodyMakesUsWaitWhoIsNeitherThrottlingNorClosing) {
  for (const char* status : {"200 OK", "302 Found", "401 No"}) {
    const PollAnswer answer = poll(PollKind::kHealth, http(status, "", "Retry-After: 11\r\n"));
    EXPECT_EQ(answer.retry_after.count(), 0) << status;
  }
  EXPECT_EQ(poll(PollKind::kHealth, http("503 Busy", "", "Retry-After: 99999\r\n")).retry_after,
            kPollRetryMax);
}

TEST_F(PollClientTest, ARedirectIsNotFollowed) {
  const PollAnswer answer =
      poll(PollKind::kHealth, http("302 Found", "", "Location: http://127.0.0.1:1/\r\n"));
  EXPECT_EQ(answer.reason, LinkReason::kRefused);
  EXPECT_EQ(answer.http_status, 302U);
}

TEST_F(PollClientTest, APortNobodyListensOnHasRefused) {
  server_.stop_listening();
  const PollAnswer answer = poll(PollKind::kHealth, "");
  EXPECT_EQ(answer.reason, LinkReason::kRefused) << answer.error;
  EXPECT_EQ(answer.http_status, 0U);
}

TEST_F(PollClientTest, SilenceIsUnreachableWithinItsTime) {
  const BootNs begun = system_clock().boot_now();
  const PollAnswer answer = poll(PollKind::kHealth, "");
  EXPECT_EQ(answer.reason, LinkReason::kUnreachable);
  EXPECT_GE(system_clock().boot_now() - begun, 350'000'000);
  EXPECT_LT(system_clock().boot_now() - begun, 10'000'000'000);
}

TEST_F(PollClientTest, AfterAFailureTheNextPollMakesANewConnection) {
  EXPECT_FALSE(poll(PollKind::kHealth, "").ok);
  server_.hang_up();
  server_.heard.clear();
  EXPECT_TRUE(poll(PollKind::kHealth, http("200 OK")).ok);
  EXPECT_EQ(server_.accepted, 2);
}

TEST_F(PollClientTest, TlsWithOneWhoSpeaksNoneIsATlsFault) {
  make("https://api.example:" + std::to_string(server_.port()));
  client_->start(PollKind::kHealth, "127.0.0.1");
  const BootNs deadline = system_clock().boot_now() + 20'000'000'000;
  std::optional<PollAnswer> answer;
  bool said = false;
  while (!answer && system_clock().boot_now() < deadline) {
    client_->step();
    server_.poll();
    if (!said && !server_.heard.empty()) {
      server_.say("HTTP/1.1 400 Bad Request\r\n\r\n");
      said = true;
    }
    answer = client_->next_answer();
  }
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->reason, LinkReason::kTls) << answer->error;
}

TEST_F(PollClientTest, AGiantBodyIsNotKept) {
  const PollAnswer answer = poll(PollKind::kHealth, http("500 Oops", std::string(100'000, 'x')));
  EXPECT_LT(answer.error.size(), 1000U);
}

}  // namespace
}  // namespace pitbox
