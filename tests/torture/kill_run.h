// A run of real kills: pitboxd and pitbox-room on a Stage, numbered records over a UDP socket that
// outlives the daemon, SIGKILLs of both at random moments, interleaved, also while they start. Then
// the kills stop, the session ends, and what was sent, what is journaled and what the room's store
// holds are compared record by record.
//
// Blocks the caller for the whole run. Memory: 48 bytes a record at the end.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "proto/status.h"
#include "tests/torture/kept.h"

namespace pitbox {

struct KillProgress {
  int daemon_kills = 0;
  int room_kills = 0;
  std::uint64_t sent = 0;          // Records.
  std::uint64_t queued_bytes = 0;  // In the socket's kernel buffer.
  std::uint64_t kernel_drops = 0;
};

struct KillRunOptions {
  std::filesystem::path programs;  // Folder of pitboxd, pitbox and pitbox-room.
  std::filesystem::path folder;    // For journals, room store and logs. Stays.
  int daemon_kills = 0;
  int room_kills = 0;  // Spread over the time that the daemon's kills take.
  std::uint64_t samples_per_second = 200'000;
  std::uint64_t seed = 1;
  std::chrono::milliseconds daemon_lives{400};  // On average; the room's follow from the counts.
  std::function<void(const KillProgress&)> progress;  // Called every few seconds; may be empty.
};

struct KillReport {
  KillProgress end;              // When the kills ended.
  std::size_t buffer_bytes = 0;  // The socket's, as the kernel counts.
  // Milliseconds from exec until the daemon took datagrams from the socket; sorted. Absent: lives
  // that ended before.
  std::vector<std::int64_t> receives_after_ms;
  // When the kills ended: batches journaled, and of all entries those that the room was known to
  // have.
  std::uint64_t batches_then = 0;
  std::uint64_t pending_then = 0;
  Kept kept;
};

// Fails if the run could not be played to its end: a program ended by itself, the journal or the
// room did not become complete.
Result<KillReport> run_kills(const KillRunOptions& options);

}  // namespace pitbox
