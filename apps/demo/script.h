// The demonstration: about 90 seconds in which everything goes wrong that goes wrong on a race
// weekend, and then the books are compared.
//
//     0 s  two cars stream; session DEMO starts
//     8 s  the daemon is killed under load and started again
//    16 s  the link is cut: open connections stall, new ones are refused
//    61 s  the link is back; the live edge must return before the backlog is drained
//    70 s  the room is killed under load and started again
//    78 s  the daemon is killed again
//    86 s  the cars stop; the session ends; the room must complete it
//
// The expected numbers come from the simulator's own ledger, never from the daemon.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "proto/status.h"

namespace pitbox {

struct DemoOptions {
  std::filesystem::path programs;
  std::filesystem::path folder;  // Of this run; removed by the caller if it went well.
  std::uint64_t seed = 7;
};

// Rows, unless another unit is named.
struct DemoLedger {
  std::uint64_t expected = 0;       // What the simulator sent.
  std::uint64_t heard = 0;          // What the daemons decoded, together.
  std::uint64_t journaled = 0;      // In the journal files.
  std::uint64_t room = 0;           // In the room's store.
  std::uint64_t missing = 0;        // Sent, and not in both of them.
  std::uint64_t duplicated = 0;     // More than once in either.
  std::uint64_t different = 0;      // There, with other values.
  std::uint64_t gaps = 0;           // Gap records.
  std::int64_t live_again_ms = -1;  // From the link's return to the first new row at the room.
  std::uint64_t backlog_then = 0;   // Batches still waiting at that moment.
  std::vector<std::string> states;  // As they followed one another.

  // Why the run does not count as good; empty if it does.
  std::vector<std::string> faults() const;
};

// Plays the script, telling each step on standard error.
Result<DemoLedger> play_demo(const DemoOptions& options);

std::string to_json(const DemoLedger& ledger);
std::string to_table(const DemoLedger& ledger);

}  // namespace pitbox
