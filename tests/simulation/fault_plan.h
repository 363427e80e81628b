// FaultPlan: which faults a run has, and how often. Chosen once by the seed.
//
// Threads: plain values.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tests/simulation/dice.h"

namespace pitbox::simulation {

enum class Harm : std::uint8_t {
  kKillBox,
  kCutBoxPower,
  kBreakBoxDisk,
  kFillBoxDisk,
  kKillRoom,
  kCutRoomPower,
  kStopRoom,
  kBreakRoomDisk,
  kCutNetwork,
  kResetConnection,
  kStepWallClock,
  kStallRecorder,
  kStallLink,
  kCommandSession,
  kReplaceJournals,
  kFailBoxSync,
  kFailRoomSync,
  kRestoreRoom,
  kShrinkBoxDisk,
  kLoseWallClock,
  kSuspend,
  kRestoreBox,
  kCloneBox,
};
inline constexpr std::size_t kHarms = 23;

class FaultPlan {
 public:
  // Most runs have a few kinds. One in eight has power cuts alone (what they cost when nothing else
  // is wrong), one in eight failing syncs with kills (a failed sync shows after a kill and a power
  // cut: a process that lives on notices).
  static FaultPlan choose(Dice& dice);

  // Whether it happens in this turn, of about 5 ms.
  bool comes(Harm harm, Dice& dice) const {
    const std::uint64_t one_in = one_in_.at(static_cast<std::size_t>(harm));
    return one_in != 0 && dice.one_in(one_in);
  }

 private:
  void set(Harm harm, std::int64_t often, std::int64_t seldom, Dice& dice);
  std::array<std::uint64_t, kHarms> one_in_{};  // Turns; 0: never in this run.
};

}  // namespace pitbox::simulation
