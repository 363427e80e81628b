#include "apps/pitbox/command.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <ctime>

namespace pitbox {
namespace {

constexpr auto kProgressAfter = std::chrono::seconds(2);
constexpr auto kProgressEvery = std::chrono::milliseconds(200);
constexpr auto kProgressEveryInLogs = std::chrono::seconds(10);

volatile std::sig_atomic_t interrupted = 0;
void note_interrupt(int /*signal*/) {
  interrupted = 1;
}

}  // namespace

int fail(const Status& status) {
  std::fprintf(stderr, "pitbox: %s\n", status.message().c_str());
  return kExitFailed;
}

CLI::Option* add_session_option(CLI::App* command, std::string& session) {
  return command
      ->add_option("SESSION", session,
                   "Session id, the beginning of one, a journal file or a session's folder, or "
                   "'latest'")
      ->capture_default_str();
}

Result<SessionFiles> session_of(const CommandContext& context, const std::string& session) {
  return find_session(context.state_directory, session);
}

std::string lap_time_text(std::int64_t milliseconds) {
  std::array<char, 48> text{};
  const char* sign = milliseconds < 0 ? "-" : "";
  const std::int64_t size = milliseconds < 0 ? -milliseconds : milliseconds;
  std::snprintf(text.data(), text.size(), "%s%lld:%02lld.%03lld", sign,
                static_cast<long long>(size / 60'000), static_cast<long long>(size / 1000 % 60),
                static_cast<long long>(size % 1000));
  return text.data();
}

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      next_(std::chrono::steady_clock::now() + kProgressAfter) {}

ProgressLine::~ProgressLine() {
  if (is_shown_ && is_terminal_) std::fputs("\r\033[K", stderr);
}

void ProgressLine::show(std::string_view state) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  is_shown_ = true;
  const int length = static_cast<int>(std::min<std::size_t>(state.size(), 200));
  if (is_terminal_) {
    next_ = now + kProgressEvery;
    std::fprintf(stderr, "\r\033[K%s: %.*s", what_.c_str(), length, state.data());
    std::fflush(stderr);
    return;
  }
  next_ = now + kProgressEveryInLogs;
  std::fprintf(stderr, "%s: %.*s\n", what_.c_str(), length, state.data());
}

void ProgressLine::show_part(std::uint64_t done, std::uint64_t total) {
  const double percent =
      total == 0 ? 100 : 100 * static_cast<double>(done) / static_cast<double>(total);
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%.0f %% (%llu of %llu entries)", percent,
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(total));
  show(text.data());
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;  // Without SA_RESTART: a sleep ends at once.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool was_interrupted() {
  return interrupted != 0;
}

}  // namespace pitbox
