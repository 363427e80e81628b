#include "ingest/inherited_sockets.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

namespace pitbox {
namespace {

constexpr int kFirstDescriptor = 3;
constexpr int kSocketsMax = 64;  // One per source; more sources than that no box has.

std::string take_variable(const char* name) {
  const char* value = getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

std::optional<int> parse_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::size_t begin = 0;
  for (std::size_t end = text.find(':'); end != std::string::npos; end = text.find(':', begin)) {
    names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  names.push_back(text.substr(begin));
  return names;
}

}  // namespace

Result<std::map<std::string, int>> take_inherited_sockets() {
  const std::string pid_text = take_variable("LISTEN_PID");
  const std::string count_text = take_variable("LISTEN_FDS");
  const std::string names_text = take_variable("LISTEN_FDNAMES");
  std::map<std::string, int> sockets;
  if (pid_text.empty() || count_text.empty()) return sockets;
  const auto pid = parse_number(pid_text);
  if (!pid) return Status(Code::kRejected, "LISTEN_PID is not a number");
  if (*pid != getpid()) return sockets;
  const auto count = parse_number(count_text);
  if (!count || *count < 0 || *count > kSocketsMax) {
    return Status(Code::kRejected, "LISTEN_FDS must be 0 to 64");
  }
  if (*count == 0) return sockets;

  const std::vector<std::string> names = split_names(names_text);
  if (names.size() != static_cast<std::size_t>(*count)) {
    return Status(Code::kRejected, "LISTEN_FDNAMES must name each of LISTEN_FDS");
  }
  for (int i = 0; i < *count; ++i) {
    const int descriptor = kFirstDescriptor + i;
    const std::string& name = names[static_cast<std::size_t>(i)];
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
      return Status(Code::kRejected,
                    "LISTEN_FDS: descriptor " + std::to_string(descriptor) + " is not open");
    }
    if (name.empty() || !sockets.emplace(name, descriptor).second) {
      return Status(Code::kRejected, "LISTEN_FDNAMES: \"" + name + "\" is empty or stands twice");
    }
  }
  return sockets;
}

}  // namespace pitbox
