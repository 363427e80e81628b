// ChildProcess: starts a program with its output in a file and, if wanted, sockets handed over as a
// service manager would (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; descriptors from 3 on).
//
// Threads: one. The child dies with SIGKILL when its starter dies, so a launcher leaves nothing
// running whatever happens to it.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/status.h"

namespace pitbox {

class ChildProcess {
 public:
  struct Options {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  // Added to ours.
    std::map<std::string, int> sockets;              // Name -> descriptor; stays open here too.
    std::filesystem::path output;                    // Both streams, appended. Empty: inherited.
  };
  static Result<ChildProcess> start(const Options& options);

  // An object without a process.
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // Kills it if it still runs.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool is_running();
  void send(int signal) const;
  // SIGKILL, and waits until it is gone.
  void kill_now();
  // SIGTERM, then SIGKILL after `patience`. The exit code; 128 + signal if it was killed.
  int stop(std::chrono::milliseconds patience);
  // Waits for it to end by itself; nothing if it has not within `patience`.
  std::optional<int> wait(std::chrono::milliseconds patience);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

}  // namespace pitbox
