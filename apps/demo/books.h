// The books of a finished demonstration: what was sent, heard, journaled, and held by the room.

#pragma once

#include <filesystem>
#include <string>

#include "apps/demo/script.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

struct Books {
  std::filesystem::path sent;             // The simulator's ledger file.
  std::filesystem::path state_directory;  // The box's.
  Uuid session;
  std::string room_url;
};

// Fills everything but the times and states of `ledger`. A row counts as missing if the journal or
// the room lacks it, as duplicated or different if either holds it so.
Status compare_books(const Books& books, DemoLedger& ledger);

// True once the box has heard from the room that it holds everything of the ended session.
bool session_is_complete(const std::filesystem::path& state_directory, const Uuid& session);

}  // namespace pitbox
