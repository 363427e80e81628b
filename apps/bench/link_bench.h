// How fast a backlog drains, and what the live edge is worth meanwhile (docs/bench.md, "`bench
// link`"): a made journal, a link that was cut and comes back, a GT3 car that goes on sending.
//
// Threads: makes its own for as long as it measures; blocks.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "apps/bench/latency_reader.h"
#include "proto/status.h"

namespace pitbox {

struct LinkBenchOptions {
  std::filesystem::path programs;  // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;    // Made, and left to the caller to remove.
  std::uint64_t bytes = std::uint64_t{2} << 30;
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct LinkFigures {
  double websocket_mb_per_second = 0;  // The raw limit, in the same run.
  std::uint64_t backlog_bytes = 0;     // Batches and events of the backlog's journal.
  double drain_s = 0;                  // From the first TCP connection's acceptance until all of it
                                       // was acknowledged.
  double first_entry_s = 0;            // Until a subscriber of the room had its first entry.
  Latencies live;                      // Of a GT3 car's rows received meanwhile.
  double daemon_cpu_s = 0;
  double room_cpu_s = 0;

  double mb_per_second() const { return static_cast<double>(backlog_bytes) / 1e6 / drain_s; }
};

// kRejected, with the reason, if no figure may be printed of it.
Result<LinkFigures> measure_link(const LinkBenchOptions& options);

std::string to_json(const LinkFigures& figures);
std::string to_table(const LinkFigures& figures);

}  // namespace pitbox
