#include "room/api_keys.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "proto/sha256.h"
#include "proto/text.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 20;
constexpr std::size_t kMaxKeys = 10'000;
constexpr std::size_t kMinKeyBytes = 16;
constexpr std::size_t kMaxKeyBytes = 512;
constexpr std::size_t kMaxTickets = 1024;
constexpr std::string_view kHashPrefix = "sha256:";

std::int64_t to_ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool is_key(std::string_view text) {
  const bool has_prefix = text.starts_with("rk_") || text.starts_with("race_");
  return has_prefix && text.size() >= kMinKeyBytes && text.size() <= kMaxKeyBytes;
}

std::optional<KeyHash> hash_of(std::string_view text) {
  if (is_key(text)) return sha256(text);
  if (!text.starts_with(kHashPrefix)) return {};
  text.remove_prefix(kHashPrefix.size());
  if (text.size() != 64) return {};
  KeyHash hash{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto part = parse_hex_id(text.substr(16 * i, 16));
    if (!part.ok()) return {};
    for (std::size_t byte = 0; byte < 8; ++byte) {
      hash[8 * i + byte] = static_cast<std::uint8_t>(part.value() >> (56 - 8 * byte));
    }
  }
  return hash;
}

std::string default_name(const KeyHash& hash) {
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < 4; ++i) head = head << 8 | hash[i];
  return "key-" + hex_id(head).substr(8);
}

}  // namespace

Result<ApiKeys> ApiKeys::open(std::filesystem::path file) {
  ApiKeys keys(std::move(file));
  Status loaded = keys.load();
  if (!loaded.ok()) return loaded;
  keys.has_changed_ = false;
  return keys;
}

ApiKeys ApiKeys::none() {
  return ApiKeys({});
}

std::optional<ApiKeys::Stamp> ApiKeys::stamp_of(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  return Stamp{to_ns(info.st_mtim), to_ns(info.st_ctim), info.st_ino, info.st_size};
}

Status ApiKeys::load() {
  accounts_.clear();
  has_changed_ = true;
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kRejected, "keys file " + file_.string() + ": " + why);
  };
  loaded_ = stamp_of(file_);
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return refuse("is not there");
  if (!S_ISREG(info.st_mode)) return refuse("is not a file");
  if ((info.st_mode & 077U) != 0) return refuse("others may read or write it; chmod 600 it");
  if (info.st_size > kMaxFileBytes) return refuse("is longer than 1 MiB");
  std::ifstream in(file_);
  if (!in) return refuse("cannot be read");
  std::map<KeyHash, std::string> accounts;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string key;
    std::string account;
    if (!(words >> key)) continue;
    words >> account;
    const auto hash = hash_of(key);
    // The line itself is not shown: it may be half a key.
    if (!hash.has_value()) return refuse("line " + std::to_string(number) + " is no key");
    accounts[*hash] = account.empty() ? default_name(*hash) : printable(account, 128);
    if (accounts.size() > kMaxKeys) return refuse("has more than 10,000 keys");
  }
  accounts_ = std::move(accounts);
  return {};
}

// Before every decision: a stat costs a microsecond. The stamp has inode, size and change time, so
// only an edit in place of the same length within one tick of the file system's clock (4 ms) after
// the last look could be missed.
void ApiKeys::refresh() {
  if (is_open_to_all()) return;
  const auto now = stamp_of(file_);
  if (now == loaded_) return;
  Status loaded = load();
  if (loaded.ok()) {
    spdlog::info("keys file read again: {} keys", accounts_.size());
  } else {
    spdlog::error("nobody gets in: {}", loaded.message());
  }
}

std::optional<Account> ApiKeys::find(std::string_view key) {
  if (is_open_to_all()) return Account{"local", {}};
  refresh();
  if (key.size() > kMaxKeyBytes) return {};
  const auto found = accounts_.find(sha256(key));
  if (found == accounts_.end()) return {};
  return Account{found->second, found->first};
}

bool ApiKeys::is_valid(const Account& account) {
  if (is_open_to_all()) return true;
  refresh();
  return accounts_.contains(account.key);
}

bool ApiKeys::has_changed() {
  refresh();
  return std::exchange(has_changed_, false);
}

std::string Tickets::issue(const Account& account, Clock::time_point now) {
  std::erase_if(issued_, [&](const auto& item) { return item.second.expires <= now; });
  if (issued_.size() >= kMaxTickets) {
    const auto oldest = std::min_element(
        issued_.begin(), issued_.end(),
        [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; });
    issued_.erase(oldest);
  }
  std::string ticket = hex_id(random_id()) + hex_id(random_id());
  issued_[ticket] = Issued{account, now + kLifetime};
  return ticket;
}

std::optional<Account> Tickets::take(std::string_view ticket, Clock::time_point now) {
  const auto found = issued_.find(ticket);
  if (found == issued_.end()) return {};
  Issued issued = std::move(found->second);
  issued_.erase(found);
  if (issued.expires <= now) return {};
  return issued.account;
}

}  // namespace pitbox
