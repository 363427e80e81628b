// HttpApi: what the room server answers over HTTP, and whom it lets open a WebSocket, as plain
// functions of a request. ROOM.md ("Connecting") and README.md list the paths.
//
// Threads: one; the server's.
//
// What protects a browser's user: a Host that is neither an address nor a name we were told is
// refused (a foreign name that was made to point here), an Origin that is not our own is refused (a
// foreign page that talks to us), and the page may load and connect to nothing but us.

#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proto/uuid.h"
#include "room/api_keys.h"
#include "room/rooms.h"

namespace pitbox {

struct HttpRequest {
  std::string method;         // "GET", "POST"; anything else is answered 405.
  std::string path;           // Without the query.
  std::string ticket;         // Of the query; empty if none.
  std::string host;           // The Host header.
  std::string origin;         // Empty if there is none.
  std::string authorization;  // The Authorization header.
  std::string api_key;        // The X-API-Key header.
  std::string subprotocols;   // Of a WebSocket handshake: the list as sent.
};

// Why a request or a connection was turned away; each has its counter in /health.
enum class HttpRefusal : std::uint8_t {
  kBadRequest,    // http_bad_request, 400
  kUnauthorized,  // http_unauthorized, 401: no key, or one that is not valid.
  kForeign,       // http_foreign, 403: a foreign page, or a name that is not ours.
  kNotFound,      // http_not_found, 404
  kBadMethod,     // http_bad_method, 405
  kBody,          // http_body, 413: no request here has one.
  kFull,          // http_full, 503: no more WebSockets, or stopping.
  kNotHttp,       // not_http: the connection ended before a request that could be answered.
};
inline constexpr std::size_t kHttpRefusals = 8;

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};
// The answer as HTTP/1.1 bytes, with the headers that every answer has.
std::string to_http(const HttpAnswer& answer);

struct Admission {
  Uuid session;
  Account account;
  bool is_page = false;  // pitbox.view.v1
};

class HttpApi {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::vector<std::string> allowed_hosts;  // Names this server is known by, without port.
  };
  HttpApi(Options options, ApiKeys& keys, Rooms& rooms)
      : options_(std::move(options)), keys_(keys), rooms_(rooms) {}

  HttpAnswer answer(const HttpRequest& request, std::size_t connections, Clock::time_point now);
  // Of a WebSocket handshake.
  std::variant<Admission, HttpAnswer> admit(const HttpRequest& request, Clock::time_point now);
  // Counts, and makes the answer. REQUIRES: not kNotHttp.
  HttpAnswer refuse(HttpRefusal refusal, std::string_view why);
  void note(HttpRefusal refusal) { ++refused_.at(static_cast<std::size_t>(refusal)); }

 private:
  std::optional<HttpAnswer> refuse_foreign(const HttpRequest& request);
  NamedCounters counters() const;
  std::optional<Account> account_of(const HttpRequest& request);

  Options options_;
  ApiKeys& keys_;
  Rooms& rooms_;
  Tickets tickets_;
  std::array<std::uint64_t, kHttpRefusals> refused_{};
};

}  // namespace pitbox
