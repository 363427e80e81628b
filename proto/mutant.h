// Deliberate bugs, each against one promise, for the simulation that must notice them
// (docs/simulation.md). They exist where PITBOX_MUTANTS is defined, which only a test program of
// its own does; elsewhere has_mutant() is a constant false and nothing of them is left.
//
// Threads: set before anything runs.

#pragma once

#include <array>
#include <cstdint>
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
};

inline constexpr std::array<std::pair<std::string_view, Mutant>, 8> kMutants = {{
    {"none", Mutant::kNone},
    {"send_before_sync", Mutant::kSendBeforeSync},
    {"acknowledge_before_commit", Mutant::kAcknowledgeBeforeCommit},
    {"incarnation_reused", Mutant::kIncarnationReused},
    {"positions_late", Mutant::kPositionsLate},
    {"trust_failed_sync", Mutant::kTrustFailedSync},
    {"keep_acknowledged", Mutant::kKeepAcknowledged},
    {"gap_not_told", Mutant::kGapNotTold},
}};

#ifdef PITBOX_MUTANTS
inline Mutant& chosen_mutant() {
  static Mutant chosen = Mutant::kNone;
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
