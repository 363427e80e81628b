// From the daemon's exec until it journals again, after SIGKILL under load, with a large live file
// (docs/bench.md, "`bench start`").
//
// Threads: makes its own for as long as it measures; blocks.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

struct StartBenchOptions {
  std::filesystem::path programs;                 // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;                   // Made, and left to the caller to remove.
  std::uint64_t bytes = std::uint64_t{10} << 30;  // Of the live file, at least.
  int kills = 10;
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct StartFigures {
  std::uint64_t bytes = 0;       // Of the file and its WAL, at the end.
  std::vector<double> start_ms;  // One for each kill, ascending.
  int flush_ms = 0;              // Of the daemon, part of each.
};

// kRejected, with the reason, if no figure may be printed: another file took over, a datagram was
// dropped, or this is no release build.
Result<StartFigures> measure_start(const StartBenchOptions& options);

std::string to_json(const StartFigures& figures);
std::string to_table(const StartFigures& figures);

}  // namespace pitbox
