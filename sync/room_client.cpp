#include "sync/room_client.h"

#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "buffer/clock.h"
#include "proto/check.h"
#include "proto/frames.h"
#include "proto/service_alarm.h"

namespace pitbox {
namespace {

constexpr int kNotSentLowBytes = 16 * 1024;
constexpr BootNs kCloseWithin = 1'000'000'000;
constexpr std::size_t kReceiveChunk = 64 * 1024;

void log_library(int level, const char* line) {
  std::string_view text(line);
  while (text.ends_with('\n')) text.remove_suffix(1);
  // It calls errors what is an ordinary day for a link; what matters is in on_closed().
  spdlog::debug("libwebsockets: {}{}", level == LLL_ERR ? "error: " : "", text);
}

}  // namespace

// One connect(), until the library has let go of it.
struct RoomConnection {
  RoomClient::Id id = 0;
  RoomHandler* handler = nullptr;
  RoomClient::Target target;
  std::string authority;
  std::string path;
  lws* wsi = nullptr;  // Null before it exists and after it is destroyed.
  bool open = false;
  bool gone = false;  // Over for us: on_closed() is due, or was given.
  bool told = false;  // on_closed() was given; the library still flushes what it had taken.
  bool tcp_connected = false;
  bool spoke = false;      // Our request went out: TCP and TLS are done.
  bool explained = false;  // `closed` says why; what comes later is a consequence.
  RoomClosed closed;
  BootNs deadline = 0;  // 0: none.
  bool ping_wanted = false;
  bool close_wanted = false;
  bool kill_wanted = false;
  std::uint16_t close_code = 0;
  std::string close_text;
  std::string incoming;
  std::string outgoing;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;

  void explain(LinkReason reason, std::string text, bool answered) {
    if (std::exchange(explained, true)) return;
    closed.reason = reason;
    closed.text = std::move(text);
    closed.answered = answered;
  }
};

struct RoomClient::State {
  Options options;
  lws_context* context = nullptr;
  std::map<Id, RoomConnection> connections;
  Id last_id = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  ServiceAlarm alarm;

  RoomConnection* find(Id id) {
    const auto it = connections.find(id);
    return it == connections.end() || it->second.gone ? nullptr : &it->second;
  }
};

namespace {

bool tcp_is_connected(const RoomConnection& connection, tcp_info& info) {
  if (connection.wsi == nullptr) return false;
  const int descriptor = lws_get_socket_fd(connection.wsi);
  socklen_t size = sizeof(info);
  if (descriptor < 0 || getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
    return false;
  }
  return info.tcpi_state != TCP_SYN_SENT && info.tcpi_state != TCP_CLOSE;
}

bool add_header(lws* wsi, const char* name, const std::string& value, unsigned char** at,
                unsigned char* end) {
  return lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>(name),
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), at, end) == 0;
}

int append_headers(lws* wsi, const RoomClient::Options& options, void* in, std::size_t length) {
  auto** at = static_cast<unsigned char**>(in);
  unsigned char* end = *at + length;
  bool ok = add_header(wsi, "user-agent:", options.software, at, end);
  if (!options.api_key.empty()) {
    ok = ok && add_header(wsi, "x-api-key:", options.api_key, at, end);
  } else if (!options.bearer.empty()) {
    ok = ok && add_header(wsi, "authorization:", "Bearer " + options.bearer, at, end);
  }
  return ok ? 0 : -1;
}

void explain_status(lws* wsi, RoomConnection& connection, unsigned status) {
  std::array<char, 32> header{};
  const int length =
      lws_hdr_copy(wsi, header.data(), static_cast<int>(header.size()), WSI_TOKEN_HTTP_RETRY_AFTER);
  unsigned seconds = 0;
  if (length > 0) std::from_chars(header.data(), header.data() + length, seconds);
  connection.closed.http_status = status;
  connection.closed.retry_after = std::chrono::seconds(std::min(seconds, 3600U));
  connection.explain(reason_of_status(status), "the room answered HTTP " + std::to_string(status),
                     true);
}

