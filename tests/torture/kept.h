// What became of numbered records that were sent through a Stage: the end of every run with faults.
//
// Blocks the caller; one thread. Memory: 48 bytes a record.

#pragma once

#include <cstddef>
#include <cstdint>

#include "apps/launch/stage.h"
#include "apps/launch/status_view.h"
#include "export/row_ledger.h"
#include "proto/status.h"
#include "proto/uuid.h"
#include "tests/torture/numbered_sender.h"

namespace pitbox {

struct Kept {
  std::uint64_t sent = 0;          // Records.
  std::uint64_t kernel_drops = 0;  // Datagrams. More than none: the rest says nothing.
  std::size_t journal_files = 0;
  RowComparison journal;     // Sent and journaled; a copy in a second file is a duplicate.
  RowComparison room;        // Sent and held by the room's store.
  bool is_verified = false;  // `pitbox verify`: every entry, events too.

  bool is_clean() const {
    return journal.is_equal() && room.is_equal() && is_verified && kernel_drops == 0;
  }
};

// The daemon's status; fails while it does not answer.
Result<StatusView> status_of(const Stage& stage);

// Stops the sender, waits until what it sent is journaled, ends the session, waits until the room
// has everything, kills the room once more, starts it and compares record by record. Fails if the
// daemon or the room does not get that far.
Result<Kept> settle(Stage& stage, const Uuid& session, NumberedSender& sender);

}  // namespace pitbox
