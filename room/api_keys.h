// ApiKeys: who may use this room server. Keys come from a file; a key that is taken out of it is
// refused at the next request, with no grace.
//
// The file: one key per line, `KEY [account]`, where KEY is `rk_...` or `race_...` in full or
// `sha256:` and the 64 hex digits of its SHA-256; `#` begins a comment. It must not be accessible
// by group or others. Only hashes are kept in memory, and comparing is a look-up by hash, so it
// tells nothing about a key by its timing.
//
// Threads: one.
//
// At the limit (1 MiB, 10,000 keys), or when the file is not there, not readable, too open or holds
// a line that is no key, nobody gets in until it is mended: an error that locked nobody out would
// let a revoked key stay.

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

using KeyHash = std::array<std::uint8_t, 32>;

struct Account {
  std::string name;  // As in the file; "key-" and 8 hex digits of the hash if it says none.
  KeyHash key{};
};

class ApiKeys {
 public:
  // kRejected, with the line, if the file cannot be used now.
  static Result<ApiKeys> open(std::filesystem::path file);
  // Lets everybody in, as account "local".
  static ApiKeys none();

  // Looks at the file first. Empty if the key is not in it.
  std::optional<Account> find(std::string_view key);
  // Whether an account found earlier is still in the file.
  bool is_valid(const Account& account);
  bool is_open_to_all() const { return file_.empty(); }
  // True once since the last call if the file's keys changed.
  bool has_changed();

 private:
  struct Stamp {
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  explicit ApiKeys(std::filesystem::path file) : file_(std::move(file)) {}
  static std::optional<Stamp> stamp_of(const std::filesystem::path& file);
  void refresh();
  Status load();

  std::filesystem::path file_;  // Empty: open to all.
  std::optional<Stamp> loaded_;
  bool has_changed_ = false;
  std::map<KeyHash, std::string> accounts_;
};

// One-use admission for a browser's WebSocket, which cannot carry a key.
//
// Threads: one. Limits: 1,024 tickets at a time (the oldest gives way), each for 30 s.
class Tickets {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLifetime{30};

  std::string issue(const Account& account, Clock::time_point now);
  // The account it was issued to. A ticket is gone after the first look, found or expired.
  std::optional<Account> take(std::string_view ticket, Clock::time_point now);

 private:
  struct Issued {
    Account account;
    Clock::time_point expires;
  };
  std::map<std::string, Issued, std::less<>> issued_;
};

}  // namespace pitbox
