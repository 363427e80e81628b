#include "room/room_server.h"

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <spdlog/spdlog.h>
#include <strings.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <system_error>
#include <variant>

#include "proto/frames.h"
#include "proto/service_alarm.h"
#include "room/http_api.h"

namespace pitbox {
namespace {

constexpr std::size_t kReceiveBytes = std::size_t{64} << 10;
constexpr std::chrono::seconds kHeartbeat{1};      // How late a revoked key may be noticed.
constexpr std::chrono::seconds kShutdownLimit{2};  // For Goodbyes to be taken.
constexpr int kCloseSeconds = 5;        // For a close that the other end does not answer.
constexpr int kSpareDescriptors = 128;  // HTTP requests beside the WebSockets.

// A viewer or box that is silently gone is found by a ping: asked after 10 s, given up after 25.
const lws_retry_bo_t kLiveness = {nullptr, 0, 0, 10, 25, 0};

// What stands in the place of a connection's number, which begins at 1.
constexpr ConnectionId kNoRequest = 0;                // Nothing was asked yet.
constexpr ConnectionId kOnlyHttp = ~ConnectionId{0};  // Answered over HTTP; no WebSocket.

struct Connection {
  lws* wsi = nullptr;
  Admission admission;
  bool is_established = false;
  bool is_closing = false;
  CloseCode code = CloseCode::kDone;
  std::string close_reason;
  std::deque<SharedFrame> queue;
  std::size_t queued_bytes = 0;
  std::string incoming;  // Of a message whose end has not come.
};

std::string header(lws* wsi, lws_token_indexes token) {
  const int length = lws_hdr_total_length(wsi, token);
  if (length <= 0) return {};
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  const int copied = lws_hdr_copy(wsi, text.data(), length + 1, token);
  text.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return text;
}

std::string custom_header(lws* wsi, const std::string& name) {
  const int length = lws_hdr_custom_length(wsi, name.c_str(), static_cast<int>(name.size()));
  if (length <= 0) return {};
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  const int copied = lws_hdr_custom_copy(wsi, text.data(), length + 1, name.c_str(),
                                         static_cast<int>(name.size()));
  text.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return text;
}

std::string argument(lws* wsi, const char* name) {
  char text[256] = {};
  const char* value = lws_get_urlarg_by_name(wsi, name, text, sizeof(text));
  return value != nullptr ? value : "";
}

HttpRequest request_of(lws* wsi) {
  HttpRequest request;
  request.path = header(wsi, WSI_TOKEN_GET_URI);
  if (!request.path.empty()) {
    request.method = "GET";
  } else {
    request.path = header(wsi, WSI_TOKEN_POST_URI);
    if (!request.path.empty()) request.method = "POST";
  }
  request.ticket = argument(wsi, "ticket=");
  request.host = header(wsi, WSI_TOKEN_HOST);
  request.origin = header(wsi, WSI_TOKEN_ORIGIN);
  request.authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  request.api_key = custom_header(wsi, "x-api-key:");
  request.subprotocols = header(wsi, WSI_TOKEN_PROTOCOL);
  return request;
}

// Headers and body in one write: the library takes one write per callback and keeps what the socket
// does not take at once.
bool write_http(lws* wsi, const HttpAnswer& answer) {
  const std::string text = to_http(answer);
  std::string buffer(LWS_PRE, '\0');
  buffer += text;
  auto* bytes = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
  return lws_write(wsi, bytes, text.size(), LWS_WRITE_HTTP_FINAL) >= 0;
}

void log_line(int level, const char* line) {
  std::string_view text(line);
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (level == LLL_ERR) {
    spdlog::error("libwebsockets: {}", text);
  } else {
    spdlog::debug("libwebsockets: {}", text);
  }
}

bool is_loopback(const std::string& address) {
  in_addr raw{};
  return inet_pton(AF_INET, address.c_str(), &raw) == 1 && (ntohl(raw.s_addr) >> 24) == 127;
}

}  // namespace

class RoomServer::State final : public Outbound {
 public:
  explicit State(const Options& options) : options_(options), keys_(ApiKeys::none()) {}
  ~State() override;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Status open();
  void run();
  void stop();
  int port() const { return lws_get_vhost_listen_port(vhost_); }
  const Rooms& rooms() const { return *rooms_; }

  void send(ConnectionId to, SharedFrame frame) override;
  void close(ConnectionId to, CloseCode code, std::string_view reason) override;
  std::size_t queued_bytes(ConnectionId to) const override;

  // From libwebsockets; the result is what its callback returns.
  int on_http(lws* wsi);
  int on_upgrade(lws* wsi);
  int on_established(lws* wsi);
  int on_receive(lws* wsi, std::string_view bytes);
  int on_writable(lws* wsi);
  void on_gone(lws* wsi);
  void on_destroyed(lws* wsi);

