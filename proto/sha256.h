// SHA-256: the name of a definition. The one door to OpenSSL in this module.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace pitbox {

std::array<std::uint8_t, 32> sha256(std::string_view bytes);

}  // namespace pitbox
