// The last step of reading a DBC file: what the statements said is held against the rules of a
// DbcSignal, and what breaks one is left out of its message. Pure functions.

#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "ingest/dbc.h"

namespace pitbox {

using DbcWarn = std::function<void(std::size_t line, std::string text)>;

// Signals that cannot be decoded as they are described go from `signals` to `left_out`, and whose
// multiplexer goes, go with it. Gives every multiplexed signal its multiplexer's name.
void settle_dbc_message(DbcMessage& message, const DbcWarn& warn);

}  // namespace pitbox
