#include "apps/bench/websocket_limit.h"

#include <libwebsockets.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace pitbox {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr const char* kProtocol = "pitbox.limit";
constexpr double kConnectWithinS = 5;

// One end: a context and the thread that serves it.
class End {
 public:
  End() = default;
  ~End() { stop(); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  bool open(const lws_context_creation_info& info) {
    context_ = lws_create_context(&info);
    return context_ != nullptr;
  }
  lws_context* context() const { return context_; }
  void start() {
    thread_ = std::thread([this] {
      while (!is_over_ && lws_service(context_, 0) >= 0) {
      }
    });
  }
  void stop() {
    is_over_ = true;
    if (thread_.joinable()) {
      lws_cancel_service(context_);
      thread_.join();
    }
    if (context_ != nullptr) lws_context_destroy(context_);
    context_ = nullptr;
  }

 private:
  lws_context* context_ = nullptr;
  std::atomic<bool> is_over_{false};  // Written by stop().
  std::thread thread_;
};

struct Received {
  std::atomic<std::uint64_t> bytes{0};  // Written by the server's thread.
};

int on_server(lws* wsi, lws_callback_reasons reason, void* /*user*/, void* /*in*/,
              std::size_t length) {
  if (reason != LWS_CALLBACK_RECEIVE) return 0;
  auto* const received = static_cast<Received*>(lws_context_user(lws_get_context(wsi)));
  received->bytes.fetch_add(length, std::memory_order_relaxed);
  return 0;
}

// The library masks in place, so each frame is sent from bytes that are masked already: they are as
// good as any.
int on_client(lws* wsi, lws_callback_reasons reason, void* /*user*/, void* /*in*/,
              std::size_t /*length*/) {
  auto* const frame =
      static_cast<std::vector<unsigned char>*>(lws_context_user(lws_get_context(wsi)));
  if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) lws_callback_on_writable(wsi);
  if (reason != LWS_CALLBACK_CLIENT_WRITEABLE) return 0;
  if (lws_write(wsi, frame->data() + LWS_PRE, kLimitFrameBytes, LWS_WRITE_BINARY) < 0) return -1;
  lws_callback_on_writable(wsi);
  return 0;
}

const std::array<lws_protocols, 2> kServerProtocols = {{
    {kProtocol, on_server, 0, kLimitFrameBytes, 0, nullptr, 0},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
}};
const std::array<lws_protocols, 2> kClientProtocols = {{
    {kProtocol, on_client, 0, kLimitFrameBytes, 0, nullptr, 0},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
}};

double seconds_since(SteadyClock::time_point then) {
  return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

}  // namespace

Result<double> measure_websocket(double seconds) {
  lws_set_log_level(0, nullptr);
  Received received;
  lws_context_creation_info server_info{};
  server_info.port = 0;
  server_info.iface = "127.0.0.1";
  server_info.protocols = kServerProtocols.data();
  server_info.user = &received;
  server_info.pt_serv_buf_size = kLimitFrameBytes;
  server_info.fd_limit_per_thread = 16;
  server_info.vhost_name = "limit";
  server_info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  End server;
  if (!server.open(server_info)) return Status(Code::kFatal, "libwebsockets does not start");
  lws_vhost* const vhost = lws_create_vhost(server.context(), &server_info);
  if (vhost == nullptr) return Status(Code::kFatal, "no port to listen on");

  std::vector<unsigned char> frame(LWS_PRE + kLimitFrameBytes, 0x5A);
  lws_context_creation_info client_info{};
  client_info.port = CONTEXT_PORT_NO_LISTEN;
  client_info.protocols = kClientProtocols.data();
  client_info.user = &frame;
  client_info.pt_serv_buf_size = kLimitFrameBytes;
  client_info.fd_limit_per_thread = 16;
  client_info.http_proxy_address = ":0";  // The library's way to say none.
  End client;
  if (!client.open(client_info)) return Status(Code::kFatal, "libwebsockets does not start");
  lws_client_connect_info connect{};
  connect.context = client.context();
  connect.address = "127.0.0.1";
  connect.host = "127.0.0.1";
  connect.port = lws_get_vhost_listen_port(vhost);
  connect.path = "/";
  connect.protocol = kProtocol;
  connect.ietf_version_or_minus_one = -1;
  if (lws_client_connect_via_info(&connect) == nullptr) {
    return Status(Code::kFatal, "loopback refuses a WebSocket");
  }
  server.start();
  client.start();

  const auto begun = SteadyClock::now();
  while (received.bytes == 0) {
    if (seconds_since(begun) > kConnectWithinS) {
      return Status(Code::kFatal, "no WebSocket over loopback within 5 s");
    }
    std::this_thread::yield();
  }
  const auto first = SteadyClock::now();
  const std::uint64_t before = received.bytes;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const std::uint64_t after = received.bytes;
  const double took = seconds_since(first);
  return static_cast<double>(after - before) / 1e6 / took;
}

}  // namespace pitbox
