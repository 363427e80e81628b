#include "apps/launch/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

namespace pitbox {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START

int code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// In the child, before exec. The descriptors are first moved out of the way of 3, 4, ..., so that
// no dup2() overwrites one that is still needed.
void place_sockets(const std::map<std::string, int>& sockets) {
  std::vector<int> moved;
  std::string names;
  for (const auto& [name, descriptor] : sockets) {
    moved.push_back(fcntl(descriptor, F_DUPFD, 64));
    names += (names.empty() ? "" : ":") + name;
  }
  int target = kFirstSocket;
  for (const int descriptor : moved) {
    dup2(descriptor, target++);  // The copy is without close-on-exec.
    close(descriptor);
  }
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  setenv("LISTEN_FDS", std::to_string(moved.size()).c_str(), 1);
  setenv("LISTEN_FDNAMES", names.c_str(), 1);
}

void redirect_output(const std::filesystem::path& file) {
  const int output = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) return;
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
}

[[noreturn]] void become(const ChildProcess::Options& options, pid_t starter) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != starter) _exit(127);  // It died before the line above.
  // Ctrl-C is for the launcher, which stops its children in order. A group of its own, because a
  // program that waits for the signal (sigwait) gets it even where it is ignored.
  setpgid(0, 0);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  // Libraries open sockets without close-on-exec; a listening one that lives on in a child keeps
  // its port taken.
  close_range(kFirstSocket, ~0U, CLOSE_RANGE_CLOEXEC);
  if (!options.output.empty()) redirect_output(options.output);
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  if (!options.sockets.empty()) place_sockets(options.sockets);
  std::vector<char*> arguments;
  std::string program = options.program.string();
  arguments.push_back(program.data());
  std::vector<std::string> copies = options.arguments;
  for (std::string& argument : copies) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  execv(program.c_str(), arguments.data());
  const std::string complaint = program + ": " + std::strerror(errno) + "\n";
  static_cast<void>(write(STDERR_FILENO, complaint.data(), complaint.size()));
  _exit(127);
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const Options& options) {
  if (access(options.program.c_str(), X_OK) != 0) {
    return Status(Code::kRejected, options.program.string() + ": " + std::strerror(errno));
  }
  const pid_t starter = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Status(Code::kFull, std::string("fork: ") + std::strerror(errno));
  if (pid == 0) become(options, starter);
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_code_(std::exchange(other.exit_code_, {})) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (is_running()) kill_now();
}

bool ChildProcess::is_running() {
  return pid_ > 0 && !wait(std::chrono::milliseconds(0)).has_value();
}

void ChildProcess::send(int signal) const {
  if (pid_ > 0 && !exit_code_) kill(pid_, signal);
}

void ChildProcess::kill_now() {
  send(SIGKILL);
  static_cast<void>(wait(std::chrono::hours(1)));
}

int ChildProcess::stop(std::chrono::milliseconds patience) {
  if (pid_ <= 0) return 0;
  send(SIGTERM);
  if (const auto code = wait(patience)) return *code;
  kill_now();
  return *exit_code_;
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds patience) {
  if (pid_ <= 0 || exit_code_) return exit_code_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) return exit_code_ = code_of(status);
  if (patience.count() <= 0) return std::nullopt;
  // A descriptor of the process becomes readable when it ends: a wait without polling.
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (descriptor >= 0) {
    pollfd ended{descriptor, POLLIN, 0};
    poll(&ended, 1, static_cast<int>(patience.count()));
    close(descriptor);
  }
  if (waitpid(pid_, &status, WNOHANG) == pid_) return exit_code_ = code_of(status);
  return std::nullopt;
}

}  // namespace pitbox
