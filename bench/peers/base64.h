// Base64 (RFC 4648), for the peer that carries text only.
//
// Threads: any.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

constexpr std::size_t base64_bytes(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
void append_base64(std::string_view bytes, std::string& out);
// kCorrupt if it is none.
Result<std::string> from_base64(std::string_view text);

}  // namespace pitbox
