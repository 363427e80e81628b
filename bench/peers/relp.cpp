// RELP, the Reliable Event Logging Protocol: frames TXNR COMMAND LENGTH DATA, each answered. A
// datagram travels as one syslog message (RFC 5424) with its bytes in base64, since syslog is text.

#include <charconv>

#include "bench/peers/base64.h"
#include "bench/peers/peer_protocol.h"

namespace pitbox {
namespace {

// librelp's own clients allow 128.
constexpr std::size_t kRelpWindow = 128;
constexpr std::uint64_t kTransactions = 999'999'999;
constexpr std::string_view kOffer = "relp_version=0\nrelp_software=pitbox bench\ncommands=syslog";
constexpr std::string_view kMessageHead = "<134>1 2026-01-01T00:00:00Z box cars - - - ";

void append_frame_head(std::string& out, std::uint64_t number, std::string_view command,
                       std::size_t bytes) {
  out.append(std::to_string(number)).append(" ").append(command).append(" ");
  out.append(std::to_string(bytes)).append(" ");
}

class RelpSender final : public PeerSender {
 public:
  std::size_t window() const override { return kRelpWindow; }
  void greet(std::string& out) override {
    append_frame_head(out, 1, "open", kOffer.size());
    out.append(kOffer).append("\n");
  }
  bool is_ready() const override { return is_ready_; }
  void publish(std::uint64_t ticket, std::span<const char> datagram, std::string& out) override {
    next_ = ticket + 1;
    const std::size_t bytes = kMessageHead.size() + base64_bytes(datagram.size());
    append_frame_head(out, number_of_ticket(ticket), "syslog", bytes);
    out.append(kMessageHead);
    append_base64({datagram.data(), datagram.size()}, out);
    out.append("\n");
  }
  // TXNR "rsp" LENGTH DATA, and data begins with a code: "200 OK".
  Result<std::size_t> take(std::string_view in, std::string& /*out*/,
                           std::vector<std::uint64_t>& acknowledged) override {
    std::size_t taken = 0;
    for (;;) {
      const std::string_view rest = in.substr(taken);
      const auto frame = parse_answer(rest);
      if (!frame.ok()) return frame.status();
      if (frame.value().bytes == 0) return taken;
      taken += frame.value().bytes;
      if (!is_ready_) {
        is_ready_ = true;
        continue;
      }
      const std::uint64_t newest = next_ - 1;
      const std::uint64_t newest_number = number_of_ticket(newest);
      const std::uint64_t back =
          (newest_number + kTransactions - frame.value().number) % kTransactions;
      if (next_ == 0 || back > newest) return broken(rest);
      acknowledged.push_back(newest - back);
    }
  }

 private:
  struct Answer {
    std::uint64_t number = 0;
    std::size_t bytes = 0;  // 0: not there yet.
  };

  static Status broken(std::string_view text) {
    return {Code::kFatal, "RELP said: " + std::string(text.substr(0, 120))};
  }
  // 1 was the opening.
  static std::uint64_t number_of_ticket(std::uint64_t ticket) {
    return (ticket + 1) % kTransactions + 1;
  }
  static Result<Answer> parse_answer(std::string_view in) {
    Answer answer;
    const char* const end = in.data() + in.size();
    const auto number = std::from_chars(in.data(), end, answer.number);
    constexpr std::string_view kResponse = " rsp ";
    constexpr std::size_t kHeadMax = 30;  // Of the three words.
    const std::string_view after(number.ptr, static_cast<std::size_t>(end - number.ptr));
    if (after.size() <= kResponse.size()) {
      if (in.size() > kHeadMax) return broken(in);
      return answer;
    }
    if (number.ec != std::errc() || !after.starts_with(kResponse)) return broken(in);
    std::size_t bytes = 0;
    const auto length = std::from_chars(after.data() + kResponse.size(), end, bytes);
    if (length.ec != std::errc() || bytes > kMessageMax) return broken(in);
    const auto head = static_cast<std::size_t>(length.ptr - in.data()) + 1;
    if (in.size() < head + bytes + 1) return Answer{};
    if (!in.substr(head, bytes).starts_with("200 ")) return broken(in);
    answer.bytes = head + bytes + 1;
    return answer;
  }

  bool is_ready_ = false;
  std::uint64_t next_ = 0;  // Ticket.
};

}  // namespace

std::unique_ptr<PeerSender> make_relp_sender() {
  return std::make_unique<RelpSender>();
}

}  // namespace pitbox
