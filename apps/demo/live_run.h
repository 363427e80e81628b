// `./dev run` without --demo: room, daemon and cars (or a recording) until Ctrl-C, with one status
// line that is rewritten in place.

#pragma once

#include <cstdint>
#include <filesystem>

#include "proto/status.h"

namespace pitbox {

struct LiveRunOptions {
  std::filesystem::path programs;
  std::filesystem::path folder;  // Kept between runs: sessions add up.
  std::filesystem::path input;   // A recording; empty: simulated cars.
  std::uint16_t room_port = 6162;
  std::uint16_t source_port = 9600;
  std::filesystem::path track_file;  // A [track] table for a recording; empty: Orlando Kart Center.
};

// Returns when the user asked to stop, or something could not be started.
Status run_live(const LiveRunOptions& options);

}  // namespace pitbox