void explain_failure(lws* wsi, RoomConnection& connection, std::string_view library_text) {
  const unsigned status = lws_http_client_http_response(wsi);
  if (status != 0 && status != 101) {
    explain_status(wsi, connection, status);
    return;
  }
  const std::string said =
      library_text.empty() ? std::string() : " (" + std::string(library_text) + ")";
  const std::string where =
      connection.target.address + " port " + std::to_string(connection.target.endpoint.port);
  if (status == 101) {
    connection.explain(LinkReason::kRefused, "the upgrade failed" + said, true);
  } else if (connection.spoke) {
    connection.explain(LinkReason::kRefused, where + " closed during the upgrade" + said, false);
  } else if (connection.tcp_connected && connection.target.endpoint.tls) {
    connection.explain(LinkReason::kTls, "TLS with " + connection.authority + " failed" + said,
                       true);
  } else {
    // Of the ways to fail before a deadline of a second an RST is the one that is seen in practice;
    // a host that is not there answers nothing for three (ARP), and is explained by the deadline.
    connection.explain(LinkReason::kRefused, where + " refused the connection" + said, false);
  }
}

void explain_peer_close(RoomConnection& connection, const void* in, std::size_t length) {
  constexpr unsigned kNoCode = 1005;
  const auto* bytes = static_cast<const unsigned char*>(in);
  const unsigned code = length < 2 ? kNoCode : (unsigned{bytes[0]} << 8U) | bytes[1];
  connection.closed.close_code = code;
  connection.explain(reason_of_close(code), text_of_close(code), true);
}

int on_established(lws* wsi, RoomConnection& connection) {
  connection.open = true;
  connection.closed.was_open = true;
  connection.deadline = 0;
  const int low = kNotSentLowBytes;
  if (setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof(low)) != 0) {
    spdlog::warn("TCP_NOTSENT_LOWAT: errno {}", errno);
  }
  connection.handler->on_open();
  lws_callback_on_writable(wsi);
  return 0;
}

// Never from within a receive callback: when one of those ends a connection with a close reason,
// libwebsockets 4.1.6 keeps what it had received in its buffer, reads on, and runs over the
// buffer's end (seen; its issue 3412). So the close is sent when the socket takes the next frame,
// and what comes until then is read and forgotten.
void start_close(lws* wsi, RoomConnection& connection, std::uint16_t code, std::string text) {
  if (std::exchange(connection.close_wanted, true)) return;
  connection.close_code = code;
  connection.close_text = std::move(text);
  connection.deadline = system_clock().boot_now() + kCloseWithin;
  lws_callback_on_writable(wsi);
}

int write_close(lws* wsi, const RoomConnection& connection) {
  std::array<unsigned char, 123> reason{};
  const std::size_t length = std::min(connection.close_text.size(), reason.size());
  std::copy_n(connection.close_text.begin(), length, reason.begin());
  lws_close_reason(wsi, static_cast<lws_close_status>(connection.close_code), reason.data(),
                   length);
  return -1;
}

int on_receive(lws* wsi, RoomConnection& connection, const void* in, std::size_t length) {
  connection.bytes_received += length;
  if (connection.close_wanted) return 0;
  if (connection.incoming.size() + length > kMaxFrameBytes) {
    connection.explain(LinkReason::kRefused, "the room sent a frame of more than 1 MiB", true);
    start_close(wsi, connection, static_cast<std::uint16_t>(CloseCode::kFrameTooBig),
                "frame over 1 MiB");
    return 0;
  }
  connection.incoming.append(static_cast<const char*>(in), length);
  if (lws_is_final_fragment(wsi) == 0 || lws_remaining_packet_payload(wsi) != 0) return 0;
  Status status;
  if (lws_frame_is_binary(wsi) == 0) {
    status = Status(Code::kCorrupt, "the room sent a text frame");
  } else {
    status = connection.handler->on_frame(connection.incoming);
  }
  connection.incoming.clear();
  if (status.ok()) return 0;
  connection.explain(LinkReason::kRefused, status.message(), true);
  start_close(wsi, connection, static_cast<std::uint16_t>(CloseCode::kProtocolError),
              status.message());
  return 0;
}

