// Load: datagrams of cars, made once and sent again and again with times and sequences of their
// own, and the books of what was sent (docs/bench.md, "The load").
//
// Threads: one. Memory: 2 MB a car.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/synthetic_car.h"
#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct LoadTotals {
  std::uint64_t datagrams = 0;
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
  // Of the rows, whatever their order: the sum of what identifies each one's place and content.
  std::uint64_t content_hash = 0;

  void add(const RowIdentity& row) {
    ++rows;
    content_hash += row.key ^ row.content;
  }
};

enum class LoadCar : std::uint8_t {
  kSynthetic,  // SyntheticCar: floats; every datagram has kDatagramBytes.
  kSimulated   // The simulator's (docs/sim.md): integers for the most part.
};
std::size_t most_cars(LoadCar kind);
const char* name_of(LoadCar kind);                       // "synthetic", "simulated"
std::optional<LoadCar> load_car(std::string_view name);  // None: no such name.

class Load {
 public:
  static constexpr std::size_t kCarsMax = 60;
  static constexpr std::size_t kDatagramBytes = 1448;  // At most.
  static constexpr std::int64_t kLoopNs = SyntheticCar::kLoopNs;

  // kRejected if there are not 1..most_cars(kind) cars.
  static Result<Load> make(std::size_t cars, std::uint32_t sender,
                           LoadCar kind = LoadCar::kSynthetic);

  // To be sent first, one datagram each.
  const std::vector<std::string>& announcements() const { return announcements_; }
  // Datagrams in a loop of kLoopNs of the cars' time, in the order of their moments.
  std::size_t size() const { return datagrams_.size(); }
  double samples_per_second() const;  // Of the cars' time.
  // When datagram `index` of a loop is complete, on the cars' clock.
  std::int64_t due_ns(std::size_t index) const { return datagrams_[index].due_ns; }
  // The next datagram, ready to be sent; valid until it comes by again.
  std::span<const char> next();
  // In the first `count` datagrams.
  std::uint64_t samples(std::uint64_t count) const;
  // Likewise, all of it. Takes as long as hashing them does.
  LoadTotals totals(std::uint64_t count) const;
  // The samples of a loop as they lie in the datagrams.
  std::string values() const;

 private:
  struct Group {
    std::string car;
    DefinitionPtr definition;
    std::uint64_t per_loop = 0;  // Datagrams.
  };
  struct Datagram {
    std::size_t at = 0;  // In bytes_...
    std::size_t length = 0;
    std::size_t rows_at = 0;   // ...and its rows, which go to its end.
    std::size_t times_at = 0;  // In times_, one a row.
    std::int64_t due_ns = 0;
    std::size_t group = 0;

    std::size_t row_count(const Group& its) const {
      return (at + length - rows_at) / its.definition->row_bytes();
    }
  };
  Load() = default;
  Status add_group(const std::string& car, const GroupRows& rows, std::uint32_t sender);

  std::vector<std::string> announcements_;
  std::string bytes_;
  std::vector<std::int64_t> times_;  // Of a loop.
  std::vector<Datagram> datagrams_;
  std::vector<Group> groups_;  // Of all cars.
  std::uint64_t samples_per_loop_ = 0;
  std::size_t next_ = 0;
  std::uint64_t loop_ = 0;
};

}  // namespace pitbox
