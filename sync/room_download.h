// RoomDownload: what a viewer's end of a room's conversation makes of the frames it gets: entries,
// whole and in order, for read_room(). No socket, no clock.
//
// Threads: one. Limits: frames of at most 1 MiB, entries of at most 8 MiB, one of them in parts at
// a time; a room that breaks one of them, or that says what the protocol (proto/ROOM.md) does not
// allow, gives kCorrupt. Definitions are kept for as long as the download lasts: the room decides
// how many, at most kDefinitionBytesMax of them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/batch.h"
#include "proto/content_hash.h"
#include "proto/definition.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox::words {
class Definition;
class Frame;
class Part;
}  // namespace pitbox::words

namespace pitbox {

// One entry as the room holds it. `bytes` are those the box sent; nothing was recomputed.
struct DownloadedEntry {
  Uuid box;  // Whose incarnation it is; nil if the room does not say.
  std::uint64_t incarnation = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool is_event = false;
  std::string car;
  std::vector<ContentHash> hashes;         // One per sequence first..last.
  std::vector<DefinitionPtr> definitions;  // Those the batch uses, in the order it names them.
  std::string bytes;

  // What the batch says. kCorrupt as decode_batch(). REQUIRES: !is_event.
  Result<DecodedBatch> decode() const;
};

class RoomDownload {
 public:
  static constexpr std::size_t kDefinitionBytesMax = std::size_t{64} << 20;
  // `visit` gets each entry; a Status that is not ok ends the download with it. `live`: HistoryEnd
  // does not end it.
  using Visit = std::function<Status(const DownloadedEntry&)>;
  RoomDownload(bool live, const Visit& visit) : live_(live), visit_(visit) {}

  // kCorrupt: the room broke the protocol. What comes after an end is ignored.
  Status take(std::string_view frame);

  bool is_welcomed() const { return welcomed_; }
  // Of the room's Goodbye; empty if it said none.
  const std::string& goodbye() const { return goodbye_; }
  // How it ended; nothing while it has not.
  const std::optional<Status>& result() const { return result_; }

 private:
  struct Open {
    DownloadedEntry entry;
    std::uint64_t total;
  };
  Status fail(std::string what);
  Status end(Status result);
  Status take_frame(const words::Frame& frame);
  Status take_definition(const words::Definition& frame);
  Status begin_entry(const words::Part& part);
  Status take_part(const words::Part& part);

  const bool live_;
  const Visit& visit_;
  bool welcomed_ = false;
  std::string goodbye_;
  std::map<std::string, DefinitionPtr> definitions_;  // By name.
  std::size_t definition_bytes_ = 0;
  std::optional<Open> open_;
  std::uint64_t entries_ = 0;
  std::optional<Status> result_;
};

}  // namespace pitbox
