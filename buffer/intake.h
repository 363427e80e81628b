// Intake: what was understood since the last commit. The decoders' sink: rows go to the batch
// builder, the lap engine and the live values; rejects, gaps and drops are counted where they
// happen. take() hands everything over for a commit, forget() throws it away (it will come again
// from the ring).
//
// Limit: nothing here is refused for lack of room; wants_commit() asks for a commit instead, and
// the recorder reads no further message before it.
//
// Threads: the recorder's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer/batch_builder.h"
#include "buffer/clock.h"
#include "buffer/conservation.h"
#include "buffer/decoder.h"
#include "buffer/gap_tracker.h"
#include "buffer/lap_engine.h"
#include "buffer/live_values.h"

namespace pitbox {

using MakeLapEngine = std::function<std::unique_ptr<LapEngine>()>;  // Empty: no laps.

class Intake final : public RecordSink {
 public:
  struct Options {
    BatchBuilder::Options batch;
    std::size_t memory_bytes = std::size_t{64}
                               << 20;  // Of rows and batches, before wants_commit().
    std::vector<std::string> live_channels;
  };
  Intake(const Options& options, MakeLapEngine make_lap_engine);

  // The message that the next calls belong to: its source, when the message before it came (0: no
  // telling) and when it came.
  void begin(std::string_view source, BootNs from_ns, BootNs to_ns);
  void rows(const RowBlock& block) override;
  void reject(RejectReason reason, std::uint64_t records) override;
  void gap(std::string_view car, std::string_view reason, std::uint64_t count,
           std::string_view unit) override;
  // Messages that the kernel dropped before this one.
  // `is_exact`: there were not more.
  void unheard(std::uint64_t messages, bool is_exact);
  // Messages heard and lost, with a gap record.
  void lose(DropReason reason, std::string_view gap_reason, std::uint64_t messages);

  // The session ends: the in laps of cars that are on one.
  void finish_laps(BootNs now);
  // A lap ended: commit at once.
  bool has_laps() const { return !laps_.empty(); }
  // Memory asks for a commit.
  bool wants_commit() const;

  struct Harvest {
    std::vector<NewBatch> batches;
    std::vector<Gap> gaps;
    std::vector<std::pair<LapRecord, BootNs>> laps;  // And when the recorder knew.
  };
  Harvest take();
  void forget();

  // Null if there is none.
  LapEngine* lap_engine() { return lap_engine_.get(); }
  // A new lap engine that knows `state`; kCorrupt, and as new, if it cannot be read.
  Status restart_laps(std::string_view state);

  Conservation& conservation() { return conservation_; }
  const Conservation& conservation() const { return conservation_; }
  LiveValues& live() { return live_; }

 private:
  void add_gap(std::string_view car, std::string_view reason, std::uint64_t count,
               std::string_view unit);

  const std::size_t memory_bytes_;
  const MakeLapEngine make_lap_engine_;
  BatchBuilder builder_;
  GapTracker gaps_;
  std::unique_ptr<LapEngine> lap_engine_;
  std::vector<LapRecord> ended_;  // Memory of rows().
  std::vector<std::pair<LapRecord, BootNs>> laps_;
  LiveValues live_;
  Conservation conservation_;
  std::string_view source_;
  BootNs from_ns_ = 0;
  BootNs to_ns_ = 0;
};

}  // namespace pitbox
