// RecentEntries: the entries of the last commits, in memory, so that what is sent at once need not
// be read from the file it was just written to. The recorder adds what is durable; the link takes
// each entry once. What is not here (any more) is in the file.
//
// Also their sizes, which outlast them: acknowledgements come for what was just sent.
//
// Limits: kEntriesMax entries and kBytesMax bytes of them, the oldest go first; kSizesMax sizes. Of
// one journal file at a time: the one that was last written to.
//
// Threads: any.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "proto/ranges.h"

namespace pitbox {

// Events and batches of a commit as a reader finds them in the file. Takes their bytes out of it.
// `first`: the sequence of the first of them.
std::vector<StoredEntry> take_entries(Commit& commit, std::uint64_t first);

class RecentEntries {
 public:
  // A full grid's commits of a second.
  static constexpr std::size_t kEntriesMax = 256;
  static constexpr std::size_t kBytesMax = std::size_t{4} << 20;
  static constexpr std::size_t kSizesMax = 4096;

  // REQUIRES: they are durable, in order without holes, each of one sequence.
  void add(std::uint64_t incarnation, std::vector<StoredEntry> entries);
  std::optional<StoredEntry> take(std::uint64_t incarnation, std::uint64_t sequence);
  // Sum of blob and event bytes, if all of the range is known here.
  std::optional<std::uint64_t> bytes_in(std::uint64_t incarnation, Range range) const;

 private:
  void drop_oldest();

  mutable std::mutex mutex_;
  std::uint64_t incarnation_ = 0;
  std::map<std::uint64_t, StoredEntry> entries_;  // By sequence.
  std::size_t bytes_ = 0;                         // Of entries_.
  std::uint64_t first_size_ = 0;                  // Sequence of sizes_.front().
  std::deque<std::uint64_t> sizes_;
};

}  // namespace pitbox
