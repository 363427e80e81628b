// What the machine can do at all, measured in the run whose figures are to be read against it
// (docs/bench.md, `limits`).
//
// Threads: one; each blocks for some seconds.

#pragma once

#include <filesystem>

#include "apps/bench/disk_probe.h"
#include "apps/bench/load.h"
#include "proto/status.h"

namespace pitbox {

struct ZstdLimit {
  double samples_per_second = 0;
  double bytes_per_sample = 0;
};

struct Limits {
  double null_sink = 0;  // Datagrams/s.
  DiskProbe fdatasync;
  double append_mb_per_second = 0;
  ZstdLimit zstd;
  double websocket_mb_per_second = 0;  // websocket_limit.h
};

// Datagrams of a load per second that a socket of loopback takes and throws away, one thread
// sending and one receiving.
Result<double> measure_null_sink(bool with_gso);
// In MB/s: 16 MiB appended to a file in `folder` and made durable, sixteen times.
Result<double> measure_append(const std::filesystem::path& folder);
// A loop's samples of one car through zstd 1, in pieces of 256 KiB.
Result<ZstdLimit> measure_zstd(LoadCar kind);
// All but zstd.
Result<Limits> measure_limits(const std::filesystem::path& folder, bool with_gso);

}  // namespace pitbox
