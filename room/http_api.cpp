#include "room/http_api.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "proto/frames.h"
#include "room/page_assets.h"
#include "room/view_json.h"

namespace pitbox {
namespace {

constexpr std::string_view kRoomsPath = "/rooms/";
constexpr std::string_view kBearer = "Bearer ";

std::string_view phrase_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

struct RefusalWords {
  int status = 0;
  std::string_view counter;
};
// In the order of HttpRefusal.
constexpr std::array<RefusalWords, kHttpRefusals> kRefusals = {{{400, "http_bad_request"},
                                                                {401, "http_unauthorized"},
                                                                {403, "http_foreign"},
                                                                {404, "http_not_found"},
                                                                {405, "http_bad_method"},
                                                                {413, "http_body"},
                                                                {503, "http_full"},
                                                                {0, "not_http"}}};

HttpAnswer json(std::string body) {
  HttpAnswer answer;
  answer.body = std::move(body);
  return answer;
}

// "host:port", "host", "[v6]:port" -> host without brackets.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_address(const std::string& host) {
  in6_addr raw{};
  return inet_pton(AF_INET, host.c_str(), &raw) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &raw) == 1;
}

bool offers(std::string_view list, std::string_view protocol) {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == protocol) return true;
  }
  return false;
}

}  // namespace

std::string to_http(const HttpAnswer& answer) {
  std::string out = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  out += phrase_of(answer.status);
  out += "\r\nContent-Type: " + answer.content_type;
  out += "\r\nContent-Length: " + std::to_string(answer.body.size());
  out +=
      "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"
      " connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none';"
      " frame-ancestors 'none'"
      "\r\nX-Content-Type-Options: nosniff"
      "\r\nReferrer-Policy: no-referrer"
      "\r\nCross-Origin-Resource-Policy: same-origin"
      "\r\nCache-Control: no-store";
  for (const auto& [name, value] : answer.headers) {
    out.append("\r\n").append(name).append(": ").append(value);
  }
  out += "\r\n\r\n" + answer.body;
  return out;
}

HttpAnswer HttpApi::refuse(HttpRefusal refusal, std::string_view why) {
  note(refusal);
  HttpAnswer answer;
  answer.status = kRefusals.at(static_cast<std::size_t>(refusal)).status;
  answer.body = error_json(why);
  if (refusal == HttpRefusal::kUnauthorized) {
    answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (refusal == HttpRefusal::kFull) answer.headers.emplace_back("Retry-After", "5");
  if (refusal == HttpRefusal::kBody) answer.headers.emplace_back("Connection", "close");
  return answer;
}

NamedCounters HttpApi::counters() const {
  NamedCounters all = rooms_.counters();
  for (std::size_t i = 0; i < kHttpRefusals; ++i) {
    all.emplace_back(kRefusals.at(i).counter, refused_.at(i));
  }
  return all;
}

std::optional<HttpAnswer> HttpApi::refuse_foreign(const HttpRequest& request) {
  const std::string host(without_port(request.host));
  const auto& names = options_.allowed_hosts;
  const bool is_ours = host == "localhost" || is_address(host) ||
                       std::find(names.begin(), names.end(), host) != names.end();
  if (!is_ours) {
    return refuse(HttpRefusal::kForeign, "this server does not go by that name (--allow-host)");
  }
  if (request.origin.empty()) return {};
  const bool is_own_page =
      request.origin == "http://" + request.host || request.origin == "https://" + request.host;
  if (!is_own_page) return refuse(HttpRefusal::kForeign, "a foreign page may not use this server");
  return {};
}

std::optional<Account> HttpApi::account_of(const HttpRequest& request) {
  if (!request.api_key.empty()) return keys_.find(request.api_key);
  const std::string_view bearer = request.authorization;
  if (bearer.starts_with(kBearer)) return keys_.find(bearer.substr(kBearer.size()));
  return keys_.find({});
}

HttpAnswer HttpApi::answer(const HttpRequest& request, std::size_t connections,
                           Clock::time_point now) {
  if (auto refused = refuse_foreign(request)) return *std::move(refused);
  const bool is_post = request.method == "POST";
  if (!is_post && request.method != "GET") {
    return refuse(HttpRefusal::kBadMethod, "GET, or POST /tickets");
  }
  if (is_post != (request.path == "/tickets")) {
    return refuse(HttpRefusal::kBadMethod, "GET, or POST /tickets");
  }
  if (request.path == "/health") {
    return json(health_json(rooms_.known_rooms(), connections, counters()));
  }
  for (const PageAsset& asset : page_assets()) {
    if (request.path != asset.path) continue;
    HttpAnswer page;
    page.content_type = std::string(asset.content_type);
    page.body = std::string(asset.body);
    return page;
  }
  if (request.path.starts_with(kRoomsPath)) {
    return refuse(HttpRefusal::kBadRequest, "a room is a WebSocket");
  }
  const bool is_known =
      request.path == "/auth/me" || request.path == "/tickets" || request.path == "/api/sessions";
  if (!is_known) return refuse(HttpRefusal::kNotFound, "there is nothing here");
  const auto account = account_of(request);
  if (!account.has_value()) {
    return refuse(HttpRefusal::kUnauthorized, "no key, or one that is not valid");
  }
  if (request.path == "/auth/me") return json(account_json(account->name));
  if (request.path == "/api/sessions") return json(sessions_json(rooms_.sessions()));
  const auto lifetime = static_cast<int>(Tickets::kLifetime.count());
  return json(ticket_json(tickets_.issue(*account, now), lifetime));
}

std::variant<Admission, HttpAnswer> HttpApi::admit(const HttpRequest& request,
                                                   Clock::time_point now) {
  if (auto refused = refuse_foreign(request)) return *std::move(refused);
  auto account = account_of(request);
  if (!account.has_value() && !request.ticket.empty()) {
    account = tickets_.take(request.ticket, now);
    if (account.has_value() && !keys_.is_valid(*account)) account.reset();
  }
  if (!account.has_value()) {
    return refuse(HttpRefusal::kUnauthorized, "no key or ticket, or one that is not valid");
  }
  if (!request.path.starts_with(kRoomsPath)) {
    return refuse(HttpRefusal::kNotFound, "rooms are at /rooms/SESSION-ID");
  }
  const auto session = Uuid::parse(std::string_view(request.path).substr(kRoomsPath.size()));
  if (!session.ok()) return refuse(HttpRefusal::kNotFound, session.status().message());
  const bool is_room = offers(request.subprotocols, kRoomSubprotocol);
  const bool is_page = offers(request.subprotocols, kViewSubprotocol);
  if (is_room == is_page) {
    return refuse(HttpRefusal::kBadRequest,
                  "the subprotocol is either pitbox.room.v1 or pitbox.view.v1");
  }
  return Admission{session.value(), *account, is_page};
}

}  // namespace pitbox
