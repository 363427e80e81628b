// Deliberate bugs, each against one promise, for the simulation that must notice them
// (docs/simulation.md). They exist where PITBOX_MUTANTS is defined, which only a test program of
// its own does; elsewhere has_mutant() is a constant false and nothing of them is left.
//
// Threads: set before anything runs.

#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace pitbox {

enum class Mutant : std::uint8_t {
  kNone,
  kSendBeforeSync,           // The journal does not sync what the link may send.
  kAcknowledgeBeforeCommit,  // The room acknowledges what it has only in memory.
  kIncarnationReused,        // A journal file that takes over has the old one's incarnation.
  kPositionsLate,            // How far the ring was read is stored with the next commit.
  kTrustFailedSync,          // A WAL is written on behind pages whose sync failed.
  kKeepAcknowledged,         // What a room once acknowledged counts, whatever Welcome says.
  kGapNotTold,               // Lost datagrams leave no gap record.
  kEvictUntold,              // Batches that nobody else has are deleted without a tombstone.
  kTrustWelcome,             // What a room holds counts as ours, whatever its content.
  kDedupeByWindow,           // The room looks for duplicates among its latest entries only.
  kPartialLineForgotten,     // Half a sentence of a stream is not saved with the position.
  kPublishBeforeFilled,      // The ring shows a message before its bytes are there.
};

inline constexpr std::array<std::pair<std::string_view, Mutant>, 13> kMutants = {{
    {"none", Mutant::kNone},
    {"send_before_sync", Mutant::kSendBeforeSync},
    {"acknowledge_before_commit", Mutant::kAcknowledgeBeforeCommit},
    {"incarnation_reused", Mutant::kIncarnationReused},
    {"positions_late", Mutant::kPositionsLate},
    {"trust_failed_sync", Mutant::kTrustFailedSync},
    {"keep_acknowledged", Mutant::kKeepAcknowledged},
    {"gap_not_told", Mutant::kGapNotTold},
    {"evict_untold", Mutant::kEvictUntold},
    {"trust_welcome", Mutant::kTrustWelcome},
    {"dedupe_by_window", Mutant::kDedupeByWindow},
    {"partial_line_forgotten", Mutant::kPartialLineForgotten},
    {"publish_before_filled", Mutant::kPublishBeforeFilled},
}};

#ifdef PITBOX_MUTANTS
// At first the one that PITBOX_MUTANT names.
inline Mutant& chosen_mutant() {
  static Mutant chosen = [] {
    const char* const wanted = std::getenv("PITBOX_MUTANT");
    for (const auto& [name, value] : kMutants) {
      if (wanted != nullptr && name == wanted) return value;
    }
    return Mutant::kNone;
  }();
  return chosen;
}
inline bool has_mutant(Mutant mutant) {
  return chosen_mutant() == mutant;
}
#else
constexpr bool has_mutant(Mutant /*mutant*/) {
  return false;
}
#endif

}  // namespace pitbox
