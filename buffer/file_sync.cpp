#include "buffer/file_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pitbox {
namespace {

Status sync_path(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) return system_error("open " + path.string());
  Status status = ::fsync(descriptor) == 0 ? Status() : system_error("sync " + path.string());
  ::close(descriptor);
  return status;
}

}  // namespace

Status system_error(const std::string& step) {
  return {Code::kFatal, step + ": " + std::strerror(errno)};
}

Status sync_file(const std::filesystem::path& file) {
  return sync_path(file, 0);
}

Status sync_folder(const std::filesystem::path& folder) {
  return sync_path(folder, O_DIRECTORY);
}

}  // namespace pitbox
