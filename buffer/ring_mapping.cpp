#include "buffer/ring_mapping.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "proto/uuid.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kStaleFilesMax = 4;  // 4 x 8.2 MiB of tmpfs by default.
constexpr int kOpenAttemptsMax = 8;        // Races with a process that sets the file aside.

Status errno_status(Code code, const std::string& step, int error) {
  return {code, step + ": " + std::generic_category().message(error)};
}

Code code_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return Code::kFull;
    case EINTR:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
      return Code::kTryAgain;
    default:
      return Code::kRejected;
  }
}

// True if the path still names the open file: another process may have set it aside meanwhile.
bool names(const fs::path& file, int descriptor) {
  struct stat by_path {};
  struct stat by_descriptor {};
  return stat(file.c_str(), &by_path) == 0 && fstat(descriptor, &by_descriptor) == 0 &&
         by_path.st_dev == by_descriptor.st_dev && by_path.st_ino == by_descriptor.st_ino;
}

Status check_owner(const fs::path& file, int descriptor) {
  struct stat found {};
  if (fstat(descriptor, &found) != 0) {
    return errno_status(Code::kRejected, "stat " + file.string(), errno);
  }
  if (!S_ISREG(found.st_mode) || found.st_uid != geteuid()) {
    return {Code::kRejected, file.string() + ": not a regular file of this user"};
  }
  if (fchmod(descriptor, 0600) != 0) {
    return errno_status(Code::kRejected, "chmod " + file.string(), errno);
  }
  return {};
}

void remove_oldest_stale(const fs::path& file) {
  const std::string prefix = file.filename().string() + ".stale-";
  std::vector<std::pair<fs::file_time_type, fs::path>> stale;
  std::error_code error;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    stale.emplace_back(entry.last_write_time(error), entry.path());
  }
  if (stale.size() <= kStaleFilesMax) return;
  std::sort(stale.begin(), stale.end());
  for (std::size_t i = 0; i + kStaleFilesMax < stale.size(); ++i) {
    fs::remove(stale[i].second, error);
  }
}

}  // namespace

Result<RingMapping> RingMapping::open(const fs::path& file) {
  for (int attempt = 0; attempt < kOpenAttemptsMax; ++attempt) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return errno_status(code_for(errno), "open " + file.string(), errno);
    RingMapping mapping(file, descriptor);
    if (Status status = check_owner(file, descriptor); !status.ok()) return status;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return Status(Code::kTryAgain, file.string() + ": another process has this ring");
      }
      return errno_status(code_for(errno), "lock " + file.string(), errno);
    }
    if (names(file, descriptor)) return mapping;
  }
  return Status(Code::kTryAgain, file.string() + ": kept being replaced");
}

RingMapping::RingMapping(RingMapping&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      base_(std::exchange(other.base_, nullptr)),
      ring_offset_(other.ring_offset_),
      mapped_bytes_(other.mapped_bytes_) {}

RingMapping::~RingMapping() {
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
  if (descriptor_ >= 0) close(descriptor_);
}

Result<std::uint64_t> RingMapping::file_bytes() const {
  struct stat found {};
  if (fstat(descriptor_, &found) != 0) {
    return errno_status(Code::kRejected, "stat " + file_.string(), errno);
  }
  return static_cast<std::uint64_t>(found.st_size);
}

Result<std::optional<RingFileHeader>> RingMapping::stored_header() const {
  alignas(RingFileHeader) std::array<std::byte, kRingPageBytes> page{};
  const ssize_t length = pread(descriptor_, page.data(), page.size(), 0);
  if (length < 0) return errno_status(code_for(errno), "read " + file_.string(), errno);
  const bool is_blank =
      std::all_of(page.begin(), page.end(), [](std::byte byte) { return byte == std::byte{0}; });
  if (is_blank) return std::optional<RingFileHeader>();
  if (static_cast<std::size_t>(length) < page.size()) {
    return Status(Code::kCorrupt, "shorter than a header page");
  }
  RingFileHeader header;
  std::memcpy(&header, page.data(), sizeof header);
  return std::optional<RingFileHeader>(header);
}

Status RingMapping::map(const RingGeometry& geometry) {
  const std::size_t bytes = geometry.file_bytes();
  // Also for a file that has its size already: a hole in it would be filled at the first store,
  // and a store that finds no room is SIGBUS.
  if (const int error = posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes)); error != 0) {
    return errno_status(code_for(error), "allocate " + file_.string(), error);
  }

  ring_offset_ = geometry.ring_offset();
  mapped_bytes_ = bytes + geometry.ring_bytes + kRingAlignment;
  void* reserved =
      mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return errno_status(Code::kFull, "reserve addresses", errno);
  base_ = static_cast<std::byte*>(reserved);

  constexpr int kAccess = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  void* first = mmap(base_, bytes, kAccess, kFlags, descriptor_, 0);
  void* second = first == MAP_FAILED ? MAP_FAILED
                                     : mmap(base_ + bytes, geometry.ring_bytes, kAccess, kFlags,
                                            descriptor_, static_cast<off_t>(ring_offset_));
  if (second == MAP_FAILED) return errno_status(Code::kFull, "map " + file_.string(), errno);
  // Best effort, both: MAP_POPULATE above has read every page in (kernels before 5.14 have only
  // that), and locking is bounded by RLIMIT_MEMLOCK. Only what the kernel writes to is locked.
  (void)madvise(base_, bytes + geometry.ring_bytes, MADV_POPULATE_WRITE);
  (void)mlock(base_, ring_offset_);
  return {};
}

Status RingMapping::clear() {
  if (base_ != nullptr) munmap(std::exchange(base_, nullptr), mapped_bytes_);
  if (ftruncate(descriptor_, 0) != 0) {
    return errno_status(code_for(errno), "empty " + file_.string(), errno);
  }
  return {};
}

Result<fs::path> RingMapping::set_aside(std::uint64_t id) const {
  fs::path stale = file_;
  stale += ".stale-" + hex_id(id);
  std::error_code error;
  if (fs::exists(stale, error)) {
    stale = file_;
    stale += ".stale-" + hex_id(random_id());
  }
  if (rename(file_.c_str(), stale.c_str()) != 0) {
    return errno_status(Code::kRejected, "set aside " + file_.string(), errno);
  }
  (void)futimens(descriptor_, nullptr);  // Its age among the stale files; nothing depends on it.
  remove_oldest_stale(file_);
  return stale;
}

}  // namespace pitbox
