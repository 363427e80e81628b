// What every command of `pitbox` shares: the registration functions, how a SESSION is found, how an
// outcome becomes an exit code, and small pieces of output.
//
// A command is one file with one `add_..._command`. It registers its options and a callback; the
// callback does the work and leaves its exit code in the context. One thread.

#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "buffer/session_store.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;      // A comparison found a difference.
inline constexpr int kExitFailed = 2;  // Wrong usage, or something could not be read or reached.

struct CommandContext {
  std::filesystem::path state_directory;
  std::filesystem::path runtime_directory;  // Where the daemon's control socket is.
  int exit_code = kExitDone;
};

void add_status_command(CLI::App& app, CommandContext& context);
void add_session_command(CLI::App& app, CommandContext& context);
void add_mark_command(CLI::App& app, CommandContext& context);
void add_sim_command(CLI::App& app, CommandContext& context);
void add_feed_command(CLI::App& app, CommandContext& context);
void add_sniff_command(CLI::App& app, CommandContext& context);
void add_sessions_command(CLI::App& app, CommandContext& context);
void add_laps_command(CLI::App& app, CommandContext& context);
void add_channels_command(CLI::App& app, CommandContext& context);
void add_export_command(CLI::App& app, CommandContext& context);
void add_verify_command(CLI::App& app, CommandContext& context);
void add_ledger_command(CLI::App& app, CommandContext& context);
void add_salvage_command(CLI::App& app, CommandContext& context);
void add_bench_command(CLI::App& app, CommandContext& context);
void add_fsck_command(CLI::App& app, CommandContext& context);

// Prints "pitbox: MESSAGE" on stderr; kExitFailed.
int fail(const Status& status);
// The SESSION argument, with the words that explain it in --help.
CLI::Option* add_session_option(CLI::App* command, std::string& session);
Result<SessionFiles> session_of(const CommandContext& context, const std::string& session);

// `pitbox sessions`, and `pitbox session list`.
void list_sessions_to_stdout(CommandContext& context, bool as_json);

// 92345 as "1:32.345"; minutes do not roll into hours.
std::string lap_time_text(std::int64_t milliseconds);

// One line on stderr, rewritten in place, for work that takes longer than two seconds; silent where
// stderr is no terminal, but for one line every ten seconds.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(std::string_view state);
  void show_part(std::uint64_t done, std::uint64_t total);

 private:
  using Moment = std::chrono::steady_clock::time_point;
  const std::string what_;
  const bool is_terminal_;
  Moment next_;
  bool is_shown_ = false;
};

// Ctrl-C and SIGTERM end a command at its next convenience instead of at once.
void catch_interrupts();
bool was_interrupted();

}  // namespace pitbox
