// Load: datagrams of synthetic cars, made once and sent again and again with times and sequences of
// their own, and the books of what was sent (docs/bench.md, "The load").
//
// Threads: one. Memory: 2 MB a car.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
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

class Load {
 public:
  static constexpr std::size_t kCarsMax = 60;
  static constexpr std::size_t kDatagramBytes = 1448;

  // kRejected if there are not 1..kCarsMax cars.
  static Result<Load> make(std::size_t cars, std::uint32_t sender);

  // To be sent first, one datagram each.
  const std::vector<std::string>& announcements() const { return announcements_; }
  // Datagrams in a loop of kLoopNs of the cars' time, in the order of their moments.
  std::size_t size() const { return datagrams_.size(); }
  double samples_per_second() const;  // Of the cars' time.
  // When datagram `index` of a loop is complete, on the cars' clock.
  std::int64_t due_ns(std::size_t index) const { return datagrams_[index].due_ns; }
  // The next datagram, ready to be sent; valid until it comes by again.
  std::span<const char> next();
  // Of the first `count` datagrams. Takes as long as hashing them does.
  LoadTotals totals(std::uint64_t count) const;

 private:
  struct Datagram {
    std::size_t at = 0;  // In bytes_.
    std::int64_t due_ns = 0;
    std::uint32_t car = 0;
    std::uint32_t group = 0;
  };
  Load() = default;
  Status add_group(std::uint32_t car, std::uint32_t group, SyntheticCar& values,
                   std::uint32_t sender);

  std::size_t cars_ = 0;
  std::vector<std::string> announcements_;
  std::string bytes_;  // The datagrams, kDatagramBytes each.
  std::vector<Datagram> datagrams_;
  std::vector<std::uint64_t> per_loop_;  // By group: datagrams of one car.
  std::size_t next_ = 0;
  std::uint64_t loop_ = 0;
};

}  // namespace pitbox
