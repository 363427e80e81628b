#include "apps/ledger/room_side.h"

#include "proto/content_hash.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

std::string name_of(const DownloadedEntry& entry) {
  return hex_id(entry.incarnation) + " " + std::to_string(entry.first) + ".." +
         std::to_string(entry.last);
}

void take_batch(const DownloadedEntry& entry, const RoomSideOptions& options,
                EntryIdentity& identity, RoomSide& side) {
  const auto batch = entry.decode();
  ++side.batches;
  if (!batch.ok()) {
    side.damaged.push_back(name_of(entry) + ": " + batch.status().message());
    return;
  }
  identity.hash = batch.value().hash;
  side.records += batch.value().rows;
  side.samples += batch.value().samples;
  if (!options.with_rows || (!options.cars.empty() && !options.cars.contains(entry.car))) return;
  for (const GroupColumns& group : batch.value().groups) {
    identify_rows(entry.car, group, side.rows);
  }
}

}  // namespace

Result<RoomSide> read_room_side(const RoomReaderOptions& reading, const RoomSideOptions& options) {
  RoomSide side;
  Status status = read_room(reading, [&](const DownloadedEntry& entry) {
    EntryIdentity identity;
    identity.incarnation = entry.incarnation;
    identity.first = entry.first;
    identity.last = entry.last;
    if (entry.is_event) {
      ++side.events;
      identity.hash = hash_event(entry.bytes);
    } else {
      take_batch(entry, options, identity, side);
    }
    side.entries.push_back(identity);
    if (options.progress) options.progress(side.entries.size());
    return Status();
  });
  if (!status.ok()) return std::move(status).within("read the room at " + reading.url);
  return side;
}

}  // namespace pitbox
