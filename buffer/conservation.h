// Conservation: the counters of one session, and the law they obey.
//
//   messages   heard = decoded + in_ring + sum of dropped
//   records    decoded = journaled + building + sum of rejected
//   entries    journaled = acknowledged + pending + sum of evicted
//              (batches and events; of all incarnations; evicted: nobody has them)
//
// Each term is counted where it happens: heard from the ring's own numbers, decoded where a decoder
// returns, building where rows are appended, journaled from what was encoded and committed,
// acknowledged and pending from the range sets. None is worked out from the others, so a mistake
// anywhere shows as a broken law. The law holds in every snapshot and in every commit.
//
// What the kernel dropped was never heard; it is counted beside the law, as `unheard`.
//
// Threads: plain values. The recorder owns the living one and publishes copies.
//
// The names under which the counters are stored are docs/journal.md, "Counters".

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "buffer/journal.h"

namespace pitbox {

// Why a message that was heard was not given to a decoder, or not understood by it: "STAGE.REASON".
enum class DropReason : std::uint8_t {
  kTruncated,    // receive.truncated: the datagram was longer than the ring's slot.
  kMalformed,    // decode.malformed: not the decoder's format.
  kRingDamaged,  // ring.damaged: the mapping held no message where one was promised.
  kRingLost,     // ring.lost: heard, but its ring did not outlive a reboot.
  kJournalLost,  // journal.lost: journaled once, and the file is an older one now.
};
// Why a tombstone answers for an entry that the room did not have.
enum class EvictReason : std::uint8_t {
  kDiskFull,  // disk_full
  kQuota,     // quota: more than the configuration allows.
  kRoomLost,  // room_lost: deleted here when the room had it, which it has not any more.
  kRekeyed,  // rekeyed: journaled again under another incarnation, or unreadable when that was due.
};
inline constexpr std::size_t kDropReasons = 5;
inline constexpr std::size_t kEvictReasons = 4;
inline constexpr std::size_t kRejectReasons = 8;
std::string_view to_string(DropReason reason);
std::string_view to_string(EvictReason reason);

struct Conservation {
  struct Messages {
    std::uint64_t heard = 0;
    std::uint64_t decoded = 0;
    std::uint64_t in_ring = 0;  // Heard and not read yet.
    std::array<std::uint64_t, kDropReasons> dropped{};
    std::uint64_t dropped_sum() const;
  } messages;

  struct Records {
    std::uint64_t decoded = 0;
    std::uint64_t building = 0;  // In memory; 0 in every commit.
    std::uint64_t journaled = 0;
    std::array<std::uint64_t, kRejectReasons> rejected{};
    std::uint64_t rejected_sum() const;
  } records;

  struct Entries {
    std::uint64_t journaled = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t pending = 0;
    std::array<std::uint64_t, kEvictReasons> evicted{};
    std::uint64_t evicted_sum() const;
    // Of more than is counted the reason went with a journal: room_lost; less is taken off in the
    // order of the reasons.
    void set_evicted_sum(std::uint64_t sum);
  } entries;

  std::uint64_t batches_journaled = 0;
  std::uint64_t events_journaled = 0;
  std::uint64_t samples_journaled = 0;
  std::uint64_t laps_journaled = 0;
  std::uint64_t bytes_journaled = 0;
  std::uint64_t bytes_acknowledged = 0;
  std::uint64_t records_evicted = 0;
  std::uint64_t bytes_evicted = 0;
  // Entries journaled a second time, under a new incarnation.
  std::uint64_t entries_rekeyed = 0;
  std::uint64_t gaps = 0;
  std::uint64_t unheard = 0;            // Messages the kernel dropped.
  std::uint64_t journals_replaced = 0;  // Files set aside while the session ran.

  void drop(DropReason reason, std::uint64_t count) {
    messages.dropped[static_cast<std::size_t>(reason)] += count;
  }
  void reject(RejectReason reason, std::uint64_t count) {
    records.rejected[static_cast<std::size_t>(reason)] += count;
  }
  std::uint64_t pending_bytes() const {
    const std::uint64_t gone = bytes_acknowledged + bytes_evicted;
    return bytes_journaled > gone ? bytes_journaled - gone : 0;
  }

  // Adds every stored name to `out`. The terms that are states and not sums (in_ring, building,
  // acknowledged, pending) are stored as they were at the commit.
  void store(Counters& out) const;
  // What store() wrote; unknown names are left alone.
  static Conservation load(const Counters& counters);
  // One sentence for each equation that does not hold; empty if all do.
  std::vector<std::string> violations() const;
};

// What became of a file's entries: the three are disjoint, and together all of `issued`.
struct EntryTerms {
  std::uint64_t acknowledged = 0;
  std::uint64_t pending = 0;
  std::uint64_t evicted = 0;
};
EntryTerms entry_terms(Range issued, const RangeSet& acknowledged, const RangeSet& evicted);

}  // namespace pitbox
