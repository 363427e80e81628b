// What was heard, confirmed and found over many power cuts of one box.
//
// Plain values; one thread. Memory: 16 bytes a record that survived.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proto/batch.h"
#include "proto/status.h"
#include "tests/power/flaky_device.h"
#include "tests/power/power_writer.h"
#include "tests/power/survey.h"

namespace pitbox {

// A life that ended, and how.
struct PowerCut {
  PowerFault fault = PowerFault::kDropWrites;
  BootNs begun_ns = 0;  // Before the device was told...
  BootNs done_ns = 0;   // ...and when nothing more was written.
};

class PowerLedger {
 public:
  // The first number of the next life.
  std::uint64_t next_number() const { return next_number_; }
  // Compares what the disk shows after a life with what its witness says. kCorrupt, with the
  // reason, if something that was confirmed before the cut is missing, anything is there twice or
  // different, or what is missing of the life is not its end.
  //
  // A confirmation counts if it came before the cut began. Where writes fail, each one does.
  Status settle(const PowerCut& cut, const PowerWitness& witness, const Survey& found);

  // Records, before the cut of their life.
  std::uint64_t heard() const { return heard_; }
  std::uint64_t survived() const { return kept_.size(); }
  // Records that a confirmation that counts has named, each once.
  std::uint64_t confirmed() const { return confirmed_; }
  // Lives that had confirmed something.
  std::size_t lives_confirmed() const { return lives_confirmed_; }
  // Of each life that had heard something before its cut: what was lost, as records and as the age
  // of the oldest lost record at the cut.
  const std::vector<std::uint64_t>& lost_records() const { return lost_records_; }
  const std::vector<BootNs>& lost_ns() const { return lost_ns_; }

 private:
  Status check_confirmed(const PowerCut& cut, const PowerWitness& witness, const Survey& found,
                         std::uint64_t survived);
  void note_loss(const PowerCut& cut, const PowerWitness& witness, std::uint64_t survived);

  std::uint64_t next_number_ = 1;
  std::vector<RowIdentity> kept_;  // Of all lives so far.
  std::uint64_t heard_ = 0;
  std::uint64_t confirmed_ = 0;
  std::size_t lives_confirmed_ = 0;
  std::vector<std::uint64_t> lost_records_;
  std::vector<BootNs> lost_ns_;
};

}  // namespace pitbox
