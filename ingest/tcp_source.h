// TcpSource: byte streams from many connections to one listening socket into one ring. A message is
// a piece of one connection's stream, as the kernel gave it; the connection's number is the
// kernel's socket cookie. The end of a connection is a message, too, and is never lost.
//
// Threads: see source.h. Of the module, only ingest_loop.cpp and tests include this; others know
// Source.
//
// At the limits: connections beyond connections_max are closed at once and counted. While the ring
// is full nothing is read, and TCP holds the senders up. A connection counts until its end is
// published, so what is owed to the ring is bounded.
//
// How it works: one read of at most 64 KiB per readable connection, then the next one's turn.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "ingest/asio.h"
#include "ingest/source.h"
#include "ingest/source_ring.h"

namespace pitbox {

class TcpSource final : public Source {
 public:
  // `io` must outlive the source.
  static Result<std::unique_ptr<TcpSource>> open(boost::asio::io_context& io,
                                                 const SourceOptions& options,
                                                 OnPublished on_published);

  void start() override { wait_for_connections(); }
  const std::string& name() const override { return options_.name; }
  std::uint16_t port() const override { return port_; }
  MessageRing& ring() override { return *ring_; }
  SourceStatus status() const override;

 private:
  struct Connection {
    Connection(boost::asio::io_context& io, int socket, std::uint64_t number)
        : descriptor(io, socket), timer(io), cookie(number) {}
    boost::asio::posix::stream_descriptor descriptor;
    boost::asio::steady_timer timer;
    const std::uint64_t cookie;
  };
  // Exactly one of these is under way for each connection, so none is destroyed under another.
  void wait_for_bytes(Connection& connection);
  void read(Connection& connection);
  void finish(Connection& connection);
  template <typename Next>
  void after_a_moment(Connection& connection, Next next);

  TcpSource(boost::asio::io_context& io, SourceOptions options, OnPublished on_published,
            std::unique_ptr<MessageRing> ring, int socket);
  void wait_for_connections();
  void accept_some();
  void take(int socket);

  // Constant after construction.
  const SourceOptions options_;
  const std::unique_ptr<MessageRing> ring_;
  RingBell bell_;
  boost::asio::io_context& io_;
  std::uint16_t port_ = 0;
  std::string endpoint_;

  // The ingest thread's.
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer accept_timer_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;  // By cookie.

  // Written by the ingest thread, read by anyone.
  SourceCounters counters_;
};

}  // namespace pitbox
