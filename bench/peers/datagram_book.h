// DatagramBook: which datagrams of a Load there were, each known by the group and the sequence in
// its header (ingest/NATIVE.md), and how often one came again. Kept by whoever sends and by whoever
// reads the far end; the two books are compared number by number.
//
// Threads: one. Limits: kGroupsMax groups of kSequencesMax datagrams; beyond, or with a number that
// no Load gives, kCorrupt. Memory: 8 bytes a datagram.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/load.h"
#include "proto/status.h"

namespace pitbox {

struct DatagramNumber {
  std::uint32_t group = 0;     // The sender's, of all cars.
  std::uint64_t sequence = 0;  // From 1 on.
};

// Nothing if it is no datagram of a Load.
std::optional<DatagramNumber> number_of(std::string_view datagram);

class DatagramBook {
 public:
  static constexpr std::size_t kGroupsMax = Load::kCarsMax * 6;
  static constexpr std::uint64_t kSequencesMax = 1U << 24U;  // Hours of one group.

  // A whole datagram.
  Status take(std::string_view datagram);
  Status take(const DatagramNumber& number) { return take_row(number, 0, 1); }
  // One row of it, of `rows`, 1..64: the datagram is there when all of them are.
  Status take_row(const DatagramNumber& number, std::size_t row, std::size_t rows);

  std::uint64_t distinct() const { return distinct_; }
  // Datagrams, or rows of them, that were there already.
  std::uint64_t repeated() const { return repeated_; }
  // {"distinct", "repeated", "ranges": {GROUP: [[FIRST, LAST], ...]}} of the whole datagrams.
  std::string to_json() const;

 private:
  // By group and sequence - 1: a bit for each row that came; all of them: kWhole.
  std::vector<std::vector<std::uint64_t>> groups_;
  std::uint64_t distinct_ = 0;
  std::uint64_t repeated_ = 0;
};

}  // namespace pitbox
