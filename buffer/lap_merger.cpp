#include "buffer/lap_merger.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "buffer/journal_reader.h"
#include "buffer/journal_rows.h"
#include "proto/batch.h"

namespace pitbox {

static_assert(LapMerger::kBatchesPerStep == JournalRows::kRowsPerStep);

void LapMerger::restart(std::filesystem::path file) {
  *this = LapMerger();
  file_ = std::move(file);
}

void LapMerger::note_lap(const std::string& car, std::uint64_t sequence) {
  is_waiting_ = false;
  if (!knows_laps_) return;  // It is read with all the others.
  cars_.insert(car);
  ends_.push_back(sequence);
  make_rounds();
}

Status LapMerger::read_laps(JournalReader& reader) {
  const auto laps = reader.moments("lap");
  if (!laps.ok()) return laps.status();
  for (const StoredMoment& lap : laps.value()) {
    cars_.insert(lap.car);
    ends_.push_back(lap.sequence);
  }
  knows_laps_ = true;
  make_rounds();
  return {};
}

void LapMerger::make_rounds() {
  while (!ends_.empty() && ends_.size() >= cars_.size()) {
    const auto last = ends_.begin() + static_cast<std::ptrdiff_t>(cars_.size()) - 1;
    rounds_.push_back({from_ + 1, *last});
    from_ = *last;
    ends_.erase(ends_.begin(), last + 1);
  }
}

// Not only the first: what the room never gets holds up no more than its own round.
void LapMerger::choose(const RangeSet& settled) {
  const auto round = std::find_if(rounds_.begin(), rounds_.end(),
                                  [&](const Range& range) { return settled.contains(range); });
  is_waiting_ = round == rounds_.end();
  if (is_waiting_) return;
  job_.emplace(Job{.rest = *round});
  rounds_.erase(round);
}

void LapMerger::finish(BlockBuilder& builder) {
  // One batch alone is as small as it gets.
  if (builder.batches() >= 2) {
    if (auto block = builder.finish()) job_->ready.push_back(*std::move(block));
  }
  builder.clear();
}

bool LapMerger::Job::is_full() const {
  std::size_t raw_bytes = ready.size() * kMaxBlockRawBytes;
  for (const auto& [car, builder] : builders) raw_bytes += builder.raw_bytes();
  return batches >= kBatchesPerCommit || raw_bytes >= kRawBytesPerCommit;
}

std::vector<NewBlock> LapMerger::take() {
  for (auto& [car, builder] : job_->builders) finish(builder);
  job_->batches = 0;
  return std::exchange(job_->ready, {});
}

void LapMerger::collect(JournalReader& reader, std::uint64_t sequence) {
  const auto entry = reader.entry(sequence);
  if (!entry.ok()) return;
  const StoredEntry& batch = entry.value();
  const auto decoded = decode_batch(batch.car, batch.bytes, [&](std::uint64_t prefix) {
    const auto found = reader.definition(prefix);
    return found.ok() ? found.value() : DefinitionPtr();
  });
  // What is not what it says it is stays as it is.
  const bool is_good =
      batch.first == batch.last && decoded.ok() && decoded.value().hash == batch.hashes.front();
  if (!is_good) return;
  BlockBuilder& builder = job_->builders.try_emplace(batch.car, batch.car).first->second;
  if (!builder.add(sequence, batch.bytes.size(), decoded.value())) {
    finish(builder);
    // Too large even by itself: it stays as it is.
    if (!builder.add(sequence, batch.bytes.size(), decoded.value())) return;
  }
  ++job_->batches;
}

Status LapMerger::read_batches(JournalReader& reader, const RangeSet& settled) {
  Range& rest = job_->rest;
  const Range look{rest.first, std::min(rest.last, rest.first + kSequencesPerStep - 1)};
  const auto found = reader.unmerged(look);
  if (!found.ok()) return found.status();
  const bool is_all = found.value().size() < kBatchesPerStep;
  rest.first = (is_all ? look.last : found.value().back()) + 1;
  for (const std::uint64_t sequence : found.value()) {
    // The room may have lost some meanwhile.
    if (settled.contains(sequence)) collect(reader, sequence);
  }
  return {};
}

Result<std::vector<NewBlock>> LapMerger::step(const RangeSet& settled) {
  if (!has_work()) return std::vector<NewBlock>();
  if (knows_laps_ && !job_) choose(settled);
  if (knows_laps_ && !job_) return std::vector<NewBlock>();
  auto opened = JournalReader::open(file_);
  Status status = opened.status();
  if (status.ok() && !knows_laps_) {
    status = read_laps(*opened.value());
    return status.ok() ? Result<std::vector<NewBlock>>(std::vector<NewBlock>()) : status;
  }
  if (status.ok()) status = read_batches(*opened.value(), settled);
  if (!status.ok()) {
    job_.reset();
    return status;
  }
  const bool is_done = job_->rest.first > job_->rest.last;
  if (!is_done && !job_->is_full()) return std::vector<NewBlock>();
  std::vector<NewBlock> blocks = take();
  if (is_done) job_.reset();
  return blocks;
}

}  // namespace pitbox