 private:
  static ConnectionId id_of(lws* wsi);
  static void set_id(lws* wsi, ConnectionId id);
  static void mark_answered(lws* wsi) { set_id(wsi, kOnlyHttp); }
  Connection* connection_of(lws* wsi);
  std::variant<Admission, HttpAnswer> admit(lws* wsi);
  Status listen();
  void turn();
  void drop_revoked(Rooms::Clock::time_point now);
  void serve_last();

  Options options_;
  ApiKeys keys_;
  std::unique_ptr<Rooms> rooms_;
  std::unique_ptr<HttpApi> api_;
  lws_context* context_ = nullptr;
  lws_vhost* vhost_ = nullptr;
  ServiceAlarm alarm_;
  std::map<ConnectionId, Connection> connections_;
  ConnectionId last_id_ = 0;
  Rooms::Clock::time_point keys_checked_{};
  std::atomic<bool> is_stopping_{false};  // Written by stop(), which publishes nothing else.
};

namespace {

int serve(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t length) {
  auto* state = static_cast<RoomServer::State*>(lws_context_user(lws_get_context(wsi)));
  if (state == nullptr) return 0;
    // Most of the library's hundred reasons are not ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
  switch (reason) {
    case LWS_CALLBACK_HTTP:
      return state->on_http(wsi);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
      return state->on_upgrade(wsi);
    case LWS_CALLBACK_ESTABLISHED:
      return state->on_established(wsi);
    case LWS_CALLBACK_RECEIVE:
      return state->on_receive(wsi, {static_cast<const char*>(in), length});
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return state->on_writable(wsi);
    case LWS_CALLBACK_CLOSED:
      state->on_gone(wsi);
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      state->on_gone(wsi);
      state->on_destroyed(wsi);
      return 0;
    default:
      return 0;
  }
#pragma GCC diagnostic pop
}

// The names must be the constants of frames.h; open() checks that.
const lws_protocols kProtocols[] = {
    {"http", serve, 0, 0, 0, nullptr, 0},
    {"pitbox.room.v1", serve, 0, kReceiveBytes, 0, nullptr, 0},
    {"pitbox.view.v1", serve, 0, 1024, 0, nullptr, 0},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
};

}  // namespace

RoomServer::State::~State() {
  if (context_ != nullptr) {
    alarm_.cancel();
    lws_context_destroy(context_);
  }
}

Status RoomServer::State::open() {
  CHECK(kRoomSubprotocol == kProtocols[1].name && kViewSubprotocol == kProtocols[2].name);
  if (options_.no_auth == !options_.keys_file.empty()) {
    return {Code::kRejected, "say either --keys FILE or --no-auth"};
  }
  if (options_.no_auth && !is_loopback(options_.listen)) {
    return {Code::kRejected, "--no-auth is for a loopback address, not " + options_.listen};
  }
  if (!options_.no_auth) {
    auto keys = ApiKeys::open(options_.keys_file);
    if (!keys.ok()) return keys.status();
    keys_ = std::move(keys).take();
  }
  auto rooms = Rooms::open(options_.rooms, *this);
  if (!rooms.ok()) return rooms.status();
  rooms_ = std::move(rooms).take();
  HttpApi::Options api{options_.allowed_hosts};
  api_ = std::make_unique<HttpApi>(std::move(api), keys_, *rooms_);
  return listen();
}

Status RoomServer::State::listen() {
  lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
  lws_context_creation_info info{};
  info.port = options_.port;
  info.iface = options_.listen == "0.0.0.0" ? nullptr : options_.listen.c_str();
  info.protocols = kProtocols;
  info.retry_and_idle_policy = &kLiveness;
  info.user = this;
  info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6 |
                 LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
  info.pt_serv_buf_size = kReceiveBytes;
  info.fd_limit_per_thread =
      static_cast<unsigned int>(options_.connections_max) + kSpareDescriptors;
  info.gid = info.uid = static_cast<decltype(info.gid)>(-1);
  context_ = lws_create_context(&info);
  if (context_ == nullptr) return {Code::kFatal, "libwebsockets cannot start"};
  // Without the library's own lines about the one thing that goes wrong here: the port is taken.
  lws_set_log_level(0, log_line);
  errno = 0;
  vhost_ = lws_create_vhost(context_, &info);
  const int reason = errno;
  lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
  if (vhost_ != nullptr && port() > 0) return {};
  return Status::rejected("cannot listen on " + options_.listen + ":" +
                          std::to_string(options_.port) + ": " +
                          std::generic_category().message(reason));
}

ConnectionId RoomServer::State::id_of(lws* wsi) {
  return reinterpret_cast<std::uintptr_t>(lws_get_opaque_user_data(wsi));
}

void RoomServer::State::set_id(lws* wsi, ConnectionId id) {
  // A number, looked up at each use, so that one of a connection gone finds nothing.
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  lws_set_opaque_user_data(wsi, reinterpret_cast<void*>(static_cast<std::uintptr_t>(id)));
}

Connection* RoomServer::State::connection_of(lws* wsi) {
  const auto found = connections_.find(id_of(wsi));
  return found == connections_.end() ? nullptr : &found->second;
}

int RoomServer::State::on_http(lws* wsi) {
  mark_answered(wsi);
  const std::string length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  HttpAnswer answer;
  const bool has_body = (!length.empty() && length != "0") ||
                        lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
  if (has_body) {
    answer = api_->refuse(HttpRefusal::kBody, "no request here has a body");
  } else {
    answer = api_->answer(request_of(wsi), connections_.size(), Rooms::Clock::now());
  }
  if (!write_http(wsi, answer) || has_body) return -1;
  return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

std::variant<Admission, HttpAnswer> RoomServer::State::admit(lws* wsi) {
  if (header(wsi, WSI_TOKEN_VERSION) != "13") {
    return api_->refuse(HttpRefusal::kBadRequest, "the WebSocket version is 13");
  }
  // Before the ticket is looked at: a one-use ticket is not spent on this.
  if (connections_.size() >= options_.connections_max || is_stopping_.load()) {
    return api_->refuse(HttpRefusal::kFull, "no more connections");
  }
  return api_->admit(request_of(wsi), Rooms::Clock::now());
}

int RoomServer::State::on_upgrade(lws* wsi) {
  mark_answered(wsi);
  if (strcasecmp(header(wsi, WSI_TOKEN_UPGRADE).c_str(), "websocket") != 0) {
    // Some clients offer HTTP/2 with every request; who is not taken up on it goes on without.
    return write_http(wsi, api_->answer(request_of(wsi), connections_.size(), Rooms::Clock::now()))
               ? 1
               : -1;
  }
  auto admitted = admit(wsi);
  if (const auto* refused = std::get_if<HttpAnswer>(&admitted)) {
    return write_http(wsi, *refused) ? 1 : -1;
  }
  const ConnectionId id = ++last_id_;
  connections_[id].wsi = wsi;
  connections_[id].admission = std::get<Admission>(std::move(admitted));
  set_id(wsi, id);
  return 0;
}

int RoomServer::State::on_established(lws* wsi) {
  Connection* connection = connection_of(wsi);
  if (connection == nullptr) return -1;
  connection->is_established = true;
  const Admission& admission = connection->admission;
  rooms_->connected(id_of(wsi), admission.session, admission.is_page, Rooms::Clock::now());
  return 0;
}

int RoomServer::State::on_receive(lws* wsi, std::string_view bytes) {
  Connection* connection = connection_of(wsi);
  if (connection == nullptr) return -1;
  if (connection->is_closing) return 0;
  const ConnectionId id = id_of(wsi);
  if (connection->admission.is_page || lws_frame_is_binary(wsi) == 0) {
    rooms_->disconnected(id, Rooms::Clock::now());
    close(id, CloseCode::kProtocolError, "only binary frames, and none from a page");
    return 0;
  }
  if (connection->incoming.size() + bytes.size() > kMaxFrameBytes) {
    rooms_->disconnected(id, Rooms::Clock::now());
    close(id, CloseCode::kFrameTooBig, "a frame is at most 1 MiB");
    return 0;
  }
  const bool is_whole = lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0;
  if (is_whole && connection->incoming.empty()) {
    rooms_->receive(id, bytes, Rooms::Clock::now());
    return 0;
  }
  connection->incoming += bytes;
  if (!is_whole) return 0;
  const std::string message = std::exchange(connection->incoming, {});
  rooms_->receive(id, message, Rooms::Clock::now());
  return 0;
}

int RoomServer::State::on_writable(lws* wsi) {
  Connection* connection = connection_of(wsi);
  if (connection == nullptr) return -1;
  if (connection->queue.empty()) {
    if (!connection->is_closing) return 0;
    std::string& reason = connection->close_reason;
    lws_close_reason(wsi, static_cast<lws_close_status>(connection->code),
                     reinterpret_cast<unsigned char*>(reason.data()), reason.size());
    return -1;
  }
  const SharedFrame frame = std::move(connection->queue.front());
  connection->queue.pop_front();
  connection->queued_bytes -= frame->size();
  // Copied, because the library writes its header in front of the bytes and others share them.
  std::string buffer;
  buffer.reserve(LWS_PRE + frame->size());
  buffer.assign(LWS_PRE, '\0');
  buffer += *frame;
  auto* bytes = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
  const auto kind = connection->admission.is_page ? LWS_WRITE_TEXT : LWS_WRITE_BINARY;
  if (lws_write(wsi, bytes, frame->size(), kind) < 0) return -1;
  if (!connection->queue.empty() || connection->is_closing) lws_callback_on_writable(wsi);
  return 0;
}

void RoomServer::State::on_gone(lws* wsi) {
  const ConnectionId id = id_of(wsi);
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.wsi != wsi) return;
  if (found->second.is_established) rooms_->disconnected(id, Rooms::Clock::now());
  connections_.erase(id);
}

// Also of connections that never said anything the library could make a request of.
void RoomServer::State::on_destroyed(lws* wsi) {
  if (api_ != nullptr && id_of(wsi) == kNoRequest) api_->note(HttpRefusal::kNotHttp);
}

void RoomServer::State::send(ConnectionId to, SharedFrame frame) {
  const auto found = connections_.find(to);
  if (found == connections_.end() || found->second.is_closing) return;
  Connection& connection = found->second;
  connection.queued_bytes += frame->size();
  connection.queue.push_back(std::move(frame));
  lws_callback_on_writable(connection.wsi);
  if (connection.queued_bytes <= options_.queue_bytes_max) return;
  connection.queue.clear();
  connection.queued_bytes = 0;
  close(to, CloseCode::kTooSlow, "too much is waiting to be taken");
}

void RoomServer::State::close(ConnectionId to, CloseCode code, std::string_view reason) {
  const auto found = connections_.find(to);
  if (found == connections_.end() || found->second.is_closing) return;
  Connection& connection = found->second;
  connection.is_closing = true;
  connection.code = code;
  // A close frame has room for 123 bytes of reason.
  connection.close_reason = std::string(reason.substr(0, 120));
  connection.incoming.clear();
  lws_callback_on_writable(connection.wsi);
  lws_set_timeout(connection.wsi, PENDING_TIMEOUT_USER_OK, kCloseSeconds);
}

std::size_t RoomServer::State::queued_bytes(ConnectionId to) const {
  const auto found = connections_.find(to);
  return found == connections_.end() ? 0 : found->second.queued_bytes;
}

void RoomServer::State::drop_revoked(Rooms::Clock::time_point now) {
  if (now - keys_checked_ < kHeartbeat) return;
  keys_checked_ = now;
  if (!keys_.has_changed()) return;
  for (auto& [id, connection] : connections_) {
    if (connection.is_closing || keys_.is_valid(connection.admission.account)) continue;
    spdlog::warn("connection {} of {} is closed: its key was revoked", id,
                 connection.admission.account.name);
    rooms_->disconnected(id, now);
    close(id, CloseCode::kCredentialRejected, "credential_rejected");
  }
}

// One round of the library's events, then what they made due.
void RoomServer::State::turn() {
  lws_service(context_, 0);
  const auto now = Rooms::Clock::now();
  drop_revoked(now);
  const bool has_more = rooms_->step(now);
  auto wait = std::chrono::microseconds(kHeartbeat);
  if (const auto due = rooms_->next_due()) {
    const auto until = std::chrono::duration_cast<std::chrono::microseconds>(*due - now);
    wait = std::min(wait, std::max(until, std::chrono::microseconds(1)));
  }
  if (has_more) wait = std::chrono::microseconds(1);
  alarm_.set(context_, wait);
}

void RoomServer::State::run() {
  while (!is_stopping_.load()) turn();
  serve_last();
}

void RoomServer::State::serve_last() {
  rooms_->shut_down("server_closing", 1000);
  const auto deadline = Rooms::Clock::now() + kShutdownLimit;
  for (auto& [id, connection] : connections_) {
    if (connection.is_established) close(id, CloseCode::kGoingAway, "server_closing");
  }
  while (!connections_.empty() && Rooms::Clock::now() < deadline) {
    alarm_.set(context_, std::chrono::milliseconds(50));
    lws_service(context_, 0);
  }
}

void RoomServer::State::stop() {
  is_stopping_.store(true);
  // Writes to an event descriptor; that is all it does, so a signal handler may.
  if (context_ != nullptr) lws_cancel_service(context_);
}

Result<std::unique_ptr<RoomServer>> RoomServer::open(const Options& options) {
  auto state = std::make_unique<State>(options);
  Status opened = state->open();
  if (!opened.ok()) return std::move(opened).within("room server");
  return std::unique_ptr<RoomServer>(new RoomServer(std::move(state)));
}

RoomServer::RoomServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
RoomServer::~RoomServer() = default;

int RoomServer::port() const {
  return state_->port();
}
std::size_t RoomServer::known_rooms() const {
  return state_->rooms().known_rooms();
}
void RoomServer::run() {
  state_->run();
}
void RoomServer::stop() {
  state_->stop();
}

}  // namespace pitbox
