#include "export/entry_ledger.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace pitbox {
namespace {

using Content = std::array<std::uint8_t, 16>;

struct Count {
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
};

using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
Key key_of(const EntryIdentity& entry) {
  return {entry.incarnation, entry.first, entry.last};
}

}  // namespace

EntryComparison compare_entries(const std::vector<EntryIdentity>& journal,
                                const std::vector<EntryIdentity>& room,
                                const std::map<std::uint64_t, JournalExtent>& extents) {
  std::map<Content, Count> contents;
  std::map<Key, Content> by_key;
  for (const EntryIdentity& entry : journal) {
    if (!entry.is_copy) ++contents[entry.hash.bytes].expected;
    by_key.emplace(key_of(entry), entry.hash.bytes);
  }
  EntryComparison result;
  std::map<Content, std::uint64_t> replaced;  // Journal contents whose key the room gives another.
  for (const EntryIdentity& entry : room) {
    const auto content = contents.find(entry.hash.bytes);
    if (content != contents.end()) {
      ++content->second.found;
      continue;
    }
    const auto file = extents.find(entry.incarnation);
    if (file != extents.end() && entry.first > file->second.last) {
      ++result.newer;
      continue;
    }
    if (file != extents.end() && file->second.removed.contains({entry.first, entry.last})) {
      ++result.removed;
      continue;
    }
    ++result.different;
    const auto same_key = by_key.find(key_of(entry));
    if (same_key != by_key.end()) ++replaced[same_key->second];
  }
  for (const auto& [content, count] : contents) {
    if (count.found > count.expected) result.duplicated += count.found - count.expected;
    std::uint64_t absent = count.expected > count.found ? count.expected - count.found : 0;
    const auto other = replaced.find(content);
    // An entry that came with another content is one difference, not also one missing.
    if (other != replaced.end()) absent -= std::min(absent, other->second);
    result.missing += absent;
  }
  return result;
}

}  // namespace pitbox
