// The launcher's side of the protocol, played by a child process that sets its own environment:
// descriptors must be at 3, 4, ..., so each case runs in a process of its own.

#include "ingest/inherited_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace pitbox {
namespace {

struct Announcement {
  std::string pid{};  // Empty: this process.
  std::string count;
  std::string names;
  int descriptors = 2;  // Really there, from 3 on.
};

// True if `holds` does, in a process that was started with this announcement.
bool in_a_child(const Announcement& announced,
                const std::function<bool(const Result<std::map<std::string, int>>&)>& holds) {
  const pid_t child = fork();
  if (child == 0) {
    for (int fd = 3; fd < 64; ++fd) close(fd);
    for (int i = 0; i < announced.descriptors; ++i) {
      if (socket(AF_INET, SOCK_DGRAM, 0) != 3 + i) _exit(2);
    }
    const std::string pid = announced.pid.empty() ? std::to_string(getpid()) : announced.pid;
    setenv("LISTEN_PID", pid.c_str(), 1);
    setenv("LISTEN_FDS", announced.count.c_str(), 1);
    setenv("LISTEN_FDNAMES", announced.names.c_str(), 1);
    const auto sockets = take_inherited_sockets();
    const bool is_clean = getenv("LISTEN_PID") == nullptr && getenv("LISTEN_FDS") == nullptr &&
                          getenv("LISTEN_FDNAMES") == nullptr;
    _exit(is_clean && holds(sockets) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_rejected(const Result<std::map<std::string, int>>& sockets) {
  return sockets.status().code() == Code::kRejected;
}

TEST(InheritedSockets, AreTakenByNameAndNotPassedOn) {
  EXPECT_TRUE(in_a_child({.count = "2", .names = "car:gps"}, [](const auto& sockets) {
    return sockets.ok() && sockets.value() == std::map<std::string, int>{{"car", 3}, {"gps", 4}} &&
           (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(4, F_GETFD) & FD_CLOEXEC) != 0;
  }));
}

TEST(InheritedSockets, AreNoneWithoutAnAnnouncement) {
  const auto sockets = take_inherited_sockets();
  ASSERT_TRUE(sockets.ok());
  EXPECT_TRUE(sockets.value().empty());
}

TEST(InheritedSockets, AreNotOursIfMeantForAnotherProcess) {
  EXPECT_TRUE(in_a_child({.pid = "1", .count = "2", .names = "a:b"}, [](const auto& sockets) {
    return sockets.ok() && sockets.value().empty();
  }));
}

TEST(InheritedSockets, AreRefusedIfTheAnnouncementIsNotTrue) {
  EXPECT_TRUE(in_a_child({.pid = "x", .count = "2", .names = "a:b"}, is_rejected));
  EXPECT_TRUE(in_a_child({.count = "x", .names = "a:b"}, is_rejected));
  EXPECT_TRUE(in_a_child({.count = "-1", .names = "a"}, is_rejected));
  EXPECT_TRUE(in_a_child({.count = "65", .names = "a"}, is_rejected));
  EXPECT_TRUE(in_a_child({.count = "2", .names = "a"}, is_rejected)) << "a name too few";
  EXPECT_TRUE(in_a_child({.count = "2", .names = "a:b:c"}, is_rejected)) << "a name too many";
  EXPECT_TRUE(in_a_child({.count = "2", .names = "a:a"}, is_rejected)) << "a name twice";
  EXPECT_TRUE(in_a_child({.count = "2", .names = "a:"}, is_rejected)) << "an empty name";
  EXPECT_TRUE(in_a_child({.count = "2", .names = "a:b", .descriptors = 1}, is_rejected))
      << "a descriptor that is not open";
}

}  // namespace
}  // namespace pitbox
