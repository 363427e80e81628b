#include "tests/power/power_ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "export/row_ledger.h"
#include "tests/torture/numbered_records.h"

namespace pitbox {
namespace {

// The last confirmation that has to hold; null if none has.
const PowerWitness::Confirmation* last_that_counts(const PowerCut& cut,
                                                   const PowerWitness& witness) {
  const PowerWitness::Confirmation* last = nullptr;
  const std::uint32_t count = witness.confirmed;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& confirmation = witness.confirmations[i];
    const bool counts = cut.fault == PowerFault::kFailWrites || confirmation.at_ns < cut.begun_ns;
    if (counts) last = &confirmation;
  }
  return last;
}

}  // namespace

Status PowerLedger::settle(const PowerCut& cut, const PowerWitness& witness, const Survey& found) {
  const std::uint64_t first = next_number_;
  // A datagram more than was counted may have been published: it was killed between the two.
  next_number_ += (witness.heard + 1) * kNumberedRecords;
  std::vector<RowIdentity> actual = found.rows;
  std::sort(actual.begin(), actual.end());
  const std::vector<RowIdentity> heard = numbered_rows(first, next_number_ - 1);
  const auto end = std::find_if_not(heard.begin(), heard.end(), [&](const RowIdentity& row) {
    return std::binary_search(actual.begin(), actual.end(), row);
  });
  const auto survived = static_cast<std::uint64_t>(end - heard.begin());
  kept_.insert(kept_.end(), heard.begin(), end);
  const RowComparison comparison = compare_rows(kept_, actual);
  if (!comparison.is_equal()) {
    return Status::corrupt("of " + std::to_string(comparison.expected) + " records " +
                           std::to_string(comparison.missing) + " are missing, " +
                           std::to_string(comparison.duplicated) + " twice, " +
                           std::to_string(comparison.different) + " different or out of order");
  }
  note_loss(cut, witness, survived);
  return check_confirmed(cut, witness, found, survived);
}

Status PowerLedger::check_confirmed(const PowerCut& cut, const PowerWitness& witness,
                                    const Survey& found, std::uint64_t survived) {
  const PowerWitness::Confirmation* last = last_that_counts(cut, witness);
  if (last == nullptr) return {};
  if (last->records > survived) {
    return Status::corrupt(std::to_string(last->records) + " records of a life were confirmed, " +
                           std::to_string(survived) + " are there");
  }
  const auto file = found.last.find(last->incarnation);
  const std::uint64_t sequence = file == found.last.end() ? 0 : file->second;
  if (sequence < last->sequence) {
    return Status::corrupt("sequence " + std::to_string(last->sequence) + " was confirmed, " +
                           std::to_string(sequence) + " is the last one there");
  }
  confirmed_ += last->records;
  ++lives_confirmed_;
  return {};
}

void PowerLedger::note_loss(const PowerCut& cut, const PowerWitness& witness,
                            std::uint64_t survived) {
  const std::uint32_t count = witness.heard;
  const auto begin = witness.heard_ns.begin();
  const auto heard =
      static_cast<std::uint64_t>(std::lower_bound(begin, begin + count, cut.done_ns) - begin);
  heard_ += heard * kNumberedRecords;
  if (heard == 0) return;
  const std::uint64_t kept = survived / kNumberedRecords;
  lost_records_.push_back(heard > kept ? (heard - kept) * kNumberedRecords : 0);
  lost_ns_.push_back(heard > kept ? cut.done_ns - witness.heard_ns[kept] : 0);
}

}  // namespace pitbox
