// SpaceKeeper: how much room a state directory has, how much of it must be made free, and a
// reserve: a file of nothing that is given up when the disk is full all the same (another program
// filled it), so that laps, events and tombstones can be written until room was made.
//
//   total of the file system
//   |--------------------------------------------------|---------|--------|
//     journals, up to `quota`; others' files             reserve   kept free
//
// On a small file system reserve and what is kept free are at most an eighth of it each, and a WAL
// a thirty-second. A reserve that was given up is made again when there is room for both.
//
// Threads: the recorder's. look() costs one statvfs(), and with a quota a stat() of each journal
// file, at most once a second.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "buffer/clock.h"
#include "buffer/conservation.h"
#include "buffer/retention.h"

namespace pitbox {

class SpaceKeeper {
 public:
  struct Options {
    bool is_on = false;  // Off: nothing is ever given up.
    std::uint64_t quota_bytes =
        0;  // Most that the journals may take; 0: all but what is kept free.
    std::uint64_t keep_free_bytes = std::uint64_t{256} << 20;
    std::uint64_t reserve_bytes = std::uint64_t{64} << 20;
    std::uint64_t wal_bytes = std::uint64_t{16} << 20;  // What the live file's may grow to.
    std::function<Result<DiskSpace>(const std::filesystem::path&)> probe = disk_space;
  };
  // How many bytes are to be given up; 0: none. More than what is missing, so that it is not asked
  // for again with every commit.
  struct Shortage {
    std::uint64_t bytes = 0;
    // Also what nobody else has: more than the quota, or too little left to go on writing (four
    // WALs). Else only what is elsewhere too may go; a disk with some room left loses nothing.
    bool is_dire = false;
    EvictReason reason = EvictReason::kDiskFull;
  };

  SpaceKeeper(Options options, std::filesystem::path directory);

  // `reusable`: space inside the live file that the next batches will use; asked where it matters.
  Shortage look(BootNs now, const std::function<std::uint64_t()>& reusable);
  // The journals changed on the disk: count anew.
  void forget_used() { used_at_ = 0; }
  // Gives the reserve up, so that something can be written. True if there was one.
  bool release_reserve();

  // What a WAL may grow to here.
  std::size_t wal_bytes() const;
  bool is_on() const { return options_.is_on; }
  const DiskSpace& space() const { return space_; }  // As last looked at.

 private:
  void keep_reserve();
  std::filesystem::path reserve_file() const { return directory_ / "reserve"; }

  const Options options_;
  const std::filesystem::path directory_;
  DiskSpace space_;
  std::uint64_t used_ = 0;
  BootNs used_at_ = 0;  // 0: not counted yet.
  bool has_reserve_ = false;
};

}  // namespace pitbox
