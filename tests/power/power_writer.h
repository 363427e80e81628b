// The box that power is taken from: ring, recorder and journal as in the daemon, fed with numbered
// records, and a witness outside of the disk that knows what was heard and what was confirmed.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "buffer/clock.h"

namespace pitbox {

// One life of the writer, in memory that it shares with who cuts its power; all zero at first.
// Written by the writer: a time or confirmation first, then its count.
struct PowerWitness {
  static constexpr std::size_t kDatagramsMax = 16'384;
  static constexpr std::size_t kConfirmationsMax = 16'384;
  struct Confirmation {
    BootNs at_ns = 0;           // After commit() had returned.
    std::uint64_t records = 0;  // Of this life, journaled.
    std::uint64_t incarnation = 0;
    std::uint64_t sequence = 0;  // Everything up to it.
  };

  std::atomic<std::uint32_t> heard{0};  // Datagrams of records.
  std::array<BootNs, kDatagramsMax> heard_ns{};
  std::atomic<std::uint32_t> confirmed{0};
  std::array<Confirmation, kConfirmationsMax> confirmations{};
};

struct PowerWriterOptions {
  std::filesystem::path state_directory;  // On the disk that loses power.
  std::filesystem::path ring_file;        // In memory; another one each life.
  std::uint32_t life = 1;                 // Its number makes boot id and sender.
  std::uint64_t first_number = 1;         // Of its records.
  bool ends_sessions = false;             // Now and then; what follows opens another one.
  bool checkpoints_early = false;         // After every few commits.
};

// Opens everything and writes until it is killed, or the witness is full. Returns only if it could
// not: an exit code, the reason having been logged.
int write_until_killed(const PowerWriterOptions& options, PowerWitness& witness);

}  // namespace pitbox