int on_writeable(lws* wsi, RoomConnection& connection) {
  std::string& out = connection.outgoing;
  out.assign(LWS_PRE, '\0');
  if (std::exchange(connection.ping_wanted, false)) {
    lws_callback_on_writable(wsi);
    auto* const nothing = reinterpret_cast<unsigned char*>(out.data()) + LWS_PRE;
    return lws_write(wsi, nothing, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
  }
  if (connection.handler->next_frame(out)) {
    const std::size_t bytes = out.size() - LWS_PRE;
    CHECK(bytes <= kMaxFrameBytes);
    auto* const frame = reinterpret_cast<unsigned char*>(out.data()) + LWS_PRE;
    if (lws_write(wsi, frame, bytes, LWS_WRITE_BINARY) < 0) return -1;
    connection.bytes_sent += bytes;
    lws_callback_on_writable(wsi);
    return 0;
  }
  return connection.close_wanted ? write_close(wsi, connection) : 0;
}

int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t length) {
  auto* const connection = static_cast<RoomConnection*>(user);
  if (connection == nullptr) return 0;
  // Killed: the handler may be gone by now.
  if (connection->gone && reason != LWS_CALLBACK_WSI_DESTROY) return 0;
  switch (static_cast<int>(reason)) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
      connection->spoke = true;
      return append_headers(
          wsi, *static_cast<RoomClient::Options*>(lws_context_user(lws_get_context(wsi))), in,
          length);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      return on_established(wsi, *connection);
    case LWS_CALLBACK_CLIENT_RECEIVE:
      return on_receive(wsi, *connection, in, length);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
      connection->handler->on_pong();
      return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return on_writeable(wsi, *connection);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      explain_peer_close(*connection, in, length);
      return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      explain_failure(wsi, *connection,
                      in == nullptr ? std::string_view()
                                    : std::string_view(static_cast<const char*>(in), length));
      connection->gone = true;
      return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
      connection->explain(LinkReason::kUnreachable, "the connection broke", false);
      connection->gone = true;
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      connection->explain(LinkReason::kUnreachable, "the connection broke", false);
      connection->gone = true;
      connection->wsi = nullptr;
      return 0;
    default:
      return 0;
  }
}

const std::array<lws_protocols, 2> kProtocols = {{
    {kRoomSubprotocol.data(), on_event, 0, kReceiveChunk, 0, nullptr, 0},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
}};

}  // namespace

RoomClient::RoomClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<RoomClient>> RoomClient::create(const Options& options) {
  if (!options.ca_file.empty() && access(options.ca_file.c_str(), R_OK) != 0) {
    return Status(Code::kRejected, options.ca_file + ": cannot be read");
  }
  auto state = std::make_unique<State>();
  state->options = options;
  lws_set_log_level(LLL_ERR | LLL_WARN, log_library);
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = kProtocols.data();
  info.options = options.tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0;
  info.user = &state->options;
  info.pt_serv_buf_size = kReceiveChunk;
  // Without it the library sizes its tables by RLIMIT_NOFILE: megabytes on some systems.
  info.fd_limit_per_thread = kMaxConnections * 2 + 4;
  // The library would take a proxy from the environment; ":0" is its way to say none.
  info.http_proxy_address = ":0";
  if (!options.ca_file.empty()) {
    info.client_ssl_ca_filepath = state->options.ca_file.c_str();
  }
  state->context = lws_create_context(&info);
  if (state->context == nullptr) return Status(Code::kFatal, "libwebsockets does not start");
  return std::unique_ptr<RoomClient>(new RoomClient(std::move(state)));
}

RoomClient::~RoomClient() {
  state_->alarm.cancel();
  lws_context_destroy(state_->context);
}

RoomClient::Id RoomClient::connect(const Target& target, RoomHandler& handler) {
  const Id id = ++state_->last_id;
  RoomConnection& connection = state_->connections[id];
  connection.id = id;
  connection.handler = &handler;
  connection.target = target;
  connection.authority = target.endpoint.authority();
  connection.path = target.endpoint.path.empty() ? "/" : target.endpoint.path;
  if (state_->connections.size() > kMaxConnections) {
    connection.explain(LinkReason::kBudget, "too many connections of our own", false);
    connection.gone = true;
    return id;
  }
  connection.deadline = system_clock().boot_now() + to_ns(target.connect_within);
  lws_client_connect_info info{};
  info.context = state_->context;
  info.address = connection.target.address.c_str();
  info.port = target.endpoint.port;
  info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (target.endpoint.tls ? LCCSCF_USE_SSL : 0);
  info.path = connection.path.c_str();
  info.host = connection.authority.c_str();
  info.protocol = kRoomSubprotocol.data();
  info.ietf_version_or_minus_one = -1;
  info.userdata = &connection;
  info.pwsi = &connection.wsi;
  if (lws_client_connect_via_info(&info) == nullptr) {
    // With or without a callback before it: a failed attempt.
    connection.wsi = nullptr;
    connection.explain(LinkReason::kUnreachable, target.address + " cannot be connected to", false);
    connection.gone = true;
  }
  return id;
}

