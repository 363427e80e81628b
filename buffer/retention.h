// Retention: what is given up when space runs out, and in which order (the ladder):
//
//   1. batches that the room has, or that a tombstone already answers for: deleted
//   2. batches that nobody else has: a tombstone first, then they are as in 1
//   3. and 4. the same with batches of marked laps
//   events (and so laps, gaps, marks) never
//
// Within a step the oldest goes first: session, then file, then sequence. Nothing is deleted that
// is neither acknowledged nor answered for by a durable tombstone.
//
// Which laps are marked: a mark (of a car, or of all) protects the lap it falls into: the batches
// from the car's lap event before it to the one after it and the rows that ended that lap, within
// kMarkLap of it; where there are no laps, those within kMarkAlone. A mark protects batches of its
// own journal file.
//
// Threads: the recorder's. Reads journal files, changes nothing; a call reads the rows it chooses,
// at most kRowsPerChoice, and the marks and laps of the files on its way.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "buffer/clock.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

// Of a file system, in bytes.
struct DiskSpace {
  std::uint64_t total = 0;
  std::uint64_t free = 0;  // For this process.
};
Result<DiskSpace> disk_space(const std::filesystem::path& directory);
// `bytes`, but at most one `part`th of the disk: for what is sized for great ones.
std::uint64_t small_part(const DiskSpace& disk, std::uint64_t bytes, std::uint64_t part);
// A WAL, what is kept free, and the reserve, in which a new file and its WAL must have room.
inline constexpr std::uint64_t kWalPart = 32;
inline constexpr std::uint64_t kFreePart = 8;
inline constexpr std::uint64_t kReservePart = 8;
// What the files of a state directory take on the disk (their blocks, not their lengths).
std::uint64_t bytes_on_disk(const std::filesystem::path& directory);

// Sequences of batches, one after the other, for one tombstone.
struct BatchRun {
  Range range;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::vector<StoredLap> laps;  // That lose data by it.
};

struct Giving {
  enum class How : std::uint8_t { kNothingLeft, kDelete, kBury };
  How how = How::kNothingLeft;
  RetainedFile file;
  std::vector<BatchRun> runs;
  std::uint64_t bytes() const;
};

class Retention {
 public:
  static constexpr std::size_t kRowsPerChoice = 4096;
  static constexpr std::size_t kRunsPerChoice = 256;
  static constexpr std::chrono::seconds kMarkLap{600};
  static constexpr std::chrono::seconds kMarkAlone{60};

  Retention();
  ~Retention();
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  // The next thing to give up of `files` (in the order of giving), of about `wanted` bytes; unless
  // `may_bury`, only what is elsewhere too. Files that cannot be read are passed over.
  Giving choose(const std::vector<RetainedFile>& files, std::uint64_t wanted, bool may_bury);
  // What the room had and lost again, and was deleted here meanwhile: only a tombstone can answer.
  static std::vector<Range> lost(const RetainedFile& file);

 private:
  enum class Rung : std::uint8_t { kDelete, kBury, kDeleteMarked, kBuryMarked };
  bool take(const RetainedFile& file, Rung rung, std::uint64_t wanted, Giving& out);
  JournalReader* reader(const RetainedFile& file);

  std::unique_ptr<JournalReader> reader_;
  // Where a rung found nothing, and of how many sequences: not looked at again until there are
  // others.
  std::map<std::pair<std::uint64_t, Rung>, std::uint64_t> dry_;
};

}  // namespace pitbox
