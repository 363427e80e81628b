#include "buffer/conservation.h"

#include <algorithm>
#include <numeric>

namespace pitbox {
namespace {

constexpr std::array<RejectReason, kRejectReasons> kAllRejectReasons = {
    RejectReason::kMalformed,   RejectReason::kChecksum, RejectReason::kUnknownGroup,
    RejectReason::kLimit,       RejectReason::kTorn,     RejectReason::kDuplicate,
    RejectReason::kUnsupported, RejectReason::kNoSpace};
static_assert(static_cast<std::size_t>(kAllRejectReasons.back()) + 1 == kRejectReasons);

// Calls `visit(name, counter)` for every counter there is: the one list of names, for storing and
// loading alike.
template <typename Terms, typename Visit>
void for_each_counter(Terms& terms, const Visit& visit) {
  visit("messages.heard", terms.messages.heard);
  visit("messages.decoded", terms.messages.decoded);
  visit("messages.in_ring", terms.messages.in_ring);
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    visit("messages.dropped." + std::string(to_string(static_cast<DropReason>(i))),
          terms.messages.dropped[i]);
  }
  visit("records.decoded", terms.records.decoded);
  visit("records.building", terms.records.building);
  visit("records.journaled", terms.records.journaled);
  for (const RejectReason reason : kAllRejectReasons) {
    visit("records.rejected." + std::string(to_string(reason)),
          terms.records.rejected[static_cast<std::size_t>(reason)]);
  }
  visit("entries.journaled", terms.entries.journaled);
  visit("entries.acknowledged", terms.entries.acknowledged);
  visit("entries.pending", terms.entries.pending);
  for (std::size_t i = 0; i < kEvictReasons; ++i) {
    visit("entries.evicted." + std::string(to_string(static_cast<EvictReason>(i))),
          terms.entries.evicted[i]);
  }
  visit("entries.rekeyed", terms.entries_rekeyed);
  visit("batches.journaled", terms.batches_journaled);
  visit("events.journaled", terms.events_journaled);
  visit("samples.journaled", terms.samples_journaled);
  visit("laps.journaled", terms.laps_journaled);
  visit("bytes.journaled", terms.bytes_journaled);
  visit("bytes.acknowledged", terms.bytes_acknowledged);
  visit("records.evicted", terms.records_evicted);
  visit("bytes.evicted", terms.bytes_evicted);
  visit("gaps", terms.gaps);
  visit("unheard", terms.unheard);
  visit("journals.replaced", terms.journals_replaced);
}

template <std::size_t n>
std::uint64_t sum(const std::array<std::uint64_t, n>& terms) {
  return std::accumulate(terms.begin(), terms.end(), std::uint64_t{0});
}

}  // namespace

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::kTruncated:
      return "receive.truncated";
    case DropReason::kMalformed:
      return "decode.malformed";
    case DropReason::kRingDamaged:
      return "ring.damaged";
    case DropReason::kRingLost:
      return "ring.lost";
    case DropReason::kJournalLost:
      return "journal.lost";
  }
  return "unknown.unknown";
}

std::string_view to_string(EvictReason reason) {
  switch (reason) {
    case EvictReason::kDiskFull:
      return "disk_full";
    case EvictReason::kQuota:
      return "quota";
    case EvictReason::kRoomLost:
      return "room_lost";
    case EvictReason::kRekeyed:
      return "rekeyed";
  }
  return "unknown";
}

std::uint64_t Conservation::Entries::evicted_sum() const {
  return sum(evicted);
}

void Conservation::Entries::set_evicted_sum(std::uint64_t sum) {
  const std::uint64_t counted = evicted_sum();
  if (sum >= counted) {
    evicted[static_cast<std::size_t>(EvictReason::kRoomLost)] += sum - counted;
    return;
  }
  std::uint64_t too_many = counted - sum;
  for (std::uint64_t& of_reason : evicted) {
    const std::uint64_t part = std::min(of_reason, too_many);
    of_reason -= part;
    too_many -= part;
  }
}

std::uint64_t Conservation::Messages::dropped_sum() const {
  return sum(dropped);
}

std::uint64_t Conservation::Records::rejected_sum() const {
  return sum(rejected);
}

void Conservation::store(Counters& out) const {
  for_each_counter(*this, [&](const std::string& name, std::uint64_t value) { out[name] = value; });
}

Conservation Conservation::load(const Counters& counters) {
  Conservation result;
  for_each_counter(result, [&](const std::string& name, std::uint64_t& value) {
    const auto found = counters.find(name);
    if (found != counters.end()) value = found->second;
  });
  return result;
}

std::vector<std::string> Conservation::violations() const {
  std::vector<std::string> found;
  const auto hold = [&](const char* what, std::uint64_t whole, std::uint64_t parts) {
    if (whole == parts) return;
    found.push_back(std::string(what) + ": " + std::to_string(whole) + " is not " +
                    std::to_string(parts));
  };
  hold("messages: heard = decoded + in_ring + dropped", messages.heard,
       messages.decoded + messages.in_ring + messages.dropped_sum());
  hold("records: decoded = journaled + building + rejected", records.decoded,
       records.journaled + records.building + records.rejected_sum());
  hold("entries: journaled = acknowledged + pending + evicted", entries.journaled,
       entries.acknowledged + entries.pending + entries.evicted_sum());
  return found;
}

EntryTerms entry_terms(Range issued, const RangeSet& acknowledged, const RangeSet& evicted) {
  EntryTerms terms;
  if (issued.first > issued.last) return terms;
  // What was evicted stays so, also when the room acknowledges the tombstone.
  RangeSet held = acknowledged;
  held.remove_all(evicted);
  terms.acknowledged = held.count();
  terms.evicted = evicted.count();
  held.add_all(evicted);
  for (const Range& range : held.missing(issued)) terms.pending += range.last - range.first + 1;
  return terms;
}

}  // namespace pitbox
