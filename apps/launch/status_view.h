// StatusView: the daemon's status, as the launcher shows and checks it. Parsed from the JSON that
// `pitbox status --json` prints; unknown keys are ignored, absent ones keep their defaults.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

struct StatusView {
  std::string state;  // online, reconnecting, offline
  std::string reason;
  std::string session;
  std::uint64_t heard = 0;    // Messages.
  std::uint64_t records = 0;  // Journaled.
  std::uint64_t batches = 0;  // Journaled.
  std::uint64_t pending = 0;  // Entries that the room lacks.
  std::uint64_t pending_bytes = 0;
  std::uint64_t unheard = 0;

  static Result<StatusView> parse(std::string_view json);
};

}  // namespace pitbox
