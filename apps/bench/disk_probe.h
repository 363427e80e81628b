// DiskProbe: what one durable write costs on the disk of a run, measured right before it: the limit
// that every durable figure is to be read against, since it differs by ten between machines and
// hours.
//
// Threads: any; blocks for kWrites writes (tens of milliseconds to seconds).

#pragma once

#include <filesystem>

#include "proto/status.h"

namespace pitbox {

struct DiskProbe {
  static constexpr int kWrites = 400;  // So that p99 rests on four of them.
  double p50_ms = 0;
  double p99_ms = 0;

  // Appends 4 KiB and calls fdatasync, kWrites times, to a file in `folder` that is removed again.
  static Result<DiskProbe> measure(const std::filesystem::path& folder);
};

}  // namespace pitbox
