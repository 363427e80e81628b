// What the journals of a box say once a simulated run is over, read as anybody could read them.
//
// Threads: one; no daemon may be running on them.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "proto/status.h"

namespace pitbox::simulation {

// Rows without a definition, as the journals of a state directory count them. What is wrong if one
// does not open.
Result<std::uint64_t> rejected_rows(const std::filesystem::path& state);

struct JournaledBatches {
  std::uint64_t batches = 0;
  std::uint64_t merged = 0;         // Of them: kept in blocks (docs/journal.md).
  std::vector<std::string> faults;  // Batches that do not read, or whose content is another.
};

// Decodes every batch in the journals of a state directory, merged or not, and compares its content
// with the hash it was journaled under.
JournaledBatches check_journals(const std::filesystem::path& state);

}  // namespace pitbox::simulation
