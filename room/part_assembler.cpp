#include "room/part_assembler.h"

namespace pitbox {
namespace {

bool is_same_entry(const AssembledEntry& entry, std::uint64_t total, const words::Part& part) {
  return entry.incarnation == part.incarnation() &&
         entry.range == Range{part.first(), part.last()} &&
         entry.is_event == (part.kind() == words::EVENT) && total == part.total();
}

}  // namespace

Result<std::optional<AssembledEntry>> PartAssembler::add(const words::Part& part) {
  std::optional<Open>& open = lanes_[part.lane() == words::LIVE ? 0 : 1];
  if (part.offset() == 0) {
    if (open.has_value()) ++abandoned_;
    open.emplace(part.total());
    AssembledEntry& entry = open->entry;
    entry.incarnation = part.incarnation();
    entry.range = {part.first(), part.last()};
    entry.is_event = part.kind() == words::EVENT;
    entry.car = part.car();
    for (const std::string& hash : part.hashes()) entry.hashes += hash;
  }
  if (!open.has_value()) return Status(Code::kCorrupt, "a part continues nothing");
  if (!is_same_entry(open->entry, open->total, part)) {
    return Status(Code::kCorrupt, "a part continues another entry than the open one");
  }
  if (part.offset() != open->entry.bytes.size()) {
    return Status(Code::kCorrupt, "a part leaves a hole or repeats bytes");
  }
  open->entry.bytes += part.bytes();
  if (open->entry.bytes.size() < open->total) return std::optional<AssembledEntry>();
  std::optional<AssembledEntry> whole(std::move(open->entry));
  open.reset();
  return whole;
}

std::size_t PartAssembler::open_bytes() const {
  std::size_t bytes = 0;
  for (const auto& open : lanes_) bytes += open.has_value() ? open->entry.bytes.size() : 0;
  return bytes;
}

}  // namespace pitbox
