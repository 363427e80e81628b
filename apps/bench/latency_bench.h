// From a datagram in the kernel to its decoded rows at a subscriber of the room, and what a slow
// car costs (docs/bench.md, "`bench latency`").
//
// Threads: makes its own for as long as it measures; blocks.

#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/disk_probe.h"
#include "apps/bench/latency_reader.h"
#include "proto/status.h"

namespace pitbox {

struct LatencyBenchOptions {
  std::filesystem::path programs;  // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;    // Made, and left to the caller to remove.
  std::vector<int> flush_ms = {100, 5};
  double seconds = 20;   // Of the car, for each.
  std::size_t cars = 1;  // 1..kMaxSimulatedCars
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct LatencyFigures {
  int flush_ms = 0;
  Latencies latencies;
  double cpu_percent = 0;  // Of one core, of the daemon, while the car sent.
  double resident_mib = 0;
  DiskProbe disk;  // Two durable writes are part of every latency.
};

// One for each of `flush_ms`. kRejected, with the reason, if no figure may be printed: a datagram
// was dropped, or this is no release build.
Result<std::vector<LatencyFigures>> measure_latency(const LatencyBenchOptions& options);

std::string to_json(const std::vector<LatencyFigures>& figures);
std::string to_table(const std::vector<LatencyFigures>& figures);

}  // namespace pitbox
