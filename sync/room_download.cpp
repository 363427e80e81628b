#include "sync/room_download.h"

#include <algorithm>
#include <utility>

#include "proto/frames.h"

namespace pitbox {

Result<DecodedBatch> DownloadedEntry::decode() const {
  return decode_batch(car, bytes, [this](std::uint64_t prefix) -> DefinitionPtr {
    for (const DefinitionPtr& definition : definitions) {
      if (definition && definition->prefix() == prefix) return definition;
    }
    return nullptr;
  });
}

Status RoomDownload::fail(std::string what) {
  result_ = Status(Code::kCorrupt, "the room broke the protocol: " + std::move(what));
  return *result_;
}

// Nobody is to blame: the caller closes the connection.
Status RoomDownload::end(Status result) {
  result_ = std::move(result);
  return {};
}

Status RoomDownload::take(std::string_view bytes) {
  if (result_) return {};
  const auto frame = parse_frame(bytes);
  if (!frame.ok()) return fail(frame.status().message());
  return take_frame(frame.value());
}

Status RoomDownload::take_frame(const words::Frame& frame) {
  if (frame.has_goodbye()) {
    goodbye_ = frame.goodbye().reason();
    return {};
  }
  if (frame.has_welcome()) {
    welcomed_ = true;
    return {};
  }
  if (!welcomed_) return fail("something else before Welcome");
  if (frame.has_definition()) return take_definition(frame.definition());
  if (frame.has_part()) return take_part(frame.part());
  if (!frame.has_history_end() || live_) return {};
  if (open_) return fail("an end in the middle of an entry");
  if (frame.history_end().entries() == entries_) return end({});
  return fail("it gave " + std::to_string(entries_) + " entries and says it gave " +
              std::to_string(frame.history_end().entries()));
}

Status RoomDownload::take_definition(const words::Definition& frame) {
  auto definition = Definition::parse(frame.content());
  if (!definition.ok()) return fail("a definition: " + definition.status().message());
  const DefinitionName& name = definition.value()->name();
  if (!std::equal(name.begin(), name.end(), frame.name().begin(), frame.name().end(),
                  [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
    return fail("a definition under another's name");
  }
  if (!definitions_.emplace(frame.name(), std::move(definition).take()).second) return {};
  definition_bytes_ += frame.content().size();
  if (definition_bytes_ > kDefinitionBytesMax) return fail("more than 64 MiB of definitions");
  return {};
}

Status RoomDownload::begin_entry(const words::Part& part) {
  if (part.total() > kMaxBatchBytes) return fail("an entry over 8 MiB");
  open_ = Open{.entry = {}, .total = part.total()};
  DownloadedEntry& entry = open_->entry;
  if (!part.box_id().empty()) {
    const auto box = Uuid::from_bytes(part.box_id());
    if (!box.ok()) return fail("a box id: " + box.status().message());
    entry.box = box.value();
  }
  entry.incarnation = part.incarnation();
  entry.first = part.first();
  entry.last = part.last();
  entry.is_event = part.kind() == words::EVENT;
  entry.car = part.car();
  for (const std::string& raw : part.hashes()) {
    const auto hash = ContentHash::from_bytes(raw);
    if (!hash.ok()) return fail("a hash: " + hash.status().message());
    entry.hashes.push_back(hash.value());
  }
  for (const std::string& name : part.definitions()) {
    const auto known = definitions_.find(name);
    if (known == definitions_.end()) return fail("a batch before its definition");
    entry.definitions.push_back(known->second);
  }
  return {};
}

Status RoomDownload::take_part(const words::Part& part) {
  if (part.offset() == 0) {
    if (open_) return fail("an entry before the last one was whole");
    Status begun = begin_entry(part);
    if (!begun.ok()) return begun;
  }
  if (!open_) return fail("a part of no entry");
  DownloadedEntry& entry = open_->entry;
  const bool is_same = entry.incarnation == part.incarnation() && entry.first == part.first() &&
                       entry.last == part.last() && open_->total == part.total() &&
                       entry.is_event == (part.kind() == words::EVENT);
  if (!is_same || entry.bytes.size() != part.offset()) return fail("a part out of place");
  // Memory is taken as bytes arrive, not as they are announced.
  entry.bytes += part.bytes();
  if (entry.bytes.size() < open_->total) return {};
  const DownloadedEntry whole = std::move(entry);
  open_.reset();
  ++entries_;
  Status visited = visit_(whole);
  return visited.ok() ? Status() : end(std::move(visited));
}

}  // namespace pitbox
