// A session's journal of any size, as a box would have recorded it: synthetic cars at their own
// rates, through ring, decoder, batch builder and journal of the daemon (docs/bench.md,
// "`bench make-journal`").
//
// Threads: one; blocks until it is made, at some 80 MB/s.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "apps/bench/load.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

struct JournalMakerOptions {
  std::filesystem::path state_directory;  // Made if it is not there; no session may be open in it.
  std::uint64_t bytes = std::uint64_t{2} << 30;  // Of batches, at least.
  std::size_t cars = 20;
  bool ends_session = false;  // Else it is left open, as a daemon that was stopped leaves it.
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct MadeJournal {
  Uuid session;
  std::uint64_t bytes = 0;  // Of batches and events.
  std::uint64_t batches = 0;
  std::uint64_t samples = 0;
  double recorded_s = 0;  // Of the cars' time.
};

// kRejected for bad options or a session that is open there already; kTryAgain if it was stopped
// (what was made stays) or a daemon has the directory.
Result<MadeJournal> make_journal(const JournalMakerOptions& options);

}  // namespace pitbox
