// LapEngines: several lap engines as one. For each car the first of them that times it says what
// its laps are; what the others find of that car is dropped. A car's own counter is better than a
// line on a map.
//
// A car may change over once, when a better engine gets its first evidence: the laps before that
// are the other engine's, and say so (LapRecord::evidence).
//
// Limits: as many engines as are given; their saved states together are what may be saved, 64 KiB.
//
// Threads: the recorder's.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/timed_laps.h"
#include "proto/status.h"

namespace pitbox {

class LapEngines final : public LapEngine {
 public:
  // The best evidence first. REQUIRES: at least one, none null, at most 255.
  explicit LapEngines(std::vector<std::unique_ptr<TimedLaps>> engines);

  void rows(const RowBlock& block, std::vector<LapRecord>& out) override;
  void finish(std::vector<LapRecord>& out) override;
  std::string save() const override;
  // Of the last engine alone, too, as journals from before there were several have it. An engine
  // that refuses its part begins anew, and the others do not; kCorrupt only if the bytes are
  // neither.
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override;

 private:
  bool is_timed_before(std::size_t engine, std::string_view car) const;
  // Moves the laps of `found_` that count to `out`.
  void keep(std::size_t engine, std::vector<LapRecord>& out);

  std::vector<std::unique_ptr<TimedLaps>> engines_;
  std::vector<LapRecord> found_;  // Memory used again.
};

}  // namespace pitbox
