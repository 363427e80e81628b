#include "buffer/block.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "proto/batch_layout.h"
#include "proto/byte_reader.h"

namespace pitbox {
namespace {

constexpr char kReferenceMark = '\0';

Status corrupt_block(std::string_view what) {
  return {Code::kCorrupt, "block: " + std::string(what)};
}

void append_rows(GroupColumns& to, const GroupColumns& from) {
  to.source_ns.insert(to.source_ns.end(), from.source_ns.begin(), from.source_ns.end());
  to.receive_ns.insert(to.receive_ns.end(), from.receive_ns.begin(), from.receive_ns.end());
  to.columns.resize(from.columns.size());
  for (std::size_t c = 0; c < from.columns.size(); ++c) {
    to.columns[c].insert(to.columns[c].end(), from.columns[c].begin(), from.columns[c].end());
  }
}

template <typename T>
std::vector<T> part_of(const std::vector<T>& all, std::size_t first, std::size_t count) {
  if (all.empty()) return {};  // Of source times, where there are none.
  return {all.begin() + static_cast<std::ptrdiff_t>(first),
          all.begin() + static_cast<std::ptrdiff_t>(first + count)};
}

// REQUIRES: the slice lies within the group.
GroupColumns slice_of(const GroupColumns& group, const RowSlice& slice) {
  GroupColumns part;
  part.definition = group.definition;
  part.source_ns = part_of(group.source_ns, slice.first, slice.count);
  part.receive_ns = part_of(group.receive_ns, slice.first, slice.count);
  const std::vector<Channel>& channels = group.definition->channels();
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const std::size_t width = width_of(channels[c].type);
    part.columns.push_back(part_of(group.columns[c], slice.first * width, slice.count * width));
  }
  return part;
}

// The groups that `reference` names, as they were in the batch.
Result<std::vector<GroupColumns>> groups_of(const DecodedBatch& block,
                                            std::span<const std::uint64_t> definitions,
                                            const BlockReference& reference) {
  std::vector<GroupColumns> groups;
  for (std::size_t d = 0; d < definitions.size(); ++d) {
    if (d > 0 && definitions[d] <= definitions[d - 1]) {
      return corrupt_block("a batch's definitions are out of order");
    }
    const auto group = std::find_if(
        block.groups.begin(), block.groups.end(),
        [&](const GroupColumns& g) { return g.definition->prefix() == definitions[d]; });
    if (group == block.groups.end()) return corrupt_block("it lacks a group of a batch");
    const RowSlice& slice = reference.slices[d];
    const std::uint64_t rows = group->row_count();
    if (slice.count < 1 || slice.first > rows || slice.count > rows - slice.first) {
      return corrupt_block("it has fewer rows than a batch of it");
    }
    groups.push_back(slice_of(*group, slice));
  }
  return groups;
}

// What replaces the batches themselves is read back first.
bool gives_back(std::string_view car, std::string_view blob,
                const std::vector<GroupColumns>& groups) {
  const auto decoded = decode_block(car, blob, [&](std::uint64_t prefix) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const GroupColumns& group) {
      return group.definition->prefix() == prefix;
    });
    return found == groups.end() ? DefinitionPtr() : found->definition;
  });
  return decoded.ok() &&
         std::equal(groups.begin(), groups.end(), decoded.value().groups.begin(),
                    decoded.value().groups.end(), [](const GroupColumns& a, const GroupColumns& b) {
                      return a.definition == b.definition && a.source_ns == b.source_ns &&
                             a.receive_ns == b.receive_ns && a.columns == b.columns;
                    });
}

}  // namespace

std::size_t raw_bytes_of(const DecodedBatch& batch) {
  return std::accumulate(batch.groups.begin(), batch.groups.end(), std::size_t{0},
                         [](std::size_t sum, const GroupColumns& group) {
                           return sum + counted_bytes(*group.definition, group.row_count());
                         });
}

bool is_block_reference(std::string_view blob) {
  return !blob.empty() && blob.front() == kReferenceMark;
}

std::string pack_block_reference(const BlockReference& reference) {
  std::string packed(1, kReferenceMark);
  for (const std::uint64_t value : {reference.block, reference.bytes, reference.share}) {
    append_varint(packed, value);
  }
  for (const RowSlice& slice : reference.slices) {
    append_varint(packed, slice.first);
    append_varint(packed, slice.count);
  }
  return packed;
}

Result<BlockReference> parse_block_reference(std::string_view blob, std::size_t definitions) {
  const bool is_one = is_block_reference(blob) && blob.size() <= kMaxReferenceBytes;
  if (!is_one) return corrupt_block("no reference");
  ByteReader reader(std::as_bytes(std::span(blob.substr(1))));
  BlockReference reference;
  reference.block = reader.take_varint();
  reference.bytes = reader.take_varint();
  reference.share = reader.take_varint();
  for (std::size_t d = 0; d < definitions && reader.ok(); ++d) {
    const std::uint64_t first = reader.take_varint();
    reference.slices.push_back({.first = first, .count = reader.take_varint()});
  }
  const bool is_whole = definitions == 0 || reader.remaining() == 0;
  const bool is_sound = reader.ok() && is_whole && reference.block >= 1 &&
                        reference.bytes <= kMaxBatchBytes && reference.share <= kMaxBatchBytes;
  if (!is_sound) return corrupt_block("a reference that cannot be read");
  return reference;
}

