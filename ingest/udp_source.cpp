#include "ingest/udp_source.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "ingest/listening_socket.h"
#include "ingest/source_ring.h"

namespace pitbox {
namespace {

// 16 calls x 64 slots = 1,024 datagrams: 1.3 ms at 1.24 us each, before the next source's turn.
constexpr int kReceivesPerTurn = 16;
// The smallest kernel buffer (92 datagrams) holds 1 ms of a full grid, ours 900.
constexpr std::chrono::milliseconds kFullRetry{1};
constexpr std::chrono::milliseconds kErrorRetry{
    10};  // A socket that only errs: 100 calls a second.

}  // namespace

Result<std::unique_ptr<UdpSource>> UdpSource::open(boost::asio::io_context& io,
                                                   const SourceOptions& options,
                                                   OnPublished on_published) {
  auto socket = ListeningSocket::open(options);
  if (!socket.ok()) return socket.status();
  if (Status status = enable_datagram_reports(socket.value().get()); !status.ok()) return status;
  auto ring = open_source_ring(options);
  if (!ring.ok()) return ring.status();
  take_runs(socket.value().get(), ring.value()->takes_runs());
  return std::unique_ptr<UdpSource>(new UdpSource(
      io, options, std::move(on_published), std::move(ring).take(), socket.value().release()));
}

UdpSource::UdpSource(boost::asio::io_context& io, SourceOptions options, OnPublished on_published,
                     std::unique_ptr<MessageRing> ring, int socket)
    : options_(std::move(options)),
      ring_(std::move(ring)),
      bell_(*ring_, std::move(on_published)),
      descriptor_(socket),
      port_(bound_port(socket)),
      endpoint_(endpoint_text(socket)),
      cookie_(socket_cookie(socket)),
      receive_buffer_bytes_(grow_receive_buffer(socket, options_.receive_buffer_bytes)),
      socket_(io, socket),
      timer_(io) {}

SourceStatus UdpSource::status() const {
  SourceStatus status = status_of(options_, *ring_, counters_);
  status.endpoint = endpoint_;
  status.receive_buffer_bytes = receive_buffer_bytes_;
  // Asked now: a burst that overflowed the kernel's buffer and was followed by silence is told by
  // no datagram.
  status.kernel_drops = kernel_drops_of(descriptor_);
  return status;
}

void UdpSource::wait_for_datagrams() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (!error) turn();
                     });
}

void UdpSource::wait_a_moment(std::chrono::milliseconds moment) {
  timer_.expires_after(moment);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) turn();
  });
}

void UdpSource::turn() {
  bool published = false;
  for (int i = 0; i < kReceivesPerTurn; ++i) {
    const auto received = ring_->receive(socket_.native_handle(), cookie_);
    if (!received.ok()) {
      if (received.status().code() == Code::kFull) {
        counters_.ring_full.fetch_add(1, std::memory_order_relaxed);
        bell_.needs_room();
        return wait_a_moment(kFullRetry);
      }
      count_error(counters_, errno);
      if (published) bell_.published();
      return wait_a_moment(kErrorRetry);
    }
    published = published || received.value().messages > 0;
    count_received(counters_, received.value());
    if (received.value().would_block) break;
  }
  if (published) bell_.published();
  wait_for_datagrams();
}

}  // namespace pitbox
