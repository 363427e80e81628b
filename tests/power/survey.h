// What a state directory holds, read as any reader would, before anybody opens it to write.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct Survey {
  std::vector<RowIdentity> rows;                // In order of sessions, files and sequences.
  std::map<std::uint64_t, std::uint64_t> last;  // Sequence, by incarnation.
  std::size_t files = 0;                        // Journals.
};

// kCorrupt if a journal does not open or was quarantined, an entry is damaged (its hash is not that
// of its bytes), or a sequence is missing before the last one of its file.
Result<Survey> survey(const std::filesystem::path& state_directory);

}  // namespace pitbox
