#include "tests/simulation/fault_plan.h"

namespace pitbox::simulation {

void FaultPlan::set(Harm harm, std::int64_t often, std::int64_t seldom, Dice& dice) {
  one_in_.at(static_cast<std::size_t>(harm)) =
      static_cast<std::uint64_t>(dice.between(often, seldom));
}

FaultPlan FaultPlan::choose(Dice& dice) {
  FaultPlan plan;
  if (dice.one_in(8)) {
    plan.set(Harm::kCutBoxPower, 50, 400, dice);
    return plan;
  }
  if (dice.one_in(8)) {
    for (const Harm harm :
         {Harm::kKillBox, Harm::kKillRoom, Harm::kFailBoxSync, Harm::kFailRoomSync}) {
      plan.set(harm, 30, 200, dice);
    }
    return plan;
  }
  for (std::size_t i = 0; i < kHarms; ++i) {
    if (dice.one_in(3)) plan.set(static_cast<Harm>(i), 20, 400, dice);
  }
  return plan;
}

}  // namespace pitbox::simulation
