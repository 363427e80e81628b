// FileLimit: a disk on which no file can grow beyond a size, for tests of what happens then.

#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace pitbox {

// No file may grow beyond `bytes` while this lives.
class FileLimit {
 public:
  explicit FileLimit(std::uint64_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace pitbox
