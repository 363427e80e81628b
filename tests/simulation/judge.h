// Judge: compares what the rings took with what the rooms hold, at the end of a simulated run. It
// reads the rooms' files as anybody could and takes nobody's word.
//
// A row that was heard must be in the rooms exactly once, with its content. The only rows that may
// be missing are those heard in a window of loss, between the last moment at which everything heard
// was durable and a power cut, and those that the box counted as rejected because a power cut had
// taken the definition of their group and it was not announced again yet. What is missing must be
// told: the `sequence` gaps are at least the datagrams of each stream that are missing between the
// first and the last that are there, and at most those and all before the first (of which the box
// knows if it had their announcement).

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/simulation/sim_cars.h"

namespace pitbox::simulation {

struct LossWindow {
  std::size_t from = 0;     // Index into SimCars::packets(): the first that was not yet durable...
  std::size_t until = 0;    // ...and how many there were when power was cut.
  std::int64_t cut_ns = 0;  // World time.
};

struct Findings {
  std::vector<std::string> faults;  // Empty: every promise was kept. At most kFaultsMax.
  std::uint64_t rows = 0;           // In the rooms.
  std::uint64_t lost_rows = 0;      // Missing, within a window.
  std::uint64_t unknown_rows = 0;   // Missing, of a definition that went with the power.
  std::uint64_t lost_packets = 0;   // In a window, or in the kernel's buffer at a cut.
  std::uint64_t told_packets = 0;   // By gaps.
  std::uint64_t sessions = 0;
  std::int64_t greatest_loss_ns = 0;  // From the oldest missing row to the cut.
};

// `state`: the box's folder of sessions, for the rows that its journals count as rejected.
Findings judge(const std::filesystem::path& rooms, const std::filesystem::path& state,
               const SimCars& cars, const std::vector<LossWindow>& windows);

}  // namespace pitbox::simulation
