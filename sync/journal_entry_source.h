// JournalEntrySource: an EntrySource over the journal files named by the recorder's heads. Opens a
// file at its first use, keeps at most kMaxOpenFiles open (the least recently used closes), and
// closes those that no head names any more. What was committed just now it takes from memory.

#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>

#include "buffer/recent_entries.h"
#include "sync/entry_source.h"

namespace pitbox {

class JournalEntrySource final : public EntrySource {
 public:
  static constexpr std::size_t kMaxOpenFiles = 8;

  // `recent`: where the latest entries are; null: only in the files. Must outlive this.
  explicit JournalEntrySource(RecentEntries* recent = nullptr) : recent_(recent) {}

  void update(const JournalHeads& heads) override;
  Result<StoredEntry> entry(std::uint64_t incarnation, std::uint64_t sequence) override;
  Result<DefinitionPtr> definition(std::uint64_t incarnation, std::uint64_t prefix) override;
  Result<std::vector<std::uint64_t>> laps(std::uint64_t incarnation) override;

 private:
  struct File {
    std::filesystem::path path;
    std::unique_ptr<JournalReader> reader;  // Null until used.
    std::uint64_t used = 0;                 // Of `uses_`, when last used.
  };
  Result<JournalReader*> reader(std::uint64_t incarnation);
  void close_least_used();

  RecentEntries* const recent_;
  std::map<std::uint64_t, File> files_;  // By incarnation.
  std::uint64_t uses_ = 0;
};

}  // namespace pitbox
