#include "buffer/lap_merger.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "buffer/journal_reader.h"
#include "proto/batch.h"

namespace pitbox {

void LapMerger::restart(std::filesystem::path file) {
  file_ = std::move(file);
  knows_laps_ = false;
  is_waiting_ = false;
  laps_.clear();
  job_.reset();
}

void LapMerger::note_lap(const std::string& car, std::uint64_t sequence) {
  is_waiting_ = false;
  // Else it is read with all the others.
  if (knows_laps_) laps_[car].ends.push_back(sequence);
}

Status LapMerger::read_laps(JournalReader& reader) {
  const auto moments = reader.moments("lap");
  if (!moments.ok()) return moments.status();
  for (const StoredMoment& lap : moments.value()) {
    if (!lap.car.empty()) laps_[lap.car].ends.push_back(lap.sequence);
  }
  knows_laps_ = true;
  return {};
}

void LapMerger::choose(const RangeSet& settled) {
  for (auto& [car, laps] : laps_) {
    if (laps.ends.empty()) continue;
    const Range lap{laps.from + 1, laps.ends.front()};
    if (!settled.contains(lap)) continue;
    laps.from = lap.last;
    laps.ends.pop_front();
    job_.emplace(Job{.car = car, .rest = lap, .builder = BlockBuilder(car)});
    return;
  }
  is_waiting_ = true;
}

std::optional<NewBlock> LapMerger::finish(Job& job) {
  // One batch alone is as small as it gets.
  if (job.builder.batches() < 2) {
    job.builder = BlockBuilder(job.car);
    return std::nullopt;
  }
  return job.builder.finish();
}

// Adds a batch to the block being made; that block, if the batch must begin another one.
std::optional<NewBlock> LapMerger::collect(JournalReader& reader, std::uint64_t sequence) {
  Job& job = *job_;
  job.rest.first = sequence + 1;
  const auto entry = reader.entry(sequence);
  if (!entry.ok()) return std::nullopt;
  const StoredEntry& batch = entry.value();
  const auto decoded = decode_batch(batch.car, batch.bytes, [&](std::uint64_t prefix) {
    const auto found = reader.definition(prefix);
    return found.ok() ? found.value() : DefinitionPtr();
  });
  // What is not what it says it is stays as it is.
  const bool is_good =
      batch.first == batch.last && decoded.ok() && decoded.value().hash == batch.hashes.front();
  if (!is_good || job.builder.add(sequence, batch.bytes.size(), decoded.value())) {
    return std::nullopt;
  }
  std::optional<NewBlock> block = finish(job);
  static_cast<void>(job.builder.add(sequence, batch.bytes.size(), decoded.value()));
  return block;
}

Result<std::optional<NewBlock>> LapMerger::step(const RangeSet& settled) {
  std::optional<NewBlock> block;
  if (!has_work()) return block;
  if (knows_laps_ && !job_) choose(settled);
  if (knows_laps_ && !job_) return block;
  auto opened = JournalReader::open(file_);
  if (!opened.ok()) return opened.status();
  JournalReader& reader = *opened.value();
  if (!knows_laps_) {
    Status read = read_laps(reader);
    return read.ok() ? Result<std::optional<NewBlock>>(std::move(block)) : read;
  }
  const auto found = reader.unmerged(job_->car, job_->rest);
  if (!found.ok()) return found.status();
  for (const std::uint64_t sequence : found.value()) {
    block = collect(reader, sequence);
    if (block) return block;
  }
  if (found.value().size() < kBatchesPerStep) {
    block = finish(*job_);
    job_.reset();
  }
  return block;
}

}  // namespace pitbox
