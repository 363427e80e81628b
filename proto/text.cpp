#include "proto/text.h"

#include <cstddef>
#include <cstdint>

namespace pitbox {
namespace {

// Bytes after the first of a sequence that starts with `lead`; -1 if none may start so.
int continuation_bytes(std::uint8_t lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead <= 0xDF) return 1;
  if (lead >= 0xE0 && lead <= 0xEF) return 2;
  if (lead >= 0xF0 && lead <= 0xF4) return 3;
  return -1;
}

bool is_code_point(std::uint32_t code_point, int continuations) {
  constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  if (code_point < kSmallest[continuations]) return false;
  if (code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F)) return false;
  if (code_point >= 0xD800 && code_point <= 0xDFFF) return false;
  return code_point <= 0x10FFFF;
}

}  // namespace

bool is_plain_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const int continuations = continuation_bytes(lead);
    if (continuations < 0) return false;
    if (text.size() - i <= static_cast<std::size_t>(continuations)) return false;
    std::uint32_t code_point = continuations == 0 ? lead : lead & (0x3FU >> continuations);
    for (int c = 0; c < continuations; ++c) {
      const auto byte = static_cast<std::uint8_t>(text[++i]);
      if ((byte & 0xC0) != 0x80) return false;
      code_point = code_point << 6 | (byte & 0x3FU);
    }
    if (!is_code_point(code_point, continuations)) return false;
    ++i;
  }
  return true;
}

}  // namespace pitbox
