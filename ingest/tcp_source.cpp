#include "ingest/tcp_source.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "ingest/listening_socket.h"
#include "ingest/source_ring.h"

namespace pitbox {
namespace {

constexpr int kAcceptsPerTurn = 16;
constexpr std::chrono::milliseconds kFullRingRetry{1};
constexpr std::chrono::milliseconds kAcceptRetry{100};  // No descriptors left: 10 tries a second.

// A peer that vanished without a word is found after 30 + 3 x 10 s, so that it does not hold one of
// the connections for ever.
void find_dead_peers(int socket) {
  const std::array<std::pair<int, int>, 3> options = {
      {{TCP_KEEPIDLE, 30}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 3}}};
  for (const auto& [name, value] : options) {
    (void)setsockopt(socket, IPPROTO_TCP, name, &value, sizeof value);
  }
  const int on = 1;
  (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

// The connection that accept() would have given is gone, or a signal came; the next one may do.
bool is_about_one_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<TcpSource>> TcpSource::open(boost::asio::io_context& io,
                                                   const SourceOptions& options,
                                                   OnPublished on_published) {
  auto socket = ListeningSocket::open(options);
  if (!socket.ok()) return socket.status();
  auto ring = open_source_ring(options);
  if (!ring.ok()) return ring.status();
  return std::unique_ptr<TcpSource>(new TcpSource(
      io, options, std::move(on_published), std::move(ring).take(), socket.value().release()));
}

TcpSource::TcpSource(boost::asio::io_context& io, SourceOptions options, OnPublished on_published,
                     std::unique_ptr<MessageRing> ring, int socket)
    : options_(std::move(options)),
      ring_(std::move(ring)),
      bell_(*ring_, std::move(on_published)),
      io_(io),
      port_(bound_port(socket)),
      endpoint_(endpoint_text(socket)),
      listener_(io, socket),
      accept_timer_(io) {}

SourceStatus TcpSource::status() const {
  SourceStatus status = status_of(options_, *ring_, counters_);
  status.endpoint = endpoint_;
  return status;
}

void TcpSource::wait_for_connections() {
  listener_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (!error) accept_some();
                       });
}

void TcpSource::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int socket =
        accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      take(socket);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (is_about_one_connection(errno)) continue;
    // No descriptors or memory. The listener stays readable: without a pause this would spin.
    count_error(counters_, errno);
    accept_timer_.expires_after(kAcceptRetry);
    accept_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) wait_for_connections();
    });
    return;
  }
  wait_for_connections();
}

void TcpSource::take(int socket) {
  const std::uint64_t cookie = socket_cookie(socket);
  if (connections_.size() >= options_.connections_max || connections_.contains(cookie)) {
    close(socket);
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  find_dead_peers(socket);
  const auto entry =
      connections_.emplace(cookie, std::make_unique<Connection>(io_, socket, cookie)).first;
  counters_.connections.store(connections_.size(), std::memory_order_relaxed);
  wait_for_bytes(*entry->second);
}

void TcpSource::wait_for_bytes(Connection& connection) {
  connection.descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                   [this, &connection](const boost::system::error_code& error) {
                                     if (!error) read(connection);
                                   });
}

template <typename Next>
void TcpSource::after_a_moment(Connection& connection, Next next) {
  counters_.ring_full.fetch_add(1, std::memory_order_relaxed);
  bell_.needs_room();
  connection.timer.expires_after(kFullRingRetry);
  connection.timer.async_wait([this, &connection, next](const boost::system::error_code& error) {
    if (!error) (this->*next)(connection);
  });
}

void TcpSource::read(Connection& connection) {
  const auto received = ring_->receive(connection.descriptor.native_handle(), connection.cookie);
  if (!received.ok()) {
    if (received.status().code() == Code::kFull) {
      return after_a_moment(connection, &TcpSource::read);
    }
    count_error(counters_, errno);
    return finish(connection);
  }
  count_received(counters_, received.value());
  if (received.value().messages > 0) bell_.published();
  if (received.value().closed) return finish(connection);
  wait_for_bytes(connection);
}

void TcpSource::finish(Connection& connection) {
  if (!ring_->publish_control(MessageKind::kStreamClosed, connection.cookie).ok()) {
    return after_a_moment(connection, &TcpSource::finish);
  }
  connections_.erase(connection.cookie);
  counters_.connections.store(connections_.size(), std::memory_order_relaxed);
  bell_.published();
}

}  // namespace pitbox
