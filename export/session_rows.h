// Reading a session as one thing although it lies in several journal files: batches decoded, in the
// order of files and sequences, each once.
//
// A journal file that took over from another one may carry again what that one had not yet had
// acknowledged (`rekeyed_from`). Such a copy has the content hash of the original and is left out
// here: each original excuses one copy, in a file that names it and in no other.
//
// Threads: blocks the caller; one thread per call. Works while a daemon writes the newest file:
// what is committed when a file is opened is read at least.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "buffer/session_store.h"
#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct SessionBatch {
  std::filesystem::path file;
  std::uint64_t incarnation = 0;
  std::uint64_t first = 0;  // Sequences.
  std::uint64_t last = 0;
  std::string car;
  bool is_copy = false;  // Only with keep_copies.
  DecodedBatch decoded;
  // Add to a receive time to get nanoseconds since 1970 UTC: from the last clock anchor before.
  std::optional<std::int64_t> wall_offset_ns;
};

struct SessionEvent {
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;
  std::string kind;
  std::string_view bytes;  // Serialised words::Event; valid during the call.
  bool is_copy = false;    // Only with keep_copies.
};

struct SessionReadOptions {
  // Called for each event, between the batches where it stands.
  std::function<Status(const SessionEvent&)> event;
  // Called now and then with the sequences read so far and to be read, over all files.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  // Called for an entry that cannot be read, which is then skipped; without it, the first one ends
  // the reading.
  std::function<void(const std::filesystem::path&, std::uint64_t sequence, const Status&)> damaged;
  bool keep_copies = false;  // Visit copies too, marked as such.
};

// A Status of `visit` that is not ok ends the reading and is returned.
Status read_session_batches(const SessionFiles& session, const SessionReadOptions& options,
                            const std::function<Status(const SessionBatch&)>& visit);

// Nanoseconds to add to the receive times that follow an anchor event. Nothing if `event` is not
// the serialised bytes of one.
std::optional<std::int64_t> wall_offset_of_anchor(std::string_view event);

}  // namespace pitbox
