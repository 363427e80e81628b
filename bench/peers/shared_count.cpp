#include "bench/peers/shared_count.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "buffer/file_sync.h"

namespace pitbox {

Result<SharedCount> SharedCount::make(const std::string& file) {
  SharedCount count;
  if (file.empty()) return count;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return system_error("open " + file);
  void* mapped = MAP_FAILED;
  if (::ftruncate(descriptor, sizeof(std::uint64_t)) == 0) {
    mapped =
        ::mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  const Status failed = system_error("map " + file);
  ::close(descriptor);
  if (mapped == MAP_FAILED) return failed;
  count.word_ = static_cast<std::uint64_t*>(mapped);
  return count;
}

SharedCount::SharedCount(SharedCount&& other) noexcept
    : word_(std::exchange(other.word_, nullptr)) {}

SharedCount& SharedCount::operator=(SharedCount&& other) noexcept {
  std::swap(word_, other.word_);
  return *this;
}

SharedCount::~SharedCount() {
  if (word_ != nullptr) ::munmap(word_, sizeof *word_);
}

void SharedCount::set(std::uint64_t value) {
  // Nothing else is read on the strength of it.
  if (word_ != nullptr) std::atomic_ref(*word_).store(value, std::memory_order_relaxed);
}

}  // namespace pitbox
