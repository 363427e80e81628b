// SalvagePages: the pages of a damaged SQLite file and of the WAL beside it, read without SQLite
// (docs/journal.md, "Salvage"). Files are opened read-only; nothing is locked or made beside them.
//
// A page has versions: the database's own (0), and one for each committed WAL frame that holds it
// (the frame's number, from 1). A view is "as of frame n": the newest version up to n. View 0 is
// the database alone.
//
// Threads: one. Limits: a page of 512 bytes to 64 KiB, of which 4 KiB up are also
// found where no header says so; kMaxWalFrames frames, those after are not used.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

// What a database begins with, the zero at its end included.
inline constexpr std::string_view kSqliteMagic{"SQLite format 3\0", 16};

// A file that is read at any place; closed by its destructor.
class PlainFile {
 public:
  static Result<PlainFile> open(const std::filesystem::path& file);
  PlainFile(PlainFile&& other) noexcept;
  PlainFile& operator=(PlainFile&& other) noexcept;
  ~PlainFile();
  std::uint64_t bytes() const { return bytes_; }
  // False if it cannot be read or is not so long.
  bool read(std::uint64_t at, std::size_t bytes, std::string& out) const;

 private:
  PlainFile(int descriptor, std::uint64_t bytes) : descriptor_(descriptor), bytes_(bytes) {}
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;  // When it was opened.
};

// What is beside the database, and how much of it is usable.
struct WalState {
  bool is_there = false;      // A file that is not empty.
  std::uint64_t frames = 0;   // Whole ones in the file, whatever is in them.
  std::uint64_t usable = 0;   // Up to the last commit in an unbroken chain of checksums.
  std::uint64_t commits = 0;  // In these.
  std::uint64_t later = 0;    // Frames of the same generation after them...
  bool later_commit = false;  // ...of which one says that it ends a commit.
  std::string refusal;        // Why none is usable; empty if that is no surprise.
  std::uint32_t page_bytes = 0;
  bool may_hide_commits() const { return later_commit || !refusal.empty(); }
};

// Reads the WAL beside `database`; `on_commit` gets each usable frame: its number, its page, and
// the number of the frame that ends its commit.
struct WalFrame {
  std::uint32_t page = 0;
  std::uint32_t commit = 0;
};
WalState read_wal(const std::filesystem::path& database, std::vector<WalFrame>& frames);

class SalvagePages {
 public:
  static constexpr std::size_t kMaxWalFrames = std::size_t{1} << 22;

  // `rate` says how many rows it knows in a page: the page size is the one that makes most of it.
  using Rate = std::function<std::size_t(std::string_view page, bool is_first)>;
  static Result<SalvagePages> open(const std::filesystem::path& file, const Rate& rate);

  // The WAL belongs to another file.
  void forget_wal(std::string why);
  const WalState& wal() const { return wal_; }
  std::uint32_t page_bytes() const { return page_bytes_; }
  // Pages of the database, a last one that was cut short included.
  std::uint32_t pages() const { return pages_; }
  const std::vector<WalFrame>& frames() const { return frames_; }
  std::uint32_t newest() const { return static_cast<std::uint32_t>(frames_.size()); }

  // Which version view `as_of` has of a page; pages count from 1.
  std::uint32_t version(std::uint32_t page, std::uint32_t as_of) const;
  // Of a database of `wanted` pages, those that are neither in the file nor in the WAL.
  std::uint64_t missing_of(std::uint32_t wanted) const;
  // False if it cannot be read, or is not there.
  bool read(std::uint32_t page, std::uint32_t version, std::string& out) const;

 private:
  explicit SalvagePages(PlainFile database) : database_(std::move(database)) {}
  void choose_page_size(const Rate& rate);

  PlainFile database_;
  std::vector<PlainFile> wal_file_;  // One, or none.
  WalState wal_;
  std::uint32_t page_bytes_ = 0;
  std::uint32_t pages_ = 0;
  std::vector<WalFrame> frames_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> versions_;  // By page, rising.
};

}  // namespace pitbox
