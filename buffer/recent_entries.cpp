#include "buffer/recent_entries.h"

#include <numeric>
#include <utility>

#include "proto/content_hash.h"

namespace pitbox {
namespace {

StoredEntry stored(NewEvent event) {
  StoredEntry entry;
  entry.is_event = true;
  entry.kind = std::move(event.kind);
  entry.car = std::move(event.car);
  entry.first_ns = entry.last_ns = event.time_ns;
  entry.hashes.push_back(hash_event(event.bytes));
  entry.bytes = std::move(event.bytes);
  return entry;
}

StoredEntry stored(NewBatch taken) {
  EncodedBatch& batch = taken.batch;
  StoredEntry entry;
  entry.car = std::move(taken.car);
  entry.rows = batch.rows;
  entry.samples = batch.samples;
  entry.first_ns = batch.first_receive_ns;
  entry.last_ns = batch.last_receive_ns;
  entry.hashes.push_back(batch.hash);
  for (const DefinitionPtr& used : batch.definitions) entry.definitions.push_back(used->prefix());
  entry.bytes = std::move(batch.blob);
  return entry;
}

}  // namespace

std::vector<StoredEntry> take_entries(Commit& commit, std::uint64_t first) {
  std::vector<StoredEntry> entries;
  entries.reserve(commit.events.size() + commit.batches.size());
  for (NewEvent& event : commit.events) entries.push_back(stored(std::move(event)));
  for (NewBatch& batch : commit.batches) entries.push_back(stored(std::move(batch)));
  for (StoredEntry& entry : entries) entry.first = entry.last = first++;
  return entries;
}

void RecentEntries::add(std::uint64_t incarnation, std::vector<StoredEntry> entries) {
  if (entries.empty()) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t first = entries.front().first;
  if (incarnation != incarnation_ || first != first_size_ + sizes_.size()) {
    entries_.clear();
    sizes_.clear();
    bytes_ = 0;
    incarnation_ = incarnation;
    first_size_ = first;
  }
  for (StoredEntry& entry : entries) {
    sizes_.push_back(entry.bytes.size());
    bytes_ += entry.bytes.size();
    const std::uint64_t sequence = entry.first;
    entries_.emplace_hint(entries_.end(), sequence, std::move(entry));
  }
  while (entries_.size() > kEntriesMax || bytes_ > kBytesMax) drop_oldest();
  while (sizes_.size() > kSizesMax) {
    sizes_.pop_front();
    ++first_size_;
  }
}

void RecentEntries::drop_oldest() {
  bytes_ -= entries_.begin()->second.bytes.size();
  entries_.erase(entries_.begin());
}

std::optional<StoredEntry> RecentEntries::take(std::uint64_t incarnation, std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  if (incarnation != incarnation_) return std::nullopt;
  const auto found = entries_.find(sequence);
  if (found == entries_.end()) return std::nullopt;
  std::optional<StoredEntry> entry(std::move(found->second));
  entries_.erase(found);
  bytes_ -= entry->bytes.size();
  return entry;
}

std::optional<std::uint64_t> RecentEntries::bytes_in(std::uint64_t incarnation, Range range) const {
  const std::lock_guard lock(mutex_);
  if (incarnation != incarnation_ || range.first < first_size_ || range.first > range.last ||
      range.last >= first_size_ + sizes_.size()) {
    return std::nullopt;
  }
  const auto from = sizes_.begin() + static_cast<std::ptrdiff_t>(range.first - first_size_);
  const auto through = sizes_.begin() + static_cast<std::ptrdiff_t>(range.last - first_size_);
  return std::accumulate(from, through + 1, std::uint64_t{0});
}

}  // namespace pitbox
