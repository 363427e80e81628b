// The NATS client protocol, text with counted payloads, and of JetStream what acknowledges a
// publication and reads a stream. Stream and subject are made by `run`.

#include <algorithm>
#include <charconv>
#include <optional>

#include "bench/peers/peer_protocol.h"

namespace pitbox {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kConnect =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c++\",\"version\":\"1\","
    "\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n";
constexpr std::string_view kSubject = "cars.datagrams";
constexpr std::string_view kInbox = "_INBOX.pitbox.";
// A client library of NATS allows 4000 by default.
constexpr std::size_t kNatsWindow = 4000;
constexpr std::uint64_t kBatch = 1000;

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

struct NatsMessage {
  std::string_view verb;  // INFO, MSG, HMSG, PING, PONG, +OK, -ERR.
  std::string_view line;  // All of the first line.
  std::string_view subject;
  std::string_view headers;
  std::string_view payload;
  std::size_t bytes = 0;  // Of the whole message; 0: not there yet.
};

Status nats_broken(std::string_view line) {
  return {Code::kFatal, "NATS said: " + std::string(line.substr(0, 200))};
}

// MSG SUBJECT SID [REPLY] BYTES, HMSG SUBJECT SID [REPLY] HEADER-BYTES BYTES.
Result<NatsMessage> parse_payload(NatsMessage message, std::string_view in) {
  std::vector<std::string_view> words;
  for (std::string_view rest = message.line; !rest.empty();) {
    const std::size_t space = rest.find(' ');
    words.push_back(rest.substr(0, space));
    rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
  }
  const bool has_headers = message.verb == "HMSG";
  if (words.size() < (has_headers ? 5U : 4U)) return nats_broken(message.line);
  const auto bytes = parse_number<std::size_t>(words.back());
  const auto header_bytes =
      has_headers ? parse_number<std::size_t>(words[words.size() - 2]) : std::size_t{0};
  if (!bytes || !header_bytes || *bytes > kMessageMax || *header_bytes > *bytes) {
    return nats_broken(message.line);
  }
  const std::size_t begins = message.line.size() + kLineEnd.size();
  if (in.size() < begins + *bytes + kLineEnd.size()) return NatsMessage{};
  message.subject = words[1];
  message.headers = in.substr(begins, *header_bytes);
  message.payload = in.substr(begins + *header_bytes, *bytes - *header_bytes);
  message.bytes = begins + *bytes + kLineEnd.size();
  return message;
}

Result<NatsMessage> parse_message(std::string_view in) {
  const std::size_t end = in.find(kLineEnd);
  if (end == std::string_view::npos) {
    if (in.size() > kMessageMax) return Status::corrupt("a line of NATS without an end");
    return NatsMessage{};
  }
  NatsMessage message;
  message.line = in.substr(0, end);
  message.verb = message.line.substr(0, message.line.find(' '));
  if (message.verb == "MSG" || message.verb == "HMSG") return parse_payload(message, in);
  if (message.verb == "-ERR") return nats_broken(message.line);
  message.bytes = end + kLineEnd.size();
  return message;
}

void append_publication(std::string& out, std::string_view subject, std::string_view reply,
                        std::string_view payload) {
  out.append("PUB ").append(subject).append(" ").append(reply).append(" ");
  out.append(std::to_string(payload.size())).append(kLineEnd);
  out.append(payload).append(kLineEnd);
}

// Calls `visit` for every whole message that carries something, and answers PING.
template <typename Visit>
Result<std::size_t> each_message(std::string_view in, std::string& out, const Visit& visit) {
  std::size_t taken = 0;
  for (;;) {
    const auto message = parse_message(in.substr(taken));
    if (!message.ok()) return message.status();
    if (message.value().bytes == 0) return taken;
    if (message.value().verb == "PING") out += "PONG\r\n";
    if (Status visited = visit(message.value()); !visited.ok()) return visited;
    taken += message.value().bytes;
  }
}

class NatsSender final : public PeerSender {
 public:
  std::size_t window() const override { return kNatsWindow; }
  void greet(std::string& out) override {
    out.append(kConnect).append("SUB ").append(kInbox).append("* 1\r\nPING\r\n");
  }
  bool is_ready() const override { return is_ready_; }
  void publish(std::uint64_t ticket, std::span<const char> datagram, std::string& out) override {
    append_publication(out, kSubject, std::string(kInbox) + std::to_string(ticket),
                       {datagram.data(), datagram.size()});
  }
  Result<std::size_t> take(std::string_view in, std::string& out,
                           std::vector<std::uint64_t>& acknowledged) override {
    return each_message(in, out, [&](const NatsMessage& message) -> Status {
      if (message.verb == "PONG") is_ready_ = true;
      if (message.subject.empty()) return {};
      const auto ticket = parse_number<std::uint64_t>(message.subject.substr(kInbox.size()));
      // A refusal has "error" in it; nobody who listens, a header and nothing else.
      const bool is_stored = message.payload.starts_with("{\"stream\":") &&
                             message.payload.find("\"seq\":") != std::string_view::npos &&
                             message.payload.find("\"error\"") == std::string_view::npos;
      if (!ticket || !is_stored) {
        return nats_broken(message.payload.empty() ? message.headers : message.payload);
      }
      acknowledged.push_back(*ticket);
      return {};
    });
  }

