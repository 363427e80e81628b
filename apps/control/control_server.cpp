#include "apps/control/control_server.h"

#include <pthread.h>
#include <sys/stat.h>

#include <boost/asio.hpp>
#include <chrono>
#include <thread>
#include <utility>

namespace pitbox {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

}  // namespace

struct ControlServer::State {
  State(std::filesystem::path file, Handler handle, ControlCounters& counts)
      : path(std::move(file)), handler(std::move(handle)), counters(counts), acceptor(context) {}

  asio::io_context context{1};
  std::filesystem::path path;
  Handler handler;
  ControlCounters& counters;
  Local::acceptor acceptor;
  std::size_t clients = 0;
  std::thread thread;
};

namespace {

// One connection: reads a line, answers it, again. Lives as long as an operation is pending.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Local::socket socket, std::size_t& clients, const ControlServer::Handler& handler,
         ControlCounters& counters)
      : socket_(std::move(socket)),
        idle_(socket_.get_executor()),
        buffer_(ControlServer::kMaxRequestBytes),
        clients_(clients),
        handler_(handler),
        counters_(counters) {
    ++clients_;
  }
  ~Client() { --clients_; }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void read() {
    idle_.expires_after(std::chrono::seconds(ControlServer::kIdleSeconds));
    idle_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self) self->close();
    });
    asio::async_read_until(
        socket_, buffer_, '\n',
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
          self->idle_.cancel();
          if (error == asio::error::not_found) {
            self->counters_.lines_too_long.fetch_add(1, std::memory_order_relaxed);
          }
          if (error) return;
          self->answer(bytes);
        });
  }

 private:
  void answer(std::size_t bytes) {
    std::string line(asio::buffers_begin(buffer_.data()),
                     asio::buffers_begin(buffer_.data()) + static_cast<std::ptrdiff_t>(bytes - 1));
    buffer_.consume(bytes);
    reply_ = handler_(line) + "\n";
    asio::async_write(
        socket_, asio::buffer(reply_),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
          if (!error) self->read();
        });
  }

  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  Local::socket socket_;
  asio::steady_timer idle_;
  asio::streambuf buffer_;
  std::size_t& clients_;
  const ControlServer::Handler& handler_;
  ControlCounters& counters_;
  std::string reply_;
};

constexpr std::string_view kTooManyClients =
    "{\"ok\":false,\"error\":\"the control socket has 16 clients; try again when one has gone\"}\n";
static_assert(ControlServer::kMaxClients == 16);

void accept_next(Local::acceptor& acceptor, std::size_t& clients,
                 const ControlServer::Handler& handler, ControlCounters& counters) {
  acceptor.async_accept([&](const boost::system::error_code& error, Local::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && clients < ControlServer::kMaxClients) {
      std::make_shared<Client>(std::move(socket), clients, handler, counters)->read();
    } else if (!error) {
      counters.clients_refused.fetch_add(1, std::memory_order_relaxed);
      // A fresh socket's buffer takes it at once; if not, the close says as much.
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(kTooManyClients), ignored);
    }
    accept_next(acceptor, clients, handler, counters);
  });
}

bool somebody_answers(const std::filesystem::path& path) {
  asio::io_context context;
  Local::socket probe(context);
  boost::system::error_code error;
  probe.connect(Local::endpoint(path.string()), error);
  return !error;
}

Status listen_on(Local::acceptor& acceptor, const std::filesystem::path& path) {
  boost::system::error_code error;
  acceptor.open(Local(), error);
  // The mode must be right from the first moment, so it comes from the umask.
  const mode_t old_mask = umask(0117);
  if (!error) acceptor.bind(Local::endpoint(path.string()), error);
  umask(old_mask);
  if (!error) acceptor.listen(Local::acceptor::max_listen_connections, error);
  if (!error) return {};
  return {Code::kFatal, "control socket " + path.string() + ": " + error.message()};
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::filesystem::path& socket,
                                                            Handler handler,
                                                            ControlCounters& counters) {
  constexpr std::size_t kLongestSocketPath = 107;
  if (socket.string().size() > kLongestSocketPath) {
    return Status(Code::kRejected, "control socket " + socket.string() + ": the path is over " +
                                       std::to_string(kLongestSocketPath) +
                                       " bytes; choose a shorter runtime_dir");
  }
  if (somebody_answers(socket)) {
    return Status(Code::kTryAgain,
                  "control socket " + socket.string() + ": another pitboxd answers there");
  }
  std::error_code ignored;
  std::filesystem::remove(socket, ignored);
  auto state = std::make_unique<State>(socket, std::move(handler), counters);
  if (Status listening = listen_on(state->acceptor, socket); !listening.ok()) return listening;
  accept_next(state->acceptor, state->clients, state->handler, counters);
  state->thread = std::thread([raw = state.get()] {
    pthread_setname_np(pthread_self(), "status");
    raw->context.run();
  });
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() {
  state_->context.stop();
  state_->thread.join();
  std::error_code ignored;
  std::filesystem::remove(state_->path, ignored);
}

}  // namespace pitbox
