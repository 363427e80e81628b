#include "buffer/batch_facts.h"

#include <algorithm>

namespace pitbox {

BatchFacts facts_of(const DecodedBatch& batch) {
  BatchFacts facts{.rows = batch.rows, .samples = batch.samples};
  bool is_first = true;
  for (const GroupColumns& group : batch.groups) {
    if (group.receive_ns.empty()) continue;
    const auto [first, last] =
        std::minmax_element(group.receive_ns.begin(), group.receive_ns.end());
    facts.first_ns = is_first ? *first : std::min(facts.first_ns, *first);
    facts.last_ns = is_first ? *last : std::max(facts.last_ns, *last);
    is_first = false;
  }
  return facts;
}

}  // namespace pitbox