 private:
  bool is_ready_ = false;
};

// A consumer of the stream's own that is asked for a batch at a time.
class NatsReceiver final : public PeerReceiver {
 public:
  NatsReceiver(const std::string& stream, std::uint64_t expected)
      : stream_(stream), left_(expected) {}
  void greet(std::string& out) override {
    out.append(kConnect).append("SUB ").append(kInbox).append("* 1\r\n");
    const std::string consumer = "{\"stream_name\":\"" + stream_ +
                                 "\",\"config\":{\"durable_name\":\"reader\",\"deliver_policy\":"
                                 "\"all\",\"ack_policy\":\"none\"}}";
    append_publication(out, "$JS.API.CONSUMER.DURABLE.CREATE." + stream_ + ".reader",
                       std::string(kInbox) + "consumer", consumer);
  }
  Result<std::size_t> take(std::string_view in, std::string& out, const Visit& visit) override {
    return each_message(in, out, [&](const NatsMessage& message) -> Status {
      if (message.subject.empty()) return {};
      if (message.subject.starts_with(kInbox)) {
        const bool is_made = message.payload.find("\"error\"") == std::string_view::npos &&
                             message.subject.ends_with("consumer");
        // 408 and the like: the request is over, and there was less than it asked for.
        if (!is_made && !message.payload.empty()) return nats_broken(message.payload);
        ask(out);
        return {};
      }
      if (Status visited = visit(message.payload); !visited.ok()) return visited;
      left_ -= left_ > 0 ? 1 : 0;
      if (asked_ > 0 && --asked_ == 0) ask(out);
      return {};
    });
  }

 private:
  void ask(std::string& out) {
    asked_ = std::min(left_, kBatch);
    if (asked_ == 0) return;
    append_publication(out, "$JS.API.CONSUMER.MSG.NEXT." + stream_ + ".reader",
                       std::string(kInbox) + "batch",
                       "{\"batch\":" + std::to_string(asked_) + ",\"expires\":5000000000}");
  }

  const std::string stream_;
  std::uint64_t left_;
  std::uint64_t asked_ = 0;
};

}  // namespace

std::unique_ptr<PeerSender> make_nats_sender() {
  return std::make_unique<NatsSender>();
}

std::unique_ptr<PeerReceiver> make_nats_receiver(const std::string& stream,
                                                 std::uint64_t expected) {
  return std::make_unique<NatsReceiver>(stream, expected);
}

}  // namespace pitbox
