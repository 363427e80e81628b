// Endpoint: a ws://, wss://, http:// or https:// address taken apart. Pure; any thread.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

struct Endpoint {
  bool tls = false;
  std::string host;  // A name, or an address without brackets.
  std::uint16_t port = 0;
  std::string path;  // "" or "/..." without a slash at the end.

  // For a Host header: with brackets and, if it is not the scheme's own, the port.
  std::string authority() const;
};

// kRejected, saying what is wrong, for anything else: user info, query, fragment, an empty host.
Result<Endpoint> parse_endpoint(std::string_view url);

// True if `host` is a numeric IPv4 or IPv6 address.
bool is_numeric_address(const std::string& host);

}  // namespace pitbox
