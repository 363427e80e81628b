// HighWater: a small file beside box.db that says how far the live journal got: its incarnation,
// the last sequence it issued, and whether its last commit failed. One line of text:
//
//   <incarnation, 16 hex digits> <last sequence, 20 digits> <good|bad!>\n
//
// It is written after each commit and never synced: after a kill it is exact, after a power cut it
// may be older than the journal, never newer than what was on disk. So a journal that holds less
// than the mark is not the one that was written: a copy restored over it, or a disk that forgot
// what it had confirmed. A missing or unreadable mark says nothing.
//
// Threads: one at a time.

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace pitbox {

class HighWater {
 public:
  struct Mark {
    std::uint64_t incarnation = 0;
    std::uint64_t last = 0;
    bool failed = false;  // The last commit did; the file is not to be appended to.
  };
  static std::optional<Mark> read(const std::filesystem::path& file);

  HighWater() = default;
  explicit HighWater(const std::filesystem::path& file);
  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&& other) noexcept;
  ~HighWater();

  // Failing to write it weakens a second guard and nothing else: not reported.
  void note(const Mark& mark);

 private:
  int descriptor_ = -1;
};

}  // namespace pitbox
