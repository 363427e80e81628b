#include "buffer/rekeying.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

namespace pitbox {
namespace {

bool same_anchor(const std::optional<ClockReading>& a, const std::optional<ClockReading>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || (a->boot_id == b->boot_id && a->wall_minus_boot_ns() == b->wall_minus_boot_ns());
}

}  // namespace

Result<std::unique_ptr<Rekeying>> Rekeying::open(const std::filesystem::path& file,
                                                 const RangeSet& held, Range range) {
  auto reader = JournalReader::open(file);
  if (!reader.ok()) return Status(reader.status()).within("rekey");
  std::unique_ptr<Rekeying> rekeying(new Rekeying(std::move(reader).take()));
  auto laps = rekeying->reader_->laps();
  if (!laps.ok()) return Status(laps.status()).within("rekey");
  for (StoredLap& lap : laps.value()) rekeying->laps_.emplace(lap.sequence, std::move(lap));
  rekeying->held_ = held;
  rekeying->range_ = range;
  return rekeying;
}

Result<Rekeying::Chunk> Rekeying::next_chunk(BootNs now) {
  Chunk chunk;
  RangeSet copied;
  std::size_t seen = 0;
  std::size_t bytes = 0;
  std::uint64_t stop = range_.last + 1;  // First sequence that is left to the next chunk.
  const auto visit = [&](const StoredEntry& entry) {
    if (entry.first > range_.last) return false;
    const bool full = seen++ >= kEntriesPerChunk || bytes >= kBytesPerChunk;
    std::optional<ClockReading> anchor;
    if (entry.is_event && entry.kind == "clock_anchor") anchor = parse_clock_anchor(entry.bytes);
    if (full || (anchor && chunk.entries > 0 && !same_anchor(anchor, chunk.anchor))) {
      stop = entry.first;
      return false;
    }
    if (anchor) anchor_ = anchor;
    if (entry.first < range_.first || held_.contains(entry.first)) return true;
    if (!anchor) {
      if (chunk.entries == 0) chunk.anchor = anchor_;
      if (!copy(entry, chunk).ok()) return true;
      bytes += entry.bytes.size();
    }
    chunk.bytes += entry.bytes.size();
    // An anchor is not copied: the chunk brings the one it needs.
    copied.add(Range{entry.first, std::min(entry.last, range_.last)});
    return true;
  };
  if (Status scanned = reader_->scan(scan_from_, visit); !scanned.ok()) return scanned;
  scan_from_ = stop;
  // What is neither held nor copied by now is a row that cannot be read, or is not there at all.
  RangeSet unreadable;
  if (range_.first < stop) {
    RangeSet known = held_;
    known.add_all(copied);
    for (const Range& range : known.missing({range_.first, stop - 1})) unreadable.add(range);
    range_.first = stop;
  }
  chunk.done = stop > range_.last;
  chunk.unreadable = unreadable.count();
  add_tombstones(copied, "rekeyed", now, chunk);
  add_tombstones(unreadable, "unreadable", now, chunk);
  return chunk;
}

void Rekeying::append(Chunk chunk, Commit& commit) {
  for (NewLap& lap : chunk.laps) {
    lap.event_index += commit.events.size();
    commit.laps.push_back(std::move(lap));
  }
  for (NewEvent& event : chunk.events) commit.events.push_back(std::move(event));
  for (NewBatch& batch : chunk.batches) commit.batches.push_back(std::move(batch));
}

Rekeying::Chunk Rekeying::give_up(BootNs now) {
  Chunk chunk;
  chunk.done = true;
  RangeSet rest;
  if (range_.first <= range_.last) {
    for (const Range& range : held_.missing(range_)) rest.add(range);
  }
  chunk.unreadable = rest.count();
  add_tombstones(rest, "unreadable", now, chunk);
  return chunk;
}

Rekeying::Chunk Rekeying::next_or_give_up(BootNs now) {
  auto next = next_chunk(now);
  if (!next.ok()) spdlog::error("rekey: {}", next.status().message());
  Chunk chunk = next.ok() ? std::move(next).take() : give_up(now);
  if (chunk.unreadable > 0) {
    spdlog::error("{} entries of incarnation {} cannot be read again", chunk.unreadable,
                  hex_id(incarnation()));
  }
  return chunk;
}

Status Rekeying::copy(const StoredEntry& entry, Chunk& chunk) {
  if (entry.is_event) {
    const auto lap = laps_.find(entry.first);
    if (lap != laps_.end()) {
      const StoredLap& stored = lap->second;
      chunk.laps.push_back(NewLap{.event_index = chunk.events.size(),
                                  .car = stored.car,
                                  .lap = stored.lap,
                                  .kind = stored.kind,
                                  .lap_time_ms = stored.lap_time_ms,
                                  .sector_time_ms = stored.sector_time_ms,
                                  .started_at_ms = stored.started_at_ms,
                                  .evidence = stored.evidence});
    }
    chunk.events.push_back(NewEvent{
        .car = entry.car, .kind = entry.kind, .time_ns = entry.first_ns, .bytes = entry.bytes});
    ++chunk.entries;
    return {};
  }
  if (entry.hashes.size() != 1) {
    return Status(Code::kRejected, "a block of several sequences is not copied");
  }
  EncodedBatch batch{.blob = entry.bytes,
                     .hash = entry.hashes.front(),
                     .rows = entry.rows,
                     .samples = entry.samples,
                     .first_receive_ns = entry.first_ns,
                     .last_receive_ns = entry.last_ns,
                     .definitions = {}};
  for (const std::uint64_t prefix : entry.definitions) {
    auto definition = reader_->definition(prefix);
    if (!definition.ok()) return definition.status();
    if (definition.value() == nullptr) return Status(Code::kCorrupt, "a definition is not there");
    batch.definitions.push_back(definition.value());
  }
  chunk.batches.push_back(NewBatch{.car = entry.car, .batch = std::move(batch)});
  ++chunk.entries;
  return {};
}

void Rekeying::add_tombstones(const RangeSet& ranges, const char* reason, BootNs now,
                              Chunk& chunk) const {
  chunk.answered.add_all(ranges);
  for (const Range& range : ranges.ranges()) {
    chunk.events.push_back(
        tombstone_event({.incarnation = incarnation(), .range = range, .reason = reason}, now));
  }
}

}  // namespace pitbox
