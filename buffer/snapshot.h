// RecorderSnapshot: how the recorder stands, one consistent value after every commit and at most
// every 100 ms between them. For status, metrics and tests; any thread reads it through
// Recorder::snapshot().

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "buffer/clock.h"
#include "buffer/conservation.h"
#include "buffer/duration_counts.h"
#include "buffer/journal.h"
#include "buffer/retention.h"

namespace pitbox {

enum class RecorderState : std::uint8_t {
  kIdle,       // No session is open.
  kRecording,  // A session is open and its journal takes commits.
  kHolding,    // Nothing can be journaled now (see `error`); the rings hold, and it is tried again.
};
std::string_view to_string(RecorderState state);  // "idle", "recording", "holding"

struct SourceSnapshot {
  std::string name;
  std::uint64_t ring_id = 0;
  std::size_t ring_bytes = 0;       // Capacity...
  std::size_t ring_used_bytes = 0;  // ...and what is not released yet.
  BootNs last_receive_ns = 0;       // Of the last message read; 0 if none.
  // Since this process started:
  std::uint64_t messages = 0;  // Data messages read.
  std::uint64_t bytes = 0;     // Of them.
  std::uint64_t malformed = 0;
  std::uint64_t unheard = 0;
};

struct RecorderSnapshot {
  BootNs taken_ns = 0;
  RecorderState state = RecorderState::kIdle;
  std::optional<SessionInfo> session;
  bool session_is_automatic = false;  // Opened by data, not by a command.
  std::uint64_t incarnation = 0;
  std::uint64_t last_sequence = 0;
  Conservation conservation;  // Of the session; or what waits for one to open.
  std::vector<SourceSnapshot> sources;

  // Age, when this was taken, of the oldest message that was read and is not journaled; 0 if there
  // is none. In_ring tells what was not even read. Taken before each commit too: see
  // oldest_unjournaled_age() for how old it is while the commit goes on.
  BootNs oldest_unjournaled_age_ns = 0;
  // How old the oldest message of each commit was when the commit was durable, in milliseconds:
  // bucket b counts ages below 2^b ms, the last one everything else. Since this process started.
  std::array<std::uint64_t, 16> commit_age_ms_log2{};
  std::uint64_t commits = 0;  // Since this process started.
  BootNs last_commit_took_ns = 0;
  DurationCounts commit_took;        // All of them.
  std::uint64_t law_violations = 0;  // Our own mistakes; always 0.
  std::string last_violation;
  bool rekeying = false;  // An old incarnation's entries are being journaled again.
  // Of the file system, as last looked at; zeros if retention is off.
  DiskSpace space;
  bool is_starving = false;  // It is full and nothing is left to give up: batches are refused.
  // What went wrong last with journal or decoder; empty if nothing since the start.
  std::string error;
  BootNs error_ns = 0;
};

// As of `now`, which is not before the snapshot was taken.
inline BootNs oldest_unjournaled_age(const RecorderSnapshot& snapshot, BootNs now) {
  const BootNs then = snapshot.oldest_unjournaled_age_ns;
  return then == 0 ? 0 : then + (now - snapshot.taken_ns);
}

}  // namespace pitbox
