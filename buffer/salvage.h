// Salvage: what is undamaged of a damaged journal, in a new journal; contract and decisions are
// docs/journal.md, "Salvage".
//
// How: every page of the file and every committed frame of its WAL is looked at for rows
// (salvage_gather.h); rows whose number contradicts their neighbours' are put in doubt; of each
// sequence the rows are verified by their hashes, in every view of the pages that may be
// theirs; what holds is written.
//
// Threads: blocks the caller; one thread per call. Memory: about 100 bytes a row, and one batch.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "buffer/salvage_gather.h"
#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

enum class LossReason : std::uint8_t { kGone, kDamaged, kDefinition, kConflict, kDoubt };
std::string_view to_string(LossReason reason);  // As in the table `lost`.

struct LostRange {
  Range range;
  LossReason reason = LossReason::kGone;
  std::string car;  // Empty if it is not known.
};

struct SalvageReport {
  std::filesystem::path file;
  std::filesystem::path output;  // Empty if nothing was recovered: there is no such file.
  JournalMeta meta;
  std::vector<std::string> unknown;  // Of `meta`, what nothing says any more.

  std::uint32_t page_bytes = 0;
  std::uint64_t pages = 0;
  std::uint64_t missing_pages = 0;     // That the header counts and the file does not have.
  std::uint64_t unreadable_pages = 0;  // The disk refused them, or the last one was cut short.
  std::uint64_t damaged_pages = 0;     // With rows that do not add up, or that are no page at all.
  WalState wal;

  struct Car {
    std::uint64_t batches = 0;
    std::uint64_t rows = 0;
    std::uint64_t samples = 0;
    std::uint64_t lost_batches = 0;  // As far as a row is left that names the car.
  };
  std::map<std::string, Car> cars;
  std::uint64_t batches = 0;
  std::uint64_t events = 0;
  std::uint64_t laps = 0;
  std::uint64_t bytes = 0;  // Of blobs and events.

  std::uint64_t last_sequence = 0;  // The last one known of.
  RangeSet recovered;
  RangeSet evicted;             // On a tombstone's word.
  std::vector<LostRange> lost;  // Rising; at most kMaxLostRanges.
  std::uint64_t lost_sequences = 0;
  std::uint64_t lost_but_acknowledged = 0;       // Of these: the room holds them.
  std::uint64_t doubtful = 0;                    // Rows whose own sequence is not believed.
  std::vector<std::uint64_t> lost_definitions;   // Prefixes.
  std::vector<std::uint64_t> found_definitions;  // In files beside it.
  std::vector<StoredLap> lost_laps;              // As their rows say, which nothing verifies.
  bool keeps_counters = false;

  bool is_empty() const { return batches + events == 0; }
  bool is_complete() const;
};

inline constexpr std::size_t kMaxLostRanges = 65'536;

struct SalvageOptions {
  std::filesystem::path damaged;
  std::filesystem::path output;  // Must not be there, nor `output`.new.
  SalvageProgress progress;      // May be empty.
};

// kRejected if there is no such file or something has the output's name; kTryAgain if `progress`
// stopped it. Nothing recovered is not an error.
Result<SalvageReport> salvage_journal(const SalvageOptions& options);

// The files of a session's folder that may be journals, damaged or set aside ones too, in order of
// their names' numbers.
std::vector<std::filesystem::path> files_to_salvage(const std::filesystem::path& folder);
// The name a salvaged journal gets in a folder: the damaged one's, without what was added to it.
std::string salvaged_name(const std::filesystem::path& damaged);

}  // namespace pitbox
