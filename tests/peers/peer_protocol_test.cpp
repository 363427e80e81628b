// How the benches speak to peers: what a peer answers is understood however the stream is cut, and
// a refusal ends the bench with the peer's words.

#include "bench/peers/peer_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace pitbox {
namespace {

using Tickets = std::vector<std::uint64_t>;

struct Heard {
  Status status;
  Tickets tickets;
  std::string said;  // In answer.
};

// What a sender makes of `answers`, of which it gets `piece` bytes more each time.
Heard hear(PeerSender& sender, std::string_view answers, std::size_t piece) {
  Heard heard;
  std::size_t taken = 0;
  for (std::size_t there = 0; there < answers.size();) {
    there = std::min(there + piece, answers.size());
    const auto more = sender.take(answers.substr(taken, there - taken), heard.said, heard.tickets);
    if (!more.ok()) {
      heard.status = more.status();
      return heard;
    }
    taken += more.value();
  }
  EXPECT_EQ(taken, answers.size()) << "something of it was not understood";
  return heard;
}

void publish(PeerSender& sender, std::uint64_t tickets) {
  std::string out;
  for (std::uint64_t ticket = 0; ticket < tickets; ++ticket) {
    sender.publish(ticket, std::string_view("datagram"), out);
  }
}

using Make = std::unique_ptr<PeerSender> (*)();

void expect_tickets(Make make, std::string_view welcome, std::string_view answers,
                    const Tickets& wanted) {
  for (std::size_t piece = 1; piece <= answers.size(); ++piece) {
    SCOPED_TRACE(piece);
    const auto sender = make();
    std::string greeting;
    sender->greet(greeting);
    EXPECT_FALSE(greeting.empty());
    EXPECT_FALSE(sender->is_ready());
    EXPECT_TRUE(hear(*sender, welcome, piece).status.ok());
    EXPECT_TRUE(sender->is_ready());
    publish(*sender, 3);
    const Heard heard = hear(*sender, answers, piece);
    EXPECT_TRUE(heard.status.ok()) << heard.status.message();
    EXPECT_EQ(heard.tickets, wanted);
  }
}

void expect_refusal(Make make, std::string_view welcome, std::string_view answer) {
  const auto sender = make();
  EXPECT_TRUE(hear(*sender, welcome, welcome.size() + 1).status.ok());
  publish(*sender, 3);
  const Heard heard = hear(*sender, answer, answer.size());
  EXPECT_FALSE(heard.status.ok()) << answer;
  EXPECT_TRUE(heard.tickets.empty()) << answer;
}

constexpr std::string_view kNatsWelcome = "INFO {\"server_id\":\"x\"}\r\nPONG\r\n";

TEST(PeerProtocol, NatsAcknowledgesWhatItsStreamHas) {
  expect_tickets(make_nats_sender, kNatsWelcome,
                 "MSG _INBOX.pitbox.1 1 26\r\n{\"stream\":\"CARS\",\"seq\":17}\r\n"
                 "+OK\r\nPING\r\n"
                 "MSG _INBOX.pitbox.0 1 26\r\n{\"stream\":\"CARS\",\"seq\":18}\r\n",
                 {1, 0});
  const auto sender = make_nats_sender();
  EXPECT_EQ(hear(*sender, "PING\r\n", 1).said, "PONG\r\n");
}

TEST(PeerProtocol, NatsRefusalsAreNoAcknowledgements) {
  expect_refusal(make_nats_sender, kNatsWelcome, "-ERR 'Authorization Violation'\r\n");
  expect_refusal(
      make_nats_sender, kNatsWelcome,
      "MSG _INBOX.pitbox.0 1 46\r\n{\"error\":{\"code\":503},\"stream\":\"CARS\",\"seq\":0}\r\n");
  // Nobody listens: a header and nothing else.
  expect_refusal(make_nats_sender, kNatsWelcome,
                 "HMSG _INBOX.pitbox.0 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
  expect_refusal(make_nats_sender, kNatsWelcome, "MSG _INBOX.pitbox.0 1 99999999\r\n");
  expect_refusal(make_nats_sender, kNatsWelcome, "MSG _INBOX.pitbox.x 1 2\r\n{}\r\n");
  expect_refusal(make_nats_sender, kNatsWelcome, std::string(kMessageMax + 1, 'x'));
}

constexpr std::string_view kMqttWelcome("\x20\x02\x00\x00", 4);

TEST(PeerProtocol, MqttAcknowledgesByPacketIdentifier) {
  expect_tickets(make_mqtt_sender, kMqttWelcome,
                 std::string_view("\x40\x02\x00\x03\x40\x02\x00\x01", 8), {2, 0});
}

// Identifiers come again after 65,535: the newest ticket with one is meant.
TEST(PeerProtocol, MqttIdentifiersComeAgain) {
  const auto sender = make_mqtt_sender();
  ASSERT_TRUE(hear(*sender, kMqttWelcome, 4).status.ok());
  std::string out;
  sender->publish(65'534, std::string_view("x"), out);
  sender->publish(65'535, std::string_view("x"), out);
  const Heard heard = hear(*sender, std::string_view("\x40\x02\xFF\xFF\x40\x02\x00\x01", 8), 8);
  EXPECT_EQ(heard.tickets, (Tickets{65'534, 65'535}));
}

TEST(PeerProtocol, MqttRefusalsAreNoAcknowledgements) {
  const auto refused = make_mqtt_sender();
  EXPECT_FALSE(hear(*refused, std::string_view("\x20\x02\x00\x05", 4), 4).status.ok());
  expect_refusal(make_mqtt_sender, kMqttWelcome, std::string_view("\x40\x02\x00\x09", 4));
  expect_refusal(make_mqtt_sender, kMqttWelcome, std::string_view("\x40\x03\x00\x01\x00", 5));
  expect_refusal(make_mqtt_sender, kMqttWelcome, std::string_view("\x40\xFF\xFF\xFF\xFF\x01", 6));
  expect_refusal(make_mqtt_sender, kMqttWelcome, std::string_view("\x40\xFF\xFF\xFF\x7F", 5));
}

constexpr std::string_view kRelpWelcome = "1 rsp 37 200 OK\nrelp_version=0\ncommands=syslog\n";

TEST(PeerProtocol, RelpAcknowledgesByTransaction) {
  expect_tickets(make_relp_sender, kRelpWelcome, "3 rsp 6 200 OK\n2 rsp 6 200 OK\n", {1, 0});
}

TEST(PeerProtocol, RelpRefusalsAreNoAcknowledgements) {
  expect_refusal(make_relp_sender, kRelpWelcome, "2 rsp 9 500 error\n");
  expect_refusal(make_relp_sender, kRelpWelcome, "9 rsp 6 200 OK\n");
  expect_refusal(make_relp_sender, kRelpWelcome, "2 syslog 6 200 OK\n");
  expect_refusal(make_relp_sender, kRelpWelcome, "2 rsp 99999999 200 OK\n");
  expect_refusal(make_relp_sender, kRelpWelcome, std::string(100, '1'));
}

// A subscriber gets each datagram as it was, answers for it, and goes on in the middle of one.
TEST(PeerProtocol, ReceiversGiveBackWhatWasSent) {
  const std::string nats =
      "INFO {}\r\nMSG _INBOX.pitbox.consumer 1 2\r\n{}\r\nMSG cars.datagrams 1 5\r\na\r\nbc\r\n";
  const std::string mqtt(
      "\x20\x02\x00\x00\x90\x03\x00\x01\x01\x32\x15\x00\x0E"
      "cars/datagrams"
      "\x00\x07"
      "a\r\n",
      32);
  for (std::size_t piece = 1; piece <= nats.size(); ++piece) {
    for (const bool is_nats : {true, false}) {
      SCOPED_TRACE(std::to_string(piece) + (is_nats ? " nats" : " mqtt"));
      const auto receiver = is_nats ? make_nats_receiver("CARS", 1) : make_mqtt_receiver();
      const std::string& stream = is_nats ? nats : mqtt;
      std::vector<std::string> datagrams;
      std::string said;
      std::size_t taken = 0;
      for (std::size_t there = 0; there < stream.size();) {
        there = std::min(there + piece, stream.size());
        const auto more = receiver->take(std::string_view(stream).substr(taken, there - taken),
                                         said, [&](std::string_view datagram) {
                                           datagrams.emplace_back(datagram);
                                           return Status();
                                         });
        ASSERT_TRUE(more.ok()) << more.status().message();
        taken += more.value();
      }
      EXPECT_EQ(taken, stream.size());
      ASSERT_EQ(datagrams.size(), 1U);
      EXPECT_EQ(datagrams[0], is_nats ? "a\r\nbc" : "a\r\n");
      EXPECT_EQ(said.find(std::string("\x40\x02\x00\x07", 4)) == 0, !is_nats);
    }
  }
}

}  // namespace
}  // namespace pitbox
