// NativeGroups: what senders of the native format announced: which car and definition a group
// number means, and which of its packets were seen (NATIVE.md). It is the decoder's memory that
// must survive a restart, because an announcement may be sent only once.
//
// Limits: kGroupsMax groups and kStateBytesMax bytes when saved, definitions kept once however many
// groups use them. Room is made only at the expense of groups that are not in use: silent for
// kForgetAfterNs, or for kForgetSupersededAfterNs if another sender announced the same since.
//
// Threads: the decoder's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ingest/sequence_window.h"
#include "ingest/state_bytes.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

struct NativeGroup {
  std::uint32_t sender = 0;
  std::uint16_t id = 0;
  std::uint64_t check = 0;
  std::string car;
  DefinitionPtr definition;
  SequenceWindow window;
  std::int64_t heard_ns = 0;  // Receive time of its last rows, or of its announcement.
};

class NativeGroups {
 public:
  static constexpr std::size_t kGroupsMax = 512;
  static constexpr std::size_t kStateBytesMax = 44 * 1024;
  static constexpr std::int64_t kForgetAfterNs = std::int64_t{3600} * 1'000'000'000;
  static constexpr std::int64_t kForgetSupersededAfterNs = std::int64_t{60} * 1'000'000'000;

  // Null if nobody announced it. Valid until the next announce().
  NativeGroup* find(std::uint32_t sender, std::uint16_t id);
  // Takes `group` in, in place of what the same sender's same number meant before; its definition
  // becomes the equal one that is here already. False, and no change, if there is no room.
  bool announce(NativeGroup group);

  std::size_t size() const { return groups_.size(); }
  void save(StateWriter& out) const;
  // REQUIRES: nothing announced yet. kCorrupt if the bytes are not from save().
  Status load(StateReader& in);

 private:
  static std::uint64_t key(std::uint32_t sender, std::uint16_t id) {
    return std::uint64_t{sender} << 16 | id;
  }
  bool fits() const;
  bool is_superseded(std::size_t index) const;
  // Index of the group to forget first, or size() if all are in use.
  std::size_t dispensable(std::int64_t now_ns) const;
  void rebuild();
  Status load_groups(StateReader& in, const std::vector<DefinitionPtr>& definitions,
                     const std::vector<std::string>& cars);

  std::vector<NativeGroup> groups_;  // In the order of their announcements.
  std::unordered_map<std::uint64_t, std::size_t> index_;
  std::size_t last_ = 0;  // Where the last find() ended: the next one likely ends there.
  // Worked out from groups_ by rebuild(), for save().
  std::string saved_heads_;                 // Definitions and cars, as saved.
  std::vector<std::uint16_t> definitions_;  // Per group: which of the saved definitions.
  std::vector<std::uint16_t> cars_;
};

}  // namespace pitbox
