#include "bench/peers/base64.h"

#include <array>
#include <cstdint>

namespace pitbox {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 255;

constexpr std::array<std::uint8_t, 256> values_of_digits() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    values.at(static_cast<unsigned char>(kDigits[i])) = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr auto kValues = values_of_digits();

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0U;
}

}  // namespace

void append_base64(std::string_view bytes, std::string& out) {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t three =
        byte_at(bytes, i) << 16U | byte_at(bytes, i + 1) << 8U | byte_at(bytes, i + 2);
    out += kDigits[three >> 18U];
    out += kDigits[three >> 12U & 63U];
    out += i + 1 < bytes.size() ? kDigits[three >> 6U & 63U] : '=';
    out += i + 2 < bytes.size() ? kDigits[three & 63U] : '=';
  }
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    return Status::corrupt("base64 of a length that is no multiple of four");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t four = 0;
    for (std::size_t j = i; j < i + 4; ++j) {
      const bool is_padding = j >= text.size() - padding;
      const std::uint8_t value = is_padding ? 0 : kValues.at(static_cast<unsigned char>(text[j]));
      if (value == kNoDigit) return Status::corrupt("no base64");
      four = four << 6U | value;
    }
    bytes += static_cast<char>(four >> 16U);
    bytes += static_cast<char>(four >> 8U & 255U);
    bytes += static_cast<char>(four & 255U);
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace pitbox
