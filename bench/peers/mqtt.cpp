// MQTT 3.1.1 with QoS 1: publications that wait for their PUBACK, and a subscriber whose session
// outlives its connections.

#include <optional>

#include "bench/peers/peer_protocol.h"

namespace pitbox {
namespace {

constexpr std::string_view kTopic = "cars/datagrams";
// Packet identifiers are 16 bits; 1000 are far more than the way there and back holds on loopback.
constexpr std::size_t kMqttWindow = 1000;
constexpr std::uint64_t kIdentifiers = 65535;

enum class Packet : std::uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kSubscribe = 8,
  kSuback = 9,
  kPingreq = 12,
  kPingresp = 13,
};

void append_u16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8U & 0xFFU);
  out += static_cast<char>(value & 0xFFU);
}

std::uint16_t u16_at(std::string_view bytes, std::size_t at) {
  const auto high = static_cast<unsigned char>(bytes[at]);
  const auto low = static_cast<unsigned char>(bytes[at + 1]);
  return static_cast<std::uint16_t>(high << 8U | low);
}

// The fixed header; `bytes` of the rest follow.
void append_head(std::string& out, Packet type, unsigned flags, std::size_t bytes) {
  out += static_cast<char>(static_cast<unsigned>(type) << 4U | flags);
  do {
    const unsigned more = bytes > 127 ? 128U : 0U;
    out += static_cast<char>(more | (bytes & 127U));
    bytes >>= 7U;
  } while (bytes > 0);
}

void append_text(std::string& out, std::string_view text) {
  append_u16(out, text.size());
  out += text;
}

void append_connect(std::string& out, std::string_view client, bool is_clean) {
  constexpr std::size_t kFixedBytes = 10;
  constexpr char kLevel = 4;  // 3.1.1
  append_head(out, Packet::kConnect, 0, kFixedBytes + 2 + client.size());
  append_text(out, "MQTT");
  out += kLevel;
  out += static_cast<char>(is_clean ? 2 : 0);
  append_u16(out, 0);  // Never to be given up for silence.
  append_text(out, client);
}

struct MqttMessage {
  Packet type{};
  unsigned flags = 0;
  std::string_view body;
  std::size_t bytes = 0;  // Of the whole message; 0: not there yet.
};

Status mqtt_broken(const std::string& what) {
  return {Code::kFatal, "MQTT: " + what};
}

Result<MqttMessage> parse_packet(std::string_view in) {
  std::size_t length = 0;
  for (std::size_t i = 1; i < in.size(); ++i) {
    if (i > 4) return mqtt_broken("a length of more than four bytes");
    const auto byte = static_cast<unsigned char>(in[i]);
    length |= std::size_t{byte & 127U} << (7U * (i - 1));
    if (byte > 127) continue;
    if (length > kMessageMax)
      return Status::corrupt("MQTT: a message of " + std::to_string(length));
    if (in.size() < i + 1 + length) return MqttMessage{};
    const auto first = static_cast<unsigned char>(in[0]);
    return MqttMessage{.type = static_cast<Packet>(first >> 4U),
                       .flags = first & 15U,
                       .body = in.substr(i + 1, length),
                       .bytes = i + 1 + length};
  }
  return MqttMessage{};
}

template <typename Visit>
Result<std::size_t> each_packet(std::string_view in, const Visit& visit) {
  std::size_t taken = 0;
  for (;;) {
    const auto message = parse_packet(in.substr(taken));
    if (!message.ok()) return message.status();
    if (message.value().bytes == 0) return taken;
    if (Status visited = visit(message.value()); !visited.ok()) return visited;
    taken += message.value().bytes;
  }
}

Status check_connack(std::string_view body) {
  if (body.size() == 2 && body[1] == 0) return {};
  return mqtt_broken("the broker refused the connection");
}

class MqttSender final : public PeerSender {
 public:
  std::size_t window() const override { return kMqttWindow; }
  void greet(std::string& out) override { append_connect(out, "load", true); }
  bool is_ready() const override { return is_ready_; }
  void publish(std::uint64_t ticket, std::span<const char> datagram, std::string& out) override {
    next_ = ticket + 1;
    constexpr unsigned kQos1 = 2;
    append_head(out, Packet::kPublish, kQos1, 2 + kTopic.size() + 2 + datagram.size());
    append_text(out, kTopic);
    append_u16(out, ticket % kIdentifiers + 1);
    out.append(datagram.data(), datagram.size());
  }
  Result<std::size_t> take(std::string_view in, std::string& /*out*/,
                           std::vector<std::uint64_t>& acknowledged) override {
    return each_packet(in, [&](const MqttMessage& message) -> Status {
      if (message.type == Packet::kConnack) {
        is_ready_ = true;
        return check_connack(message.body);
      }
      if (message.type != Packet::kPuback || message.body.size() != 2 || next_ == 0) {
        return mqtt_broken("a packet that nobody asked for");
      }
      // The newest ticket with that identifier.
      const std::uint64_t place = (u16_at(message.body, 0) + kIdentifiers - 1) % kIdentifiers;
      const std::uint64_t newest = next_ - 1;
      const std::uint64_t back = (newest % kIdentifiers + kIdentifiers - place) % kIdentifiers;
      if (back > newest) return mqtt_broken("an acknowledgement of nothing");
      acknowledged.push_back(newest - back);
      return {};
    });
  }

 private:
  bool is_ready_ = false;
  std::uint64_t next_ = 0;  // Ticket.
};

class MqttReceiver final : public PeerReceiver {
 public:
  void greet(std::string& out) override {
    append_connect(out, "reader", false);
    constexpr unsigned kReserved = 2;
    append_head(out, Packet::kSubscribe, kReserved, 2 + 2 + kTopic.size() + 1);
    append_u16(out, 1);
    append_text(out, kTopic);
    out += '\1';
  }
  Result<std::size_t> take(std::string_view in, std::string& out, const Visit& visit) override {
    return each_packet(in, [&](const MqttMessage& message) -> Status {
      if (message.type == Packet::kConnack) return check_connack(message.body);
      if (message.type == Packet::kSuback) {
        const bool is_granted = message.body.size() == 3 && message.body[2] == 1;
        return is_granted ? Status() : mqtt_broken("the subscription was refused");
      }
      const std::string_view body = message.body;
      if (message.type != Packet::kPublish || body.size() < 4)
        return mqtt_broken("a strange packet");
      const std::size_t topic_end = std::size_t{2} + u16_at(body, 0);
      const bool has_identifier = (message.flags & 6U) != 0;
      if (body.size() < topic_end + 2 || !has_identifier) return mqtt_broken("a strange PUBLISH");
      if (Status visited = visit(body.substr(topic_end + 2)); !visited.ok()) return visited;
      append_head(out, Packet::kPuback, 0, 2);
      out += body.substr(topic_end, 2);
      return {};
    });
  }
};

}  // namespace

std::unique_ptr<PeerSender> make_mqtt_sender() {
  return std::make_unique<MqttSender>();
}

std::unique_ptr<PeerReceiver> make_mqtt_receiver() {
  return std::make_unique<MqttReceiver>();
}

}  // namespace pitbox
