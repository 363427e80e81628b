// World: one simulated run. A seed chooses the cars, the faults and the order of everything; a box
// with the real recorder and link, and the real room, live through it; then the faults stop, the
// session ends, and the judge looks (judge.h).
//
//   cars -> kernel's buffer -> ring -> recorder -> journal (SimDisk) -> link -> SimNetwork -> rooms
//
// Faults: a process dies at any step or inside any operation on its disk; power is lost; the disk
// reports errors, is full or small; the network is cut, slow to say so, or resets; the room is
// restored from an older copy; the live journal is replaced by a copy; an older copy of a journal
// or of the whole state is put back; a second laptop goes on with a copy of the state under the
// same identity; the wall clock jumps; a thread stands still while the others go on.
//
// Threads: one. Time is simulated: a run takes some 40 ms, of which most is opening databases.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pitbox::simulation {

struct RunOptions {
  std::uint64_t seed = 1;
  std::filesystem::path folder;  // Emptied first; removed after a good run.
  bool keeps_trace = true;
};

struct RunResult {
  std::vector<std::string> faults;  // Empty: every promise was kept.
  std::vector<std::string> trace;   // What happened, oldest first.
  std::uint64_t digest = 0;         // Of the trace: the same for each run of a seed.
  std::int64_t simulated_ns = 0;
  std::uint64_t rows = 0;
  std::uint64_t lost_rows = 0;  // In power cuts, within the window.
  std::uint64_t kills = 0;      // Of box and room.
  std::uint64_t power_cuts = 0;
  std::uint64_t given_up_rows = 0;      // Of a disk that was too small.
  std::uint64_t journaled_batches = 0;  // In the boxes' journals at the end...
  std::uint64_t merged_batches = 0;     // ...and of them, those in blocks.
  // What each power cut of the box cost: from the oldest row lost to the cut.
  std::vector<std::int64_t> plain_losses_ns;  // Nothing else was wrong...
  std::vector<std::int64_t> other_losses_ns;  // ...or something was.
};

RunResult run_world(const RunOptions& options);

}  // namespace pitbox::simulation
