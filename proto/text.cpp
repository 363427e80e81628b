#include "proto/text.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "proto/check.h"

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

// Bytes of the plain character that `text` begins with; 0 if it begins with none.
std::size_t plain_character(std::string_view text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  const int continuations = continuation_bytes(lead);
  if (continuations < 0) return 0;
  const std::size_t length = static_cast<std::size_t>(continuations) + 1;
  if (text.size() < length) return 0;
  std::uint32_t code_point = continuations == 0 ? lead : lead & (0x3FU >> continuations);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte & 0x3FU);
  }
  return is_code_point(code_point, continuations) ? length : 0;
}

}  // namespace

bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = plain_character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view kCut = "...";
  CHECK(bytes_max >= kCut.size());
  std::string out;
  std::size_t whole = 0;  // Of `out`: as far as a cut leaves room for the dots.
  while (!text.empty()) {
    const std::size_t length = plain_character(text);
    if (out.size() <= bytes_max - kCut.size()) whole = out.size();
    out += length == 0 ? std::string_view(" ") : text.substr(0, length);
    if (out.size() > bytes_max) return out.substr(0, whole).append(kCut);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string utc_text(std::int64_t milliseconds) {
  std::int64_t seconds = milliseconds / 1000;
  std::int64_t rest = milliseconds % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  const std::time_t moment = seconds;
  std::tm parts{};
  if (gmtime_r(&moment, &parts) == nullptr) return {};
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, static_cast<int>(rest));
  return text.data();
}

}  // namespace pitbox
