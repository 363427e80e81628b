// SalvageWriter: writes what was recovered into a journal of its own (docs/journal.md, "Salvage").
// It gets its name only when it is whole and on the disk.
//
// Threads: one. A writer that is not finished leaves nothing behind.

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "buffer/journal_inserts.h"
#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "buffer/salvage.h"
#include "proto/sqlite.h"

namespace pitbox {

class SalvageWriter {
 public:
  // kRejected if something has the name, or the name with `.new` behind it.
  static Result<std::unique_ptr<SalvageWriter>> create(const std::filesystem::path& file);
  SalvageWriter(const SalvageWriter&) = delete;
  SalvageWriter& operator=(const SalvageWriter&) = delete;
  ~SalvageWriter();

  // REQUIRES: sequences rise.
  Status add(const StoredEntry& entry);
  Status add(const StoredLap& lap);
  Status add(const Definition& definition);
  // The small tables; the file gets its name.
  Status finish(const SalvageReport& report, const Counters& counters,
                const RangeSet& acknowledged);

 private:
  SalvageWriter() = default;
  Status prepare();
  Status write_small_tables(const SalvageReport& report, const Counters& counters,
                            const RangeSet& acknowledged);

  std::filesystem::path file_;
  std::filesystem::path unnamed_;  // Empty: finished, or another one's.
  std::optional<Database> database_;
  std::optional<Transaction> transaction_;
  std::optional<JournalInserts> inserts_;
  JournalTotals totals_;
};

}  // namespace pitbox
