// Fsck: is what lies in a state directory what docs/journal.md says of it? Reads as every reader
// does, with or without a daemon, and changes nothing.
//
// Threads: one. Everything is read once, in sequence; memory is one batch, and what is kept to be
// compared (ranges of sequences, findings).

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "buffer/box_database.h"
#include "buffer/journal_reader.h"
#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

struct FsckFinding {
  std::filesystem::path file;
  Range range;  // Sequences; empty (last 0) if it is not about any.
  std::string what;
  std::string advice;  // What to do.
};

struct FsckReport {
  std::vector<FsckFinding> findings;  // At most kMaxFsckFindings...
  std::uint64_t more_findings = 0;    // ...and so many that are not listed.
  std::vector<std::pair<std::filesystem::path, Status>> unchecked;
  std::uint64_t files = 0;
  std::uint64_t batches = 0;  // Verified.
  std::uint64_t events = 0;
  std::uint64_t known_lost = 0;  // Sequences that a salvaged file's table `lost` names.
};
inline constexpr std::size_t kMaxFsckFindings = 10'000;

class Fsck {
 public:
  // Called now and then with the file and its entries so far; false stops.
  using Progress = std::function<bool(const std::filesystem::path& file, std::uint64_t entries)>;
  explicit Fsck(Progress progress) : progress_(std::move(progress)) {}

  // box.db, the sessions' folders, and whether they say the same of each other.
  void check_state(const std::filesystem::path& state_directory);
  // The journals of one folder, or some of them: what one lacks, another's tombstone may explain.
  void check_folder(const std::filesystem::path& folder);
  void check_files(const std::vector<std::filesystem::path>& files);

  const FsckReport& report() const { return report_; }
  bool is_stopped() const { return is_stopped_; }

 private:
  friend class JournalCheck;
  // What is known of a file once it was read, for what is asked of several together.
  struct Known {
    std::filesystem::path file;
    std::uint64_t last = 0;
    std::vector<Range> holes;
  };

  void find(const std::filesystem::path& file, Range range, std::string what, std::string advice);
  void check_file(const std::filesystem::path& file);
  void explain_holes();
  void check_box(const std::filesystem::path& state_directory);
  void check_record(const std::filesystem::path& state_directory, const FileRecord& record);
  void read_box_above(const std::filesystem::path& file);

  Progress progress_;
  FsckReport report_;
  std::map<std::uint64_t, Known> known_;          // By incarnation; of the files looked at.
  std::map<std::uint64_t, RangeSet> tombstones_;  // By the incarnation they speak of.
  std::set<std::uint64_t> live_;                  // Incarnations that may be written right now.
  bool is_stopped_ = false;
};

}  // namespace pitbox
