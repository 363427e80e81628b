// ContentHash: XXH3-128 over what an entry says, independent of how its columns were coded, so that
// box, room and `pitbox verify` can compare contents after any re-encoding (FORMAT.md, "Hashes").
// It guards against mix-ups and damage, not against an enemy.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

struct ContentHash {
  std::array<std::uint8_t, 16> bytes{};  // Canonical (big-endian) XXH3-128.

  static Result<ContentHash> from_bytes(std::string_view raw);  // kCorrupt unless 16 bytes.
  std::string raw() const { return {bytes.begin(), bytes.end()}; }
  std::string hex() const;
  friend bool operator==(const ContentHash&, const ContentHash&) = default;
};

// Streaming form. One thread at a time; reusable after finish().
class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(const ContentHasher&) = delete;
  ContentHasher& operator=(const ContentHasher&) = delete;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);    // Its length as u64 little-endian, then its bytes.
  void add_u64(std::uint64_t value);  // Little-endian.
  ContentHash finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Hash of an event's serialised bytes.
ContentHash hash_event(std::string_view bytes);

// XXH3-64 of bytes with a seed: for identities of single rows in ledgers.
std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed);

}  // namespace pitbox
