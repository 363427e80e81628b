// What the state directory asks of the file system beyond SQLite: that a file's bytes, or a
// folder's names, are on disk before anything is built on them. An errno becomes a Status (kFatal)
// that names the step.
//
// Threads: any.

#pragma once

#include <filesystem>
#include <string>

#include "proto/status.h"

namespace pitbox {

// Of the system call that just failed.
Status system_error(const std::string& step);
// fsync(2) of a regular file...
Status sync_file(const std::filesystem::path& file);
// ...and of a folder: the names in it, after a rename or a creation.
Status sync_folder(const std::filesystem::path& folder);

}  // namespace pitbox
