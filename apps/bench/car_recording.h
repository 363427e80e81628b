// CarRecording: what one car sent, as rows of its channel groups: what codecs are measured with
// (docs/bench.md, "`bench codec`").
//
// Threads: plain values. Memory: about 5 bytes a sample.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct CarRecording {
  std::string name;  // For people.
  double seconds = 0;
  std::vector<GroupRows> groups;  // Each with source times, ascending.
  std::uint64_t samples = 0;

  // The rows with from_ns <= source time < to_ns; groups that have none are left out.
  std::vector<GroupRows> slice(std::int64_t from_ns, std::int64_t to_ns) const;
  // Values only, column after column, as they are stored.
  std::string columns() const;
};

// SyntheticCar: all floats.
CarRecording record_synthetic_car(double seconds);
// The simulator's car at its full rates (docs/sim.md): integers for the most part.
CarRecording record_simulated_car(double seconds);
// Of several such cars what each one's groups send in `length_ns`, by its own clock from 0 on; no
// receive times.
std::vector<std::vector<GroupRows>> loops_of_simulated_cars(std::size_t cars,
                                                            std::int64_t length_ns);
// The channels of a MoTeC log (.ld), those of one rate as a group. kRejected if the file is none
// or has what is not known here.
Result<CarRecording> read_motec_log(const std::filesystem::path& file);

}  // namespace pitbox