void RoomClient::request_send(Id id) {
  RoomConnection* const connection = state_->find(id);
  if (connection != nullptr && connection->open) lws_callback_on_writable(connection->wsi);
}

void RoomClient::ping(Id id) {
  RoomConnection* const connection = state_->find(id);
  if (connection == nullptr || !connection->open) return;
  connection->ping_wanted = true;
  lws_callback_on_writable(connection->wsi);
}

void RoomClient::close(Id id, std::uint16_t code, const std::string& text) {
  RoomConnection* const connection = state_->find(id);
  if (connection == nullptr || connection->close_wanted) return;
  if (!connection->open) {
    kill(id, LinkReason::kNone, text);
    return;
  }
  connection->explain(LinkReason::kNone, "closed by us: " + text, true);
  start_close(connection->wsi, *connection, code, text);
}

void RoomClient::kill(Id id, LinkReason reason, const std::string& text) {
  RoomConnection* const connection = state_->find(id);
  if (connection == nullptr) return;
  connection->explain(reason, text, false);
  connection->kill_wanted = true;
}

namespace {

void check_deadline(RoomConnection& connection, BootNs now, std::chrono::nanoseconds handshake) {
  tcp_info info{};
  if (!connection.open && !connection.tcp_connected && tcp_is_connected(connection, info)) {
    connection.tcp_connected = true;
    connection.deadline = now + to_ns(handshake);
  }
  if (connection.deadline == 0 || now < connection.deadline) return;
  const std::string where =
      connection.target.address + " port " + std::to_string(connection.target.endpoint.port);
  connection.explain(LinkReason::kUnreachable,
                     connection.tcp_connected ? where + " accepts and does not answer"
                                              : where + " does not answer",
                     false);
  connection.kill_wanted = true;
}

}  // namespace

void RoomClient::service(std::chrono::nanoseconds wait_max) {
  BootNs wait = std::max<BootNs>(0, to_ns(wait_max));
  const BootNs before = system_clock().boot_now();
  for (const auto& [id, connection] : state_->connections) {
    if ((connection.gone && !connection.told) || connection.kill_wanted) wait = 0;
    if (connection.deadline != 0) wait = std::min(wait, connection.deadline - before);
  }
  if (wait <= 0) {
    lws_service(state_->context, -1);
  } else {
    state_->alarm.set(state_->context, std::chrono::microseconds(std::max<BootNs>(wait / 1000, 1)));
    lws_service(state_->context, 0);
    state_->alarm.cancel();
  }
  const BootNs now = system_clock().boot_now();
  for (auto& [id, connection] : state_->connections) {
    if (connection.gone) continue;
    check_deadline(connection, now, state_->options.handshake_within);
    if (connection.kill_wanted && connection.wsi != nullptr) {
      // Outside of its callbacks, so that the library may free it here and now.
      lws_set_timeout(connection.wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
      connection.gone = true;
      connection.kill_wanted = false;
      connection.deadline = 0;
    }
  }
  // on_closed() may connect, so each is taken out before its handler is told.
  std::vector<std::pair<RoomHandler*, RoomClosed>> ended;
  for (auto it = state_->connections.begin(); it != state_->connections.end();) {
    RoomConnection& connection = it->second;
    state_->bytes_sent += std::exchange(connection.bytes_sent, 0);
    state_->bytes_received += std::exchange(connection.bytes_received, 0);
    if (connection.gone && !std::exchange(connection.told, true)) {
      ended.emplace_back(connection.handler, std::move(connection.closed));
    }
    // The library calls back with the address of a connection until it has destroyed its own.
    const bool is_over = connection.told && connection.wsi == nullptr;
    it = is_over ? state_->connections.erase(it) : std::next(it);
  }
  for (auto& [handler, closed] : ended) handler->on_closed(closed);
}

void RoomClient::wake() {
  lws_cancel_service(state_->context);
}

std::size_t RoomClient::connections() const {
  const auto& all = state_->connections;
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& item) { return !item.second.gone; }));
}

std::chrono::nanoseconds RoomClient::round_trip(Id id) const {
  const RoomConnection* const connection = state_->find(id);
  tcp_info info{};
  if (connection == nullptr || !tcp_is_connected(*connection, info)) return {};
  return std::chrono::microseconds(info.tcpi_rtt);
}

std::uint64_t RoomClient::bytes_sent() const {
  return state_->bytes_sent;
}

std::uint64_t RoomClient::bytes_received() const {
  return state_->bytes_received;
}

}  // namespace pitbox
