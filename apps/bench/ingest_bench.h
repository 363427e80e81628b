// The whole line under load: generator, daemon and room in processes of their own, and what came of
// it (docs/bench.md, "`bench ingest`").
//
// Threads: one; blocks for the run and for reading the room afterwards.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/limits.h"
#include "apps/bench/load.h"
#include "proto/status.h"

namespace pitbox {

struct IngestBenchOptions {
  std::filesystem::path programs;                      // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;                        // Made, and left to the caller to remove.
  std::vector<LoadCar> kinds = {LoadCar::kSynthetic};  // One run each.
  std::size_t cars = 20;
  double samples_per_second = 22e6;  // Of all cars together; 0: as fast as it goes.
  double seconds = 60;
  bool with_gso = false;         // Of synthetic cars only.
  bool with_limits = true;       // What the machine can do at all, too; else Limits is all zeros.
  double room_patience_s = 300;  // For everything to be in the room, once all is sent.
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct IngestFigures {
  LoadCar kind = LoadCar::kSynthetic;
  LoadTotals sent;
  double offered_per_second = 0;
  double late_ms = 0;
  double seconds = 0;  // From the first datagram until the room had everything.
  double lag_s = 0;
  double processor_s = 0;
  std::map<std::string, double> thread_s;
  std::uint64_t wire_bytes = 0;
  std::uint64_t journal_bytes = 0;
  double commit_p50_ms = 0;
  double commit_p99_ms = 0;
  double resident_mib = 0;
  Limits limits;
  std::vector<IngestFigures> beside;  // Of the other kinds.

  double samples_per_second() const { return static_cast<double>(sent.samples) / seconds; }
  double samples_per_cpu_second() const { return static_cast<double>(sent.samples) / processor_s; }
};

// Of the first kind, the others beside it. kRejected, with the reason, if no figure may be printed
// of one of them.
Result<IngestFigures> measure_ingest(const IngestBenchOptions& options);

std::string to_json(const IngestFigures& figures);
std::string to_table(const IngestFigures& figures);

}  // namespace pitbox
