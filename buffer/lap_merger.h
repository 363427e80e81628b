// LapMerger: which batches of the live journal are coded together next, and the block they become
// (block.h): those of one car between two of its lap events, once the room has all of that. A lap
// that is too large for a block becomes several.
//
//   note_lap(7, 120) ...(7, 890)         settled: 1..1500
//     batches of car 7 in 121..890  --64 a step-->  BlockBuilder  -->  NewBlock, to be committed
//
// Threads: the recorder's. Reads the file as every reader does; changes nothing. A step reads at
// most kBatchesPerStep batches, and codes at most one block (kMaxBlockRawBytes). Memory: a number
// for each lap that is not merged yet, and the block being made.

#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "buffer/block.h"
#include "buffer/journal.h"
#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

class LapMerger {
 public:
  static constexpr std::size_t kBatchesPerStep = 64;

  // From now on of this file, whose laps it looks up when it steps; empty: of none.
  void restart(std::filesystem::path file);
  // A lap event of that car was committed.
  void note_lap(const std::string& car, std::uint64_t sequence);
  // Something may have been acknowledged since.
  void look_again() { is_waiting_ = false; }
  // Whether a step may find something to do.
  bool has_work() const { return !file_.empty() && !is_waiting_; }

  // `settled`: what may be merged. A block, when one is ready: it counts once it is committed, and
  // whoever does not commit it need not say so. What cannot be read is left as it is.
  Result<std::optional<NewBlock>> step(const RangeSet& settled);

 private:
  struct Laps {
    std::uint64_t from = 0;          // The lap event before the next lap; 0: the file's beginning.
    std::deque<std::uint64_t> ends;  // The lap events after it.
  };
  struct Job {
    std::string car;
    Range rest;
    BlockBuilder builder;
  };
  void choose(const RangeSet& settled);
  Status read_laps(JournalReader& reader);
  std::optional<NewBlock> collect(JournalReader& reader, std::uint64_t sequence);
  static std::optional<NewBlock> finish(Job& job);

  std::filesystem::path file_;
  bool knows_laps_ = false;           // Those of before restart().
  bool is_waiting_ = false;           // Nothing to do until something changes.
  std::map<std::string, Laps> laps_;  // By car.
  std::optional<Job> job_;
};

}  // namespace pitbox
