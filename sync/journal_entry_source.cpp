#include "sync/journal_entry_source.h"

#include <algorithm>
#include <set>

namespace pitbox {

void JournalEntrySource::update(const JournalHeads& heads) {
  std::set<std::uint64_t> named;
  for (const SessionHeads& session : heads.sessions) {
    for (const FileHead& head : session.files) {
      named.insert(head.incarnation);
      File& file = files_[head.incarnation];
      if (file.path == head.file) continue;
      file.path = head.file;
      file.reader.reset();
    }
  }
  std::erase_if(files_, [&](const auto& item) { return !named.contains(item.first); });
}

void JournalEntrySource::close_least_used() {
  File* least = nullptr;
  std::size_t open = 0;
  for (auto& [incarnation, file] : files_) {
    if (!file.reader) continue;
    ++open;
    if (least == nullptr || file.used < least->used) least = &file;
  }
  if (open >= kMaxOpenFiles) least->reader.reset();
}

Result<JournalReader*> JournalEntrySource::reader(std::uint64_t incarnation) {
  const auto it = files_.find(incarnation);
  if (it == files_.end()) {
    return Status(Code::kRejected, "no journal file of incarnation " + hex_id(incarnation));
  }
  File& file = it->second;
  file.used = ++uses_;
  if (file.reader) return file.reader.get();
  close_least_used();
  auto opened = JournalReader::open(file.path);
  if (!opened.ok()) {
    // Whatever it is, it is the file's and not the entry's: the caller waits and tries again.
    const Code code = opened.status().code() == Code::kTryAgain ? Code::kTryAgain : Code::kFatal;
    return Status(code, "open " + file.path.string() + ": " + opened.status().message());
  }
  file.reader = std::move(opened).take();
  if (file.reader->incarnation() != incarnation) {
    file.reader.reset();
    return Status(Code::kFatal, file.path.string() + " is of another incarnation");
  }
  return file.reader.get();
}

Result<StoredEntry> JournalEntrySource::entry(std::uint64_t incarnation, std::uint64_t sequence) {
  if (recent_ != nullptr) {
    if (auto entry = recent_->take(incarnation, sequence)) return *std::move(entry);
  }
  auto found = reader(incarnation);
  if (!found.ok()) return found.status();
  return found.value()->entry(sequence);
}

Result<DefinitionPtr> JournalEntrySource::definition(std::uint64_t incarnation,
                                                     std::uint64_t prefix) {
  auto found = reader(incarnation);
  if (!found.ok()) return found.status();
  return found.value()->definition(prefix);
}

Result<std::vector<std::uint64_t>> JournalEntrySource::laps(std::uint64_t incarnation) {
  auto found = reader(incarnation);
  if (!found.ok()) return found.status();
  auto laps = found.value()->laps();
  if (!laps.ok()) return laps.status();
  std::vector<std::uint64_t> sequences;
  sequences.reserve(laps.value().size());
  for (const StoredLap& lap : laps.value()) sequences.push_back(lap.sequence);
  std::sort(sequences.begin(), sequences.end());
  return sequences;
}

}  // namespace pitbox
