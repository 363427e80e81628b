#include "proto/uuid.h"

#include <sys/random.h>

#include <utility>

#include "proto/text.h"

namespace pitbox {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// -1 if `c` is no hex digit.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::function<void(std::span<std::uint8_t>)>& id_source() {
  static std::function<void(std::span<std::uint8_t>)> source;
  return source;
}

void fill_random(std::span<std::uint8_t> out) {
  if (id_source()) return id_source()(out);
  // getrandom() of up to 256 bytes is never short and never interrupted once the pool is ready.
  CHECK(getrandom(out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
}

bool is_dash_position(std::size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

}  // namespace

void set_id_source(std::function<void(std::span<std::uint8_t>)> source) {
  id_source() = std::move(source);
}

Uuid Uuid::mint() {
  Uuid id;
  fill_random(id.bytes);
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0F) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3F) | 0x80);
  return id;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  const auto refuse = [&] {
    return Status(Code::kRejected,
                  "not a UUID (want 8-4-4-4-12 hex digits): '" + printable(text, 64) + "'");
  };
  if (text.size() != 36) return refuse();
  Uuid id;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return refuse();
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return refuse();
    auto& byte = id.bytes[digit / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digit;
  }
  return id;
}

Result<Uuid> Uuid::from_bytes(std::string_view raw) {
  Uuid id;
  if (raw.size() != id.bytes.size()) return Status(Code::kCorrupt, "an id is not 16 bytes long");
  std::copy(raw.begin(), raw.end(), id.bytes.begin());
  return id;
}

std::string Uuid::text() const {
  std::string out;
  out.reserve(36);
  for (const std::uint8_t byte : bytes) {
    if (is_dash_position(out.size())) out.push_back('-');
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 0x0F]);
  }
  return out;
}

std::uint64_t random_id() {
  std::array<std::uint8_t, 8> raw{};
  std::uint64_t id = 0;
  while (id == 0) {
    fill_random(raw);
    for (const std::uint8_t byte : raw) id = id << 8 | byte;
  }
  return id;
}

std::string hex_id(std::uint64_t id) {
  std::string out(16, '0');
  for (std::size_t i = 0; i < 16; ++i) out[15 - i] = kHexDigits[(id >> (4 * i)) & 0x0F];
  return out;
}

Result<std::uint64_t> parse_hex_id(std::string_view text) {
  if (text.size() != 16) return Status(Code::kRejected, "not an id of 16 hex digits");
  std::uint64_t id = 0;
  for (const char c : text) {
    const int value = hex_value(c);
    if (value < 0) return Status(Code::kRejected, "not an id of 16 hex digits");
    id = id << 4 | static_cast<std::uint64_t>(value);
  }
  return id;
}

}  // namespace pitbox
