// How a peer is spoken to: what must be said to hand it datagrams and hear that it has them, and to
// take them from the far end. Only bytes in and out; the connection belongs to the caller.
//
// Written here as far as a bench needs them, not with the peers' own client libraries: what a
// library does beside is neither the peer's nor ours to measure. Each protocol is one file.
//
// Threads: one each. What a peer says that these do not expect, or that is a refusal, gives kFatal
// with its words; a message longer than kMessageMax gives kCorrupt.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMessageMax = std::size_t{64} << 10;

// Hands datagrams over. Tickets count from 0; a ticket is acknowledged when the peer says it has
// the datagram.
class PeerSender {
 public:
  virtual ~PeerSender() = default;
  // Most that may be without an answer.
  virtual std::size_t window() const = 0;
  // What is said first.
  virtual void greet(std::string& out) = 0;
  // It may be handed datagrams.
  virtual bool is_ready() const = 0;
  virtual void publish(std::uint64_t ticket, std::span<const char> datagram, std::string& out) = 0;
  // Understands the whole messages at the front of `in`, answers where that is due, and returns how
  // many bytes they were. `acknowledged` gets the tickets.
  virtual Result<std::size_t> take(std::string_view in, std::string& out,
                                   std::vector<std::uint64_t>& acknowledged) = 0;
};

std::unique_ptr<PeerSender> make_nats_sender();
std::unique_ptr<PeerSender> make_mqtt_sender();
std::unique_ptr<PeerSender> make_relp_sender();

// Takes datagrams from the far end.
class PeerReceiver {
 public:
  using Visit = std::function<Status(std::string_view datagram)>;
  virtual ~PeerReceiver() = default;
  virtual void greet(std::string& out) = 0;
  virtual Result<std::size_t> take(std::string_view in, std::string& out, const Visit& visit) = 0;
};

// `stream`: of which `expected` messages are read.
std::unique_ptr<PeerReceiver> make_nats_receiver(const std::string& stream, std::uint64_t expected);
// A session that outlives the connection: what was not acknowledged comes again.
std::unique_ptr<PeerReceiver> make_mqtt_receiver();

}  // namespace pitbox
