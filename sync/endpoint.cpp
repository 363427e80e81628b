#include "sync/endpoint.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

namespace pitbox {
namespace {

struct Scheme {
  std::string_view prefix;
  bool tls;
  std::uint16_t port;
};
constexpr std::array kSchemes = {Scheme{"ws://", false, 80}, Scheme{"wss://", true, 443},
                                 Scheme{"http://", false, 80}, Scheme{"https://", true, 443}};

Status bad(std::string_view url, const std::string& why) {
  return {Code::kRejected, "\"" + std::string(url) + "\": " + why};
}

}  // namespace

std::string Endpoint::authority() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  const std::string name = is_v6 ? "[" + host + "]" : host;
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  Endpoint endpoint;
  std::string_view rest;
  for (const Scheme& scheme : kSchemes) {
    if (!url.starts_with(scheme.prefix)) continue;
    endpoint.tls = scheme.tls;
    endpoint.port = scheme.port;
    rest = url.substr(scheme.prefix.size());
  }
  if (rest.empty()) return bad(url, "is no ws://, wss://, http:// or https:// address");
  for (const char c : rest) {
    if (c <= ' ' || c > '~') return bad(url, "has a character that no address has");
  }
  if (rest.find_first_of("@?#\\") != std::string_view::npos) {
    return bad(url, "user, query and fragment are not allowed");
  }
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) endpoint.path = rest.substr(slash);
  while (endpoint.path.ends_with('/')) endpoint.path.pop_back();

  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(url, "has a [ without ]");
    endpoint.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
    if (!is_numeric_address(endpoint.host)) return bad(url, "has no address in [ ]");
  } else {
    const std::size_t colon = authority.find(':');
    endpoint.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (endpoint.host.empty()) return bad(url, "has no host");
  if (port.empty()) return endpoint;
  unsigned number = 0;
  const char* const end = port.data() + port.size();
  const auto parsed = std::from_chars(port.data() + 1, end, number);
  const bool is_port = port.front() == ':' && parsed.ec == std::errc() && parsed.ptr == end;
  if (!is_port || number < 1 || number > 65535) return bad(url, "the port must be 1..65535");
  endpoint.port = static_cast<std::uint16_t>(number);
  return endpoint;
}

bool is_numeric_address(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace pitbox
