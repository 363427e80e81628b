// The text of CSV cells and file names: numbers exactly, foreign names harmlessly.

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "export/csv_writer.h"

namespace pitbox {
namespace {

template <typename T>
void append_number(T value, std::string& out) {
  std::array<char, 40> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc());
  out.append(text.data(), end);
}

template <typename T>
T load(const std::byte* raw) {
  T value;
  std::memcpy(&value, raw, sizeof(T));
  return value;
}

// NaN as "NaN" whatever its sign: the word most readers know.
template <typename T>
void append_real(T value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  append_number(value, out);
}

}  // namespace

std::string csv_file_part(std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string part;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && i > 0);
    if (plain) {
      part.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    part.push_back('%');
    part.push_back(kHex[byte >> 4U]);
    part.push_back(kHex[byte & 15U]);
  }
  return part.empty() ? "%" : part;
}

std::string csv_text_cell(std::string_view text) {
  constexpr std::string_view kFormula = "=+-@\t\r";
  const bool is_formula = !text.empty() && kFormula.find(text.front()) != std::string_view::npos;
  if (!is_formula && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string cell = is_formula ? "\"'" : "\"";
  for (const char c : text) {
    if (c == '"') cell.push_back('"');
    cell.push_back(c);
  }
  cell.push_back('"');
  return cell;
}

// Without a conversion the raw value is the physical one, and is written in its own type: an f32 as
// the shortest text that gives the same f32, a 64-bit integer with all its digits.
void append_csv_value(const Channel& channel, const std::byte* raw, std::string& out) {
  const bool is_raw = channel.factor == 1.0 && channel.offset == 0.0;
  if (!is_raw) return append_real(physical(channel, raw), out);
  switch (channel.type) {
    case StorageType::kF32:
      return append_real(load<float>(raw), out);
    case StorageType::kF64:
      return append_real(load<double>(raw), out);
    case StorageType::kI8:
      return append_number(static_cast<int>(load<std::int8_t>(raw)), out);
    case StorageType::kU8:
      return append_number(static_cast<int>(load<std::uint8_t>(raw)), out);
    case StorageType::kI16:
      return append_number(load<std::int16_t>(raw), out);
    case StorageType::kU16:
      return append_number(load<std::uint16_t>(raw), out);
    case StorageType::kI32:
      return append_number(load<std::int32_t>(raw), out);
    case StorageType::kU32:
      return append_number(load<std::uint32_t>(raw), out);
    case StorageType::kI64:
      return append_number(load<std::int64_t>(raw), out);
    case StorageType::kU64:
      return append_number(load<std::uint64_t>(raw), out);
  }
}

void append_csv_seconds(std::int64_t nanoseconds, std::string& out) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  auto magnitude = static_cast<std::uint64_t>(nanoseconds);
  if (nanoseconds < 0) {
    out.push_back('-');
    magnitude = 0 - magnitude;
  }
  append_number(magnitude / kNsPerSecond, out);
  std::uint64_t fraction = magnitude % kNsPerSecond;
  if (fraction == 0) return;
  std::array<char, 9> digits{};
  for (std::size_t i = digits.size(); i-- > 0; fraction /= 10) {
    digits[i] = static_cast<char>('0' + fraction % 10);
  }
  std::size_t length = digits.size();
  while (digits[length - 1] == '0') --length;
  out.push_back('.');
  out.append(digits.data(), length);
}

}  // namespace pitbox
