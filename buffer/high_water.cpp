#include "buffer/high_water.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <utility>

#include "proto/uuid.h"

namespace pitbox {
namespace {

constexpr std::size_t kIdAt = 0;
constexpr std::size_t kLastAt = 17;
constexpr std::size_t kWordAt = 38;
constexpr std::size_t kBytes = 43;  // 16 + 1 + 20 + 1 + 4 + 1

}  // namespace

std::optional<HighWater::Mark> HighWater::read(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  std::array<char, kBytes> line{};
  const ssize_t got = ::pread(descriptor, line.data(), line.size(), 0);
  ::close(descriptor);
  const std::string_view text(line.data(), line.size());
  if (got != static_cast<ssize_t>(kBytes) || text.back() != '\n') return std::nullopt;
  const auto incarnation = parse_hex_id(text.substr(kIdAt, 16));
  const std::string_view number = text.substr(kLastAt, 20);
  const std::string_view word = text.substr(kWordAt, 4);
  Mark mark;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), mark.last);
  if (!incarnation.ok() || parsed.ptr != number.data() + number.size()) return std::nullopt;
  if (word != "good" && word != "bad!") return std::nullopt;
  mark.incarnation = incarnation.value();
  mark.failed = word == "bad!";
  return mark;
}

HighWater::HighWater(const std::filesystem::path& file) {
  if (file.empty()) return;
  descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
}

HighWater::HighWater(HighWater&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

HighWater& HighWater::operator=(HighWater&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

HighWater::~HighWater() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void HighWater::note(const Mark& mark) {
  if (descriptor_ < 0) return;
  std::array<char, kBytes + 1> line{};
  const std::string id = hex_id(mark.incarnation);
  std::snprintf(line.data(), line.size(), "%s %020llu %s\n", id.c_str(),
                static_cast<unsigned long long>(mark.last), mark.failed ? "bad!" : "good");
  // One write within one page: a kill leaves the old line or the new one.
  static_cast<void>(::pwrite(descriptor_, line.data(), kBytes, 0) == 0);
}

}  // namespace pitbox
