// What grows while daemon, link and room run for hours (docs/bench.md, "`bench soak`").
//
// Threads: one; blocks as long as it was asked for. Memory: a few numbers a look, 1,200 looks, and
// four more a second while the room acknowledges nothing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

struct SoakOptions {
  std::filesystem::path programs;  // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;    // Made, and left to the caller to remove.
  double hours = 2;
  std::size_t cars = 2;
  double cut_every_s = 600;
  double cut_for_s = 30;
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct SoakLook {
  double seconds = 0;
  double daemon_mib = 0;
  double room_mib = 0;
  std::size_t descriptors = 0;
  double wal_mib = 0;
  double behind_s = 0;
  bool is_cut = false;
};

struct SoakFigures {
  std::vector<SoakLook> looks;
  std::uint64_t records = 0;  // Journaled.
  double completed_s = 0;     // From the session's end until the room had all of it.
  std::string why_not;        // Empty: it held.

  // Medians of the second and the last quarter of the looks; the most of them.
  double memory_before_mib() const;
  double memory_after_mib() const;
  std::size_t descriptors_before() const;
  std::size_t descriptors_after() const;
};

// What did not hold is in the figures, also that it was stopped, or that the daemon died.
Result<SoakFigures> soak(const SoakOptions& options);

std::string to_json(const SoakFigures& figures);
std::string to_table(const SoakFigures& figures);
// The series over time, as SVG.
std::string to_chart(const SoakFigures& figures);

}  // namespace pitbox
