#include "buffer/space_keeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace pitbox {
namespace {

constexpr std::uint64_t kWalsToWrite = 4;
constexpr std::uint64_t kSlackPart = 64;
constexpr std::uint64_t kSlackMin = std::uint64_t{1} << 20;
constexpr std::uint64_t kSlackMax = std::uint64_t{256} << 20;
constexpr std::chrono::seconds kCountEvery{1};

}  // namespace

SpaceKeeper::SpaceKeeper(Options options, std::filesystem::path directory)
    : options_(std::move(options)), directory_(std::move(directory)) {
  if (!options_.is_on) return;
  const auto found = options_.probe(directory_);
  if (found.ok()) space_ = found.value();
  std::error_code error;
  has_reserve_ = std::filesystem::exists(reserve_file(), error);
}

std::size_t SpaceKeeper::wal_bytes() const {
  const std::uint64_t target = options_.wal_bytes;
  return static_cast<std::size_t>(options_.is_on ? small_part(space_, target, kWalPart) : target);
}

SpaceKeeper::Shortage SpaceKeeper::look(BootNs now,
                                        const std::function<std::uint64_t()>& ask_reusable) {
  if (!options_.is_on) return {};
  const auto found = options_.probe(directory_);
  if (!found.ok()) return {};  // As before; a write that fails will say so.
  space_ = found.value();
  keep_reserve();
  const std::uint64_t to_write = kWalsToWrite * wal_bytes();
  std::uint64_t keep_free =
      std::max(small_part(space_, options_.keep_free_bytes, kFreePart), to_write);
  if (!has_reserve_) keep_free += small_part(space_, options_.reserve_bytes, kReservePart);
  const bool is_near = space_.free < keep_free || options_.quota_bytes != 0;
  const std::uint64_t reusable = is_near ? ask_reusable() : 0;
  const std::uint64_t free = space_.free + reusable;
  Shortage shortage{.bytes = 0, .is_dire = free < to_write, .reason = EvictReason::kDiskFull};
  if (free < keep_free) shortage.bytes = keep_free - free;
  if (options_.quota_bytes != 0) {
    if (used_at_ == 0 || now >= used_at_ + to_ns(kCountEvery)) {
      used_ = bytes_on_disk(directory_ / "sessions");
      used_at_ = now;
    }
    const std::uint64_t used = used_ - std::min(used_, reusable);
    const std::uint64_t over = used > options_.quota_bytes ? used - options_.quota_bytes : 0;
    if (over > shortage.bytes || (over > 0 && !shortage.is_dire)) {
      shortage = {.bytes = over, .is_dire = true, .reason = EvictReason::kQuota};
    }
  }
  if (shortage.bytes == 0) return {};
  const std::uint64_t all =
      options_.quota_bytes == 0 ? space_.total : std::min(space_.total, options_.quota_bytes);
  shortage.bytes += std::clamp(all / kSlackPart, std::min(kSlackMin, all / 16), kSlackMax);
  return shortage;
}

// Only where there is room enough that making it does not ask for room again.
void SpaceKeeper::keep_reserve() {
  const std::uint64_t bytes = small_part(space_, options_.reserve_bytes, kReservePart);
  if (has_reserve_ || bytes == 0) return;
  if (space_.free < bytes + small_part(space_, options_.keep_free_bytes, kFreePart)) return;
  const int file = ::open(reserve_file().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return;
  has_reserve_ = ::posix_fallocate(file, 0, static_cast<off_t>(bytes)) == 0;
  if (has_reserve_) space_.free -= bytes;
  ::close(file);
  if (!has_reserve_) ::unlink(reserve_file().c_str());
}

bool SpaceKeeper::release_reserve() {
  if (!has_reserve_) return false;
  has_reserve_ = false;
  return ::unlink(reserve_file().c_str()) == 0;
}

}  // namespace pitbox
