// LapMerger: which batches of the live journal are coded together next, and the blocks they become
// (block.h). It goes in rounds: as many lap events as there are cars, so about a lap of each. Once
// the room has all of a round, its batches are read in order, and what a commit may take becomes
// one block for each car.
//
//   lap events of 7, 11, 7, 11:   ... 120 ... 131 | ... 890 ... 902 |      settled: 1..1500
//   batches in 132..902  --64 a step-->  BlockBuilders of 7 and 11  -->  NewBlocks, one commit
//
// All cars together, because their batches alternate: a commit writes each page it touches once,
// and with 46 cars it would otherwise be written 46 times.
//
// Threads: the recorder's. Reads the file as every reader does; changes nothing. A step looks at
// kSequencesPerStep sequences, reads at most kBatchesPerStep batches, and codes at most
// kRawBytesPerCommit. Memory: that, and some numbers for each lap that is not merged yet.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/block.h"
#include "buffer/journal.h"
#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

class LapMerger {
 public:
  static constexpr std::size_t kBatchesPerStep = 64;
  static constexpr std::uint64_t kSequencesPerStep = 4096;
  static constexpr std::size_t kBatchesPerCommit = 2048;
  static constexpr std::size_t kRawBytesPerCommit = std::size_t{4} << 20;

  // From now on of this file, whose laps it looks up when it steps; empty: of none.
  void restart(std::filesystem::path file);
  // A lap event of that car was committed.
  void note_lap(const std::string& car, std::uint64_t sequence);
  // Something may have been acknowledged since.
  void look_again() { is_waiting_ = false; }
  // Whether a step may find something to do.
  bool has_work() const { return !file_.empty() && !is_waiting_; }

  // `settled`: what may be merged. Blocks, when some are ready: they count once they are committed,
  // and whoever does not commit them need not say so. What cannot be read is left as it is; after
  // an error the round is.
  Result<std::vector<NewBlock>> step(const RangeSet& settled);

 private:
  struct Job {
    Range rest;
    std::map<std::string, BlockBuilder> builders{};  // By car.
    std::vector<NewBlock> ready{};                   // Of cars that needed more than one.
    std::size_t batches = 0;
    bool is_full() const;
  };
  void make_rounds();
  void choose(const RangeSet& settled);
  Status read_laps(JournalReader& reader);
  Status read_batches(JournalReader& reader, const RangeSet& settled);
  void collect(JournalReader& reader, std::uint64_t sequence);
  void finish(BlockBuilder& builder);
  std::vector<NewBlock> take();

  std::filesystem::path file_;
  bool knows_laps_ = false;  // Those of before restart().
  bool is_waiting_ = false;  // Nothing to do until something changes.
  std::set<std::string> cars_;
  std::deque<std::uint64_t> ends_;  // Lap events that are in no round yet; rising.
  std::uint64_t from_ = 0;          // Where the next round begins: after this.
  std::deque<Range> rounds_;        // Not merged yet.
  std::optional<Job> job_;
};

}  // namespace pitbox
