// PartAssembler: puts the parts of a connection's entries together, one open entry per lane.
//
// Threads: one. Limits: an entry is at most kMaxBatchBytes (parse_frame() checks `total`), so an
// assembler holds at most twice that; memory is taken as bytes arrive, not as they are announced.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/ranges.h"
#include "proto/room.pb.h"
#include "proto/status.h"

namespace pitbox {

struct AssembledEntry {
  std::uint64_t incarnation = 0;
  Range range;
  bool is_event = false;
  std::string car;
  std::string hashes;  // 16 bytes per sequence.
  std::string bytes;
};

class PartAssembler {
 public:
  // The entry that this part completes, if it does. kCorrupt if the part does not continue what is
  // open on its lane; the connection is then of no more use. REQUIRES: parse_frame() accepted it.
  Result<std::optional<AssembledEntry>> add(const words::Part& part);

  std::size_t open_bytes() const;
  // Entries given up because another began on their lane.
  std::uint64_t abandoned() const { return abandoned_; }

 private:
  struct Open {
    explicit Open(std::uint64_t its_total) : total(its_total) {}
    AssembledEntry entry;
    std::uint64_t total;
  };
  std::array<std::optional<Open>, 2> lanes_;
  std::uint64_t abandoned_ = 0;
};

}  // namespace pitbox
