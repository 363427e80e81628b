// What the disk can take, and what the journal makes of it (docs/bench.md, "`bench disk`").
//
// Threads: one; blocks for some seconds.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "apps/bench/disk_probe.h"
#include "proto/status.h"

namespace pitbox {

struct DiskBenchOptions {
  std::filesystem::path folder;  // On the disk to be measured; made, left to the caller to remove.
  std::uint64_t bytes = std::uint64_t{256} << 20;  // Of batches to journal.
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct DiskFigures {
  DiskProbe fdatasync;
  double append_mb_per_second = 0;
  // Decoding, encoding and journaling on one thread, a durable commit for each 100 ms of the cars'
  // time.
  double journal_mb_per_second = 0;
  double journal_samples_per_second = 0;
};

// kRejected, with the reason, if no figure may be printed.
Result<DiskFigures> measure_disk(const DiskBenchOptions& options);

std::string to_json(const DiskFigures& figures);
std::string to_table(const DiskFigures& figures);

}  // namespace pitbox
