// RingMapping: one ring file, opened and locked, and its memory. The byte ring is mapped twice in a
// row, so that what starts near its end is contiguous; a page that may not be touched stands behind
// it. Every page is allocated and faulted in at start: recvmmsg(2) writes here, and a page fault
// that could not be served would lose a datagram that already left its queue.
//
// Threads: none of its own; made and destroyed by one. The flock is held until destruction.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "buffer/ring_layout.h"
#include "proto/status.h"

namespace pitbox {

class RingMapping {
 public:
  // Opens or creates the file and takes the lock. kTryAgain if another holds it; kRejected if the
  // path is not a regular file that this user may use; kFull if there is no room for a file.
  static Result<RingMapping> open(const std::filesystem::path& file);
  RingMapping(RingMapping&& other) noexcept;
  RingMapping& operator=(RingMapping&&) = delete;
  ~RingMapping();

  // The header page as it is in the file; nothing if the file is empty or the page is all zeros,
  // as a creation leaves it that was cut short. kCorrupt if the file is shorter than a page.
  Result<std::optional<RingFileHeader>> stored_header() const;
  Result<std::uint64_t> file_bytes() const;
  // Allocates, maps and faults in everything. kFull if there is no room.
  Status map(const RingGeometry& geometry);
  // Unmaps and empties the file: the next map() finds zeros.
  Status clear();
  // Renames the file to `*.stale-<id>` and keeps only the newest few of those.
  Result<std::filesystem::path> set_aside(std::uint64_t id) const;

  // REQUIRES: map().
  RingFileHeader& header() const { return *reinterpret_cast<RingFileHeader*>(base_); }
  std::byte* base() const { return base_; }
  std::byte* ring() const { return base_ + ring_offset_; }

 private:
  RingMapping(std::filesystem::path file, int descriptor)
      : file_(std::move(file)), descriptor_(descriptor) {}

  std::filesystem::path file_;
  int descriptor_ = -1;
  std::byte* base_ = nullptr;
  std::size_t ring_offset_ = 0;
  std::size_t mapped_bytes_ = 0;  // Both views of the ring and the guard.
};

}  // namespace pitbox
