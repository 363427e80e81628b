// How many cars this machine can take, in some minutes (docs/bench.md, "`bench --laptop`").
//
// Threads: makes its own for as long as it measures; blocks.

#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

struct LaptopCheckOptions {
  std::filesystem::path programs;  // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;    // Made, and left to the caller to remove.
  double seconds = 6;              // Of each step.
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct LaptopStep {
  std::size_t cars = 0;
  std::string why_not;     // Empty: it held.
  double cpu_percent = 0;  // Of one core, of the daemon; 0 if it was not measured.
  double late_ms = 0;      // Age at a subscriber (p99), or of the last row in the room.
};

struct LaptopFigures {
  std::vector<LaptopStep> gt3_steps;
  std::vector<LaptopStep> full_steps;
  std::size_t gt3_cars = 0;   // The most that held; 0: none.
  std::size_t full_cars = 0;  // Of 300 channels.
  double fdatasync_p99_ms = 0;
};

// kRejected if this is no release build.
Result<LaptopFigures> check_laptop(const LaptopCheckOptions& options);

std::string to_json(const LaptopFigures& figures);
std::string to_table(const LaptopFigures& figures);

}  // namespace pitbox
