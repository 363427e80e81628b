// SyntheticCar: the car that throughput, sizes and limits are measured with (docs/bench.md, "The
// load"). The same number gives the same values on every machine with IEEE arithmetic.
//
// Threads: plain values; make one per thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "proto/definition.h"

namespace pitbox {

class SyntheticCar {
 public:
  static constexpr std::size_t kSamplesPerDatagram = 350;
  static constexpr double kSamplesPerSecond = 132'700;
  // After it every group's datagrams have come out even.
  static constexpr std::int64_t kLoopNs = 3'500'000'000;

  struct Group {
    DefinitionPtr definition;
    std::size_t channels = 0;
    std::int64_t period_ns = 0;     // From row to row.
    std::size_t rows_per_datagram;  // channels * rows_per_datagram = kSamplesPerDatagram
    std::size_t first_channel = 0;  // Of 300.
  };
  // The same for every car.
  static const std::vector<Group>& groups();

  explicit SyntheticCar(std::uint32_t number) : random_(number), phase_(number) {}

  // The group's row at `at_ns`, appended to `out` as its definition lays it out.
  void append_row(const Group& group, std::int64_t at_ns, std::vector<std::byte>& out);

 private:
  float value(std::size_t channel, double seconds);
  double noise();  // Normal, of deviation 1.

  std::mt19937 random_;
  double phase_;
};

}  // namespace pitbox
