// Uuid: the 128-bit id of a box or a session, written as 8-4-4-4-12 lower-case hex digits.
// Minted by the box (version 4, from the kernel's random source); anything that does not parse as
// a UUID is refused at the door. Value type; no threads.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  // A fresh random id (RFC 4122 version 4).
  static Uuid mint();
  // Accepts exactly 36 characters, hex digits in either case. kRejected otherwise.
  static Result<Uuid> parse(std::string_view text);
  // From 16 raw bytes as protobuf carries them. kCorrupt if the size is another.
  static Result<Uuid> from_bytes(std::string_view raw);

  std::string text() const;
  std::string raw() const { return {bytes.begin(), bytes.end()}; }
  bool is_nil() const { return *this == Uuid{}; }

  // clang-tidy 14 takes the 0 in the generated comparison for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

// 64 random bits from the kernel, never 0: ids of incarnations and rings.
std::uint64_t random_id();

// For simulations, whose runs must repeat: where the bytes of every new id of this process come
// from; empty: the kernel again. Not while another thread makes ids.
void set_id_source(std::function<void(std::span<std::uint8_t>)> source);

// An id as 16 lower-case hex digits, as file names and tables show it, and back.
std::string hex_id(std::uint64_t id);
Result<std::uint64_t> parse_hex_id(std::string_view text);

}  // namespace pitbox
