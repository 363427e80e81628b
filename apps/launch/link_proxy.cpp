#include "apps/launch/link_proxy.h"

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <future>
#include <list>
#include <thread>
#include <utility>

#include "buffer/clock.h"

namespace pitbox {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

// What all connections share.
struct Conditions {
  bool is_cut = false;                 // Only on the proxy's thread.
  std::uint64_t bytes_per_second = 0;  // Constant after the start.
};

// One direction of one connection: reads, writes all of it, waits as long as a slow link would have
// taken, then reads again. While the link is cut it neither reads nor writes; resume() carries on
// where it stood.
class Pump {
 public:
  Pump(Tcp::socket& from, Tcp::socket& to, const Conditions& conditions,
       std::atomic<std::uint64_t>& bytes)
      : from_(from), to_(to), conditions_(conditions), bytes_(bytes), pause_(from.get_executor()) {}

  // `owner` keeps both sockets alive while an operation is pending.
  void resume(const std::shared_ptr<void>& owner) {
    if (is_busy_ || conditions_.is_cut) return;
    if (held_ > 0) {
      write(owner);
    } else {
      read(owner);
    }
  }

 private:
  void read(const std::shared_ptr<void>& owner) {
    is_busy_ = true;
    from_.async_read_some(asio::buffer(buffer_), [this, owner](const auto& error, std::size_t n) {
      is_busy_ = false;
      if (error) {
        finish();
        return;
      }
      held_ = n;
      resume(owner);
    });
  }

  void write(const std::shared_ptr<void>& owner) {
    is_busy_ = true;
    asio::async_write(to_, asio::buffer(buffer_.data(), held_),
                      [this, owner](const auto& error, std::size_t n) {
                        is_busy_ = false;
                        bytes_.fetch_add(n, std::memory_order_relaxed);
                        held_ = 0;
                        if (error) {
                          finish();
                          return;
                        }
                        wait(owner, n);
                      });
  }

  void wait(const std::shared_ptr<void>& owner, std::size_t written) {
    if (conditions_.bytes_per_second == 0) {
      resume(owner);
      return;
    }
    is_busy_ = true;
    pause_.expires_after(
        std::chrono::nanoseconds(written * 1'000'000'000 / conditions_.bytes_per_second));
    pause_.async_wait([this, owner](const auto&) {
      is_busy_ = false;
      resume(owner);
    });
  }

  void finish() {
    boost::system::error_code ignored;
    to_.shutdown(Tcp::socket::shutdown_send, ignored);
    from_.close(ignored);
  }

  Tcp::socket& from_;
  Tcp::socket& to_;
  const Conditions& conditions_;
  std::atomic<std::uint64_t>& bytes_;
  asio::steady_timer pause_;
  std::array<char, std::size_t{16} << 10> buffer_{};
  std::size_t held_ = 0;
  bool is_busy_ = false;
};

struct Pair : std::enable_shared_from_this<Pair> {
  Pair(asio::io_context& context, Tcp::socket accepted, const Conditions& conditions,
       std::atomic<std::uint64_t>& up_bytes, std::atomic<std::uint64_t>& down_bytes)
      : near(std::move(accepted)),
        far(context),
        up(near, far, conditions, up_bytes),
        down(far, near, conditions, down_bytes) {}

  void resume() {
    up.resume(shared_from_this());
    down.resume(shared_from_this());
  }

  Tcp::socket near;
  Tcp::socket far;
  Pump up;
  Pump down;
};

}  // namespace

struct LinkProxy::State {
  asio::io_context context{1};
  Tcp::acceptor acceptor{context};
  Tcp::endpoint target;
  std::uint16_t port = 0;
  Conditions conditions;
  std::list<std::weak_ptr<Pair>> pairs;
  std::atomic<std::int64_t> first_accept_ns{0};
  std::atomic<std::uint64_t> bytes_up{0};
  std::atomic<std::uint64_t> bytes_down{0};
  std::thread thread;

  Status listen(std::uint16_t wanted) {
    boost::system::error_code error;
    const Tcp::endpoint endpoint(asio::ip::address_v4::loopback(), wanted);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(Tcp::acceptor::max_listen_connections, error);
    if (error) return {Code::kFatal, "link proxy: " + error.message()};
    port = acceptor.local_endpoint().port();
    accept_next();
    return {};
  }

  void accept_next() {
    acceptor.async_accept([this](const boost::system::error_code& error, Tcp::socket socket) {
      if (error) return;  // The listener was closed by cut().
      connect(std::move(socket));
      accept_next();
    });
  }

  void connect(Tcp::socket socket) {
    auto pair =
        std::make_shared<Pair>(context, std::move(socket), conditions, bytes_up, bytes_down);
    pairs.remove_if([](const auto& weak) { return weak.expired(); });
    pairs.push_back(pair);
    pair->far.async_connect(target, [this, pair](const boost::system::error_code& error) {
      if (error) return;  // The pair goes, and with it the near connection.
      std::int64_t none = 0;
      first_accept_ns.compare_exchange_strong(none, system_clock().boot_now());
      boost::system::error_code ignored;
      pair->near.set_option(Tcp::no_delay(true), ignored);
      pair->far.set_option(Tcp::no_delay(true), ignored);
      pair->resume();
    });
  }

  // Runs `act` on the proxy's thread and waits until it is done.
  template <typename Act>
  void on_thread(Act act) {
    std::promise<void> done;
    asio::post(context, [&] {
      act();
      done.set_value();
    });
    done.get_future().wait();
  }
};

Result<std::unique_ptr<LinkProxy>> LinkProxy::start(std::uint16_t target_port,
                                                    std::uint64_t bytes_per_second) {
  auto state = std::make_unique<State>();
  state->conditions.bytes_per_second = bytes_per_second;
  state->target = Tcp::endpoint(asio::ip::address_v4::loopback(), target_port);
  if (Status listening = state->listen(0); !listening.ok()) return listening;
  state->thread = std::thread([raw = state.get()] {
    const auto forever = asio::make_work_guard(raw->context);
    raw->context.run();
  });
  return std::unique_ptr<LinkProxy>(new LinkProxy(std::move(state)));
}

LinkProxy::LinkProxy(std::unique_ptr<State> state) : state_(std::move(state)) {}

LinkProxy::~LinkProxy() {
  state_->context.stop();
  state_->thread.join();
}

std::uint16_t LinkProxy::port() const {
  return state_->port;
}

void LinkProxy::cut() {
  state_->on_thread([state = state_.get()] {
    state->conditions.is_cut = true;
    boost::system::error_code ignored;
    state->acceptor.close(ignored);
  });
}

Status LinkProxy::restore() {
  Status listening;
  state_->on_thread([state = state_.get(), &listening] {
    state->conditions.is_cut = false;
    state->first_accept_ns = 0;
    listening = state->listen(state->port);
    for (const auto& weak : state->pairs) {
      if (const auto pair = weak.lock()) pair->resume();
    }
  });
  return listening;
}

std::optional<std::int64_t> LinkProxy::first_accept_ns() const {
  const std::int64_t at = state_->first_accept_ns.load();
  return at == 0 ? std::nullopt : std::optional(at);
}

std::uint64_t LinkProxy::bytes_up() const {
  return state_->bytes_up.load();
}
std::uint64_t LinkProxy::bytes_down() const {
  return state_->bytes_down.load();
}

}  // namespace pitbox
