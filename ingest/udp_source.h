// UdpSource: datagrams from one bound socket into a ring, many per system call.
//
// Threads: see source.h. Of the module, only ingest_loop.cpp and tests include this; others know
// Source.
//
// How it works: waits until the socket is readable, then receives until nothing is left or the turn
// is over (so that other sources get theirs), and waits again. A full ring is asked again after a
// millisecond: the kernel's buffer covers that many times over.

#pragma once

#include <memory>
#include <string>

#include "ingest/asio.h"
#include "ingest/source.h"
#include "ingest/source_ring.h"

namespace pitbox {

class UdpSource final : public Source {
 public:
  // `io` must outlive the source.
  static Result<std::unique_ptr<UdpSource>> open(boost::asio::io_context& io,
                                                 const SourceOptions& options,
                                                 OnPublished on_published);

  void start() override { wait_for_datagrams(); }
  const std::string& name() const override { return options_.name; }
  std::uint16_t port() const override { return port_; }
  MessageRing& ring() override { return *ring_; }
  SourceStatus status() const override;

 private:
  UdpSource(boost::asio::io_context& io, SourceOptions options, OnPublished on_published,
            std::unique_ptr<MessageRing> ring, int socket);
  void wait_for_datagrams();
  void wait_a_moment(std::chrono::milliseconds moment);
  void turn();

  // Constant after construction.
  const SourceOptions options_;
  const std::unique_ptr<MessageRing> ring_;
  RingBell bell_;
  const int descriptor_;  // The same socket, for questions from other threads.
  std::uint16_t port_ = 0;
  std::string endpoint_;
  std::uint64_t cookie_ = 0;
  std::size_t receive_buffer_bytes_ = 0;

  // The ingest thread's.
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer timer_;

  // Written by the ingest thread, read by anyone.
  SourceCounters counters_;
};

}  // namespace pitbox
