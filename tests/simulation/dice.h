// Dice: the only chance in a simulated run. The same seed makes the same throws on every machine,
// which is why no distribution of the standard library is used.

#pragma once

#include <cstdint>
#include <random>

namespace pitbox::simulation {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }
  // 0 .. bound - 1. REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  // Both ends included.
  std::int64_t between(std::int64_t least, std::int64_t greatest) {
    return least +
           static_cast<std::int64_t>(below(static_cast<std::uint64_t>(greatest - least) + 1));
  }
  bool one_in(std::uint64_t bound) { return below(bound) == 0; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace pitbox::simulation
