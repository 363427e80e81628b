// Removal of batches from a journal file that is no longer live, to make room. What is removed is
// written down in the file itself (docs/journal.md, table `removed`), in the same transaction.
//
// The space goes back to the file system: pages that SQLite no longer uses become holes in the
// file, where the file system can do that (ext4, XFS, Btrfs, tmpfs); elsewhere the file keeps its
// size and only the batches are gone.
//
// Threads: the recorder's. Readers may have the file open.

#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "proto/ranges.h"
#include "proto/status.h"

namespace pitbox {

// Deletes the batches in `ranges`, except the newest one of the file, which stays. The file is in
// WAL form meanwhile and plain again afterwards; a process that dies in between leaves a file that
// opens, with all of the ranges removed or none, and Journal::make_plain() finishes it. False: they
// are removed, but a reader kept it from becoming plain. kTryAgain: a reader is in the way.
// REQUIRES: nobody else writes the file.
Result<bool> remove_batches(const std::filesystem::path& file, const std::vector<Range>& ranges,
                            const std::string& vfs = {});

// The unused pages of a database of which no WAL is left: the offset and length of each stretch.
// kCorrupt if its list of free pages is damaged. Source of the layout: SQLite's file format,
// "The Freelist".
struct FileStretch {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
Result<std::vector<FileStretch>> free_stretches(const std::filesystem::path& file);

}  // namespace pitbox
