#include "apps/launch/process_stats.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace pitbox {
namespace {

struct Stat {
  std::string name;
  double seconds = 0;
};

// proc(5): the name stands in parentheses and may hold any character.
Stat read_stat(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  const std::size_t begins = line.find('(');
  const std::size_t ends = line.rfind(')');
  if (begins == std::string::npos || ends == std::string::npos) return {};
  std::istringstream words(line.substr(ends + 1));
  std::vector<std::string> columns;
  for (std::string word; words >> word;) columns.push_back(word);
  // From `state` on: utime and stime are the 12th and the 13th.
  constexpr std::size_t kUser = 11;
  if (columns.size() < kUser + 2) return {};
  const double ticks = std::stod(columns[kUser]) + std::stod(columns[kUser + 1]);
  return {.name = line.substr(begins + 1, ends - begins - 1),
          .seconds = ticks / static_cast<double>(sysconf(_SC_CLK_TCK))};
}

}  // namespace

double processor_seconds(pid_t pid) {
  return read_stat("/proc/" + std::to_string(pid) + "/stat").seconds;
}

std::map<std::string, double> thread_seconds(pid_t pid) {
  std::map<std::string, double> seconds;
  std::error_code error;
  std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/task", error);
  for (const std::filesystem::directory_iterator end; !error && it != end; it.increment(error)) {
    const Stat stat = read_stat(it->path() / "stat");
    if (!stat.name.empty()) seconds[stat.name] += stat.seconds;
  }
  return seconds;
}

std::uint64_t memory_kib(pid_t pid, std::string_view key) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      return std::stoull(line.substr(key.size() + 1));
    }
  }
  return 0;
}

}  // namespace pitbox
