#include "bench/peers/peer_offer.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "bench/peers/tcp_line.h"
#include "proto/check.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A broker that writes everything it has to its disk for each message takes seconds.
constexpr auto kAnswerPatience = std::chrono::seconds(60);
// What may lie in our own memory before the socket takes it.
constexpr std::size_t kUnsentMax = std::size_t{256} << 10;

class Offer {
 public:
  Offer(TcpLine line, PeerSender& peer, Load& load, SharedCount& sent)
      : line_(std::move(line)), peer_(peer), load_(load), sent_(sent), open_(peer.window()) {}

  Status greet() {
    peer_.greet(line_.outgoing());
    const auto until = steady_clock::now() + kAnswerPatience;
    while (!peer_.is_ready()) {
      if (steady_clock::now() > until) return {Code::kFatal, "no answer to the greeting"};
      if (Status moved = move(); !moved.ok()) return moved;
    }
    return {};
  }

  Status send(const OfferPace& pace, const std::function<bool()>& should_stop) {
    const auto began = steady_clock::now();
    offered_.first_ns = std::chrono::nanoseconds(began.time_since_epoch()).count();
    last_answer_ = began;
    for (;;) {
      const auto now = steady_clock::now();
      const double elapsed = std::chrono::duration<double>(now - began).count();
      if (elapsed > pace.seconds || should_stop()) return {};
      std::uint64_t due = UINT64_MAX;
      if (pace.datagrams_per_second > 0) {
        due = static_cast<std::uint64_t>(elapsed * pace.datagrams_per_second);
      }
      while (offered_.datagrams < due && has_room()) publish();
      offered_.seconds = elapsed;
      sent_.set(offered_.datagrams);
      if (Status moved = move(); !moved.ok()) return moved;
    }
  }

  Status finish() {
    while (lowest_ < offered_.datagrams) {
      if (Status moved = move(); !moved.ok()) return moved;
    }
    return {};
  }

  Offered take() { return std::move(offered_); }
  Offered& offered() { return offered_; }

 private:
  struct Open {
    DatagramNumber number;
    bool is_answered = false;
  };

  bool has_room() const {
    return offered_.datagrams - lowest_ < open_.size() && line_.unsent_bytes() < kUnsentMax;
  }

  void publish() {
    const auto datagram = load_.next();
    const auto number = number_of({datagram.data(), datagram.size()});
    CHECK(number.has_value());
    open_[offered_.datagrams % open_.size()] = {.number = *number};
    peer_.publish(offered_.datagrams, datagram, line_.outgoing());
    ++offered_.datagrams;
  }

  // Both directions, and what the answers say.
  Status move() {
    if (Status moved = line_.move(milliseconds(1)); !moved.ok()) return moved;
    answers_.clear();
    const auto taken = peer_.take(line_.incoming(), line_.outgoing(), answers_);
    if (!taken.ok()) return taken.status();
    line_.take_off(taken.value());
    const auto now = steady_clock::now();
    if (!answers_.empty() || lowest_ == offered_.datagrams) last_answer_ = now;
    if (now - last_answer_ > kAnswerPatience) {
      return {Code::kFatal, "no acknowledgement for 60 s; " +
                                std::to_string(offered_.datagrams - lowest_) + " are missing"};
    }
    for (const std::uint64_t ticket : answers_) {
      if (Status noted = note(ticket); !noted.ok()) return noted;
    }
    return {};
  }

  Status note(std::uint64_t ticket) {
    if (ticket < lowest_ || ticket >= offered_.datagrams) {
      return {Code::kFatal, "an acknowledgement of what was not sent"};
    }
    Open& open = open_[ticket % open_.size()];
    open.is_answered = true;
    while (lowest_ < offered_.datagrams && open_[lowest_ % open_.size()].is_answered) ++lowest_;
    return offered_.acknowledged.take(open.number);
  }

  TcpLine line_;
  PeerSender& peer_;
  Load& load_;
  SharedCount& sent_;
  Offered offered_;
  std::vector<Open> open_;    // By ticket, in a ring.
  std::uint64_t lowest_ = 0;  // Ticket without an answer.
  std::vector<std::uint64_t> answers_;
  steady_clock::time_point last_answer_ = steady_clock::now();
};

}  // namespace

Result<Offered> offer(const std::string& address, PeerSender& peer, Load& load,
                      const OfferPace& pace, SharedCount& sent,
                      const std::function<bool()>& should_stop) {
  auto line = TcpLine::connect(address);
  if (!line.ok()) return line.status();
  Offer offer(std::move(line).take(), peer, load, sent);
  if (Status greeted = offer.greet(); !greeted.ok()) return std::move(greeted).within(address);
  Status ended = offer.send(pace, should_stop);
  if (ended.ok()) ended = offer.finish();
  if (!ended.ok() && ended.code() != Code::kTryAgain) return std::move(ended).within(address);
  if (!ended.ok()) offer.offered().broken = ended.message();
  return offer.take();
}

}  // namespace pitbox
