#include "apps/bench/ramp.h"

#include <algorithm>

namespace pitbox {

Result<std::size_t> most_that_holds(std::span<const std::size_t> steps,
                                    const std::function<Result<bool>(std::size_t)>& holds) {
  std::size_t good = 0;
  std::size_t bad = 0;
  for (const std::size_t step : steps) {
    const auto held = holds(step);
    if (!held.ok()) return held.status();
    if (!held.value()) {
      bad = step;
      break;
    }
    good = step;
  }
  while (bad > good + std::max<std::size_t>(1, good / 8)) {
    const std::size_t middle = good + (bad - good) / 2;
    const auto held = holds(middle);
    if (!held.ok()) return held.status();
    (held.value() ? good : bad) = middle;
  }
  return good;
}

}  // namespace pitbox
