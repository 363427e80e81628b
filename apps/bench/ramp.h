// Ramp: how many of something a machine can take, found by trying. Goes up in given steps until one
// does not hold, then halves the distance between the last that held and that one.
//
// A plain function; blocks as long as what it tries.

#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "proto/status.h"

namespace pitbox {

// The most that held; 0: not even the first step. `steps` ascend from 1 or more; `holds` is asked
// about each number at most once, and its error ends the search. Numbers closer together than an
// eighth are not told apart.
Result<std::size_t> most_that_holds(std::span<const std::size_t> steps,
                                    const std::function<Result<bool>(std::size_t)>& holds);

}  // namespace pitbox
