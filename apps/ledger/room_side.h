// What a room holds of a session, with identities recomputed from its bytes: the far side of
// `pitbox verify` and of every ledger.
//
// Blocks the caller until the room has said everything; one thread per call. Memory: 64 bytes per
// entry, 16 per row if rows are asked for.

#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "export/entry_ledger.h"
#include "proto/batch.h"
#include "proto/status.h"
#include "sync/room_reader.h"

namespace pitbox {

struct RoomSide {
  std::uint64_t batches = 0;
  std::uint64_t events = 0;
  std::uint64_t records = 0;
  std::uint64_t samples = 0;
  std::vector<EntryIdentity> entries;
  std::vector<RowIdentity> rows;  // If asked for.
  // Entries whose bytes are no batch. They are in `entries` too, with a content nobody has.
  std::vector<std::string> damaged;
};

struct RoomSideOptions {
  bool with_rows = false;
  std::set<std::string> cars;  // Rows of these only; empty: of all.
  // Called with the entries read so far; may be empty.
  std::function<void(std::uint64_t entries)> progress;
};

Result<RoomSide> read_room_side(const RoomReaderOptions& reading, const RoomSideOptions& options);

}  // namespace pitbox
