#include "apps/bench/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

namespace pitbox {

Result<DiskProbe> DiskProbe::measure(const std::filesystem::path& folder) {
  const std::string name = (folder / ("disk-probe-" + std::to_string(getpid()))).string();
  const int file = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return Status(Code::kFatal, name + ": " + std::strerror(errno));
  ::unlink(name.c_str());
  const std::array<char, 4096> page{};
  std::array<double, kWrites> took_ms{};
  bool is_written = true;
  for (double& each : took_ms) {
    const auto began = std::chrono::steady_clock::now();
    is_written = is_written && ::write(file, page.data(), page.size()) == std::ssize(page) &&
                 ::fdatasync(file) == 0;
    each =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  }
  ::close(file);
  if (!is_written) return Status(Code::kFatal, name + ": cannot be written and synced");
  std::sort(took_ms.begin(), took_ms.end());
  return DiskProbe{took_ms[kWrites / 2], took_ms[kWrites * 99 / 100]};
}

}  // namespace pitbox