bool BlockBuilder::add(std::uint64_t sequence, std::uint64_t bytes, const DecodedBatch& batch) {
  std::size_t raw_bytes = raw_bytes_;
  std::size_t groups = groups_.size();
  for (const GroupColumns& group : batch.groups) {
    raw_bytes += counted_bytes(*group.definition, group.row_count());
    if (groups_.contains(group.definition->prefix())) {
      raw_bytes -= counted_bytes(*group.definition, 0);  // Its columns are counted once.
    } else {
      ++groups;
    }
  }
  const bool fits = raw_bytes <= kMaxBlockRawBytes && rows_ + batch.rows <= kMaxBatchRows &&
                    groups <= kMaxBatchGroups;
  if (!fits) return false;
  Member member{.sequence = sequence, .reference = {}};
  member.reference.bytes = bytes;
  for (const GroupColumns& group : batch.groups) {
    GroupColumns& all = groups_[group.definition->prefix()];
    all.definition = group.definition;
    member.reference.slices.push_back({.first = all.row_count(), .count = group.row_count()});
    append_rows(all, group);
  }
  rows_ += batch.rows;
  raw_bytes_ = raw_bytes;
  members_.push_back(std::move(member));
  return true;
}

void BlockBuilder::clear() {
  groups_.clear();
  members_.clear();
  rows_ = 0;
  raw_bytes_ = 0;
}

std::optional<NewBlock> BlockBuilder::finish() {
  std::vector<GroupColumns> groups;
  for (auto& [prefix, group] : std::exchange(groups_, {})) groups.push_back(std::move(group));
  std::vector<Member> members = std::exchange(members_, {});
  clear();
  const std::uint64_t before = std::accumulate(
      members.begin(), members.end(), std::uint64_t{0},
      [](std::uint64_t sum, const Member& member) { return sum + member.reference.bytes; });
  NewBlock block;
  block.car = car_;
  block.first = members.front().sequence;
  block.block = members.back().sequence;
  block.blob = encode_block(car_, groups).blob;
  std::uint64_t after = block.blob.size();
  for (Member& member : members) {
    BlockReference& reference = member.reference;
    reference.block = block.block;
    reference.share = block.blob.size() * reference.bytes / std::max(before, std::uint64_t{1});
    block.members.push_back({member.sequence, pack_block_reference(reference)});
    after += block.members.back().reference.size();
  }
  if (after > before - before / kWorthIt) return std::nullopt;
  if (!gives_back(car_, block.blob, groups)) return std::nullopt;
  return block;
}

// What cannot be decoded for good is remembered; for want of a definition it may be another time.
Result<DecodedBatch> BlockExpander::decode(std::uint64_t block, const std::string& car) {
  const auto blob = load_(block, car);
  bool lacks_definition = false;
  auto decoded = blob.ok() ? decode_block(car, blob.value(),
                                          [&](std::uint64_t prefix) {
                                            DefinitionPtr found = lookup_(prefix);
                                            lacks_definition |= found == nullptr;
                                            return found;
                                          })
                           : Result<DecodedBatch>(blob.status());
  if (decoded.ok() && raw_bytes_of(decoded.value()) > kMaxBlockRawBytes) {
    decoded = corrupt_block("it is too large when decoded");
  }
  if (decoded.ok()) return decoded;
  const bool is_for_good = decoded.status().code() == Code::kCorrupt && !lacks_definition;
  if (is_for_good && corrupt_.size() < kMaxCorrupt) {
    corrupt_.emplace(std::pair(block, car), decoded.status());
  }
  return Status(decoded.status()).within("block " + std::to_string(block));
}

Result<const DecodedBatch*> BlockExpander::find(std::uint64_t block, const std::string& car) {
  const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
    return one.block == block && one.car == car;
  });
  if (kept != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, kept);
    return &kept_.front().batch;
  }
  const auto known = corrupt_.find({block, car});
  if (known != corrupt_.end()) return known->second;
  auto decoded = decode(block, car);
  if (!decoded.ok()) return decoded.status();
  kept_.push_front({.block = block, .car = car, .batch = std::move(decoded).take(), .bytes = 0});
  kept_.front().bytes = memory_of(kept_.front().batch);
  kept_bytes_ += kept_.front().bytes;
  while (kept_bytes_ > kMaxKeptBytes && kept_.size() > 1) {
    kept_bytes_ -= kept_.back().bytes;
    kept_.pop_back();
  }
  return &kept_.front().batch;
}

Status BlockExpander::expand(StoredEntry& entry) {
  if (entry.is_event || !is_block_reference(entry.bytes)) return {};
  if (entry.first != entry.last || entry.definitions.empty()) {
    return corrupt_block("a reference of no batch");
  }
  const auto reference = parse_block_reference(entry.bytes, entry.definitions.size());
  if (!reference.ok()) return reference.status();
  const auto block = find(reference.value().block, entry.car);
  if (!block.ok()) return block.status();
  const auto groups = groups_of(*block.value(), entry.definitions, reference.value());
  if (!groups.ok()) return groups.status();
  EncodedBatch batch = encode_batch(entry.car, groups.value());
  if (batch.hash != entry.hashes.front()) return corrupt_block("a batch of it has another hash");
  entry.bytes = std::move(batch.blob);
  return {};
}

}  // namespace pitbox
