// Frames between a box or a viewer and a room: the one place where received bytes become a
// words::Frame, with every bound of ROOM.md checked, and where a Frame becomes bytes. Box, room and
// viewers all use it, so both ends refuse the same things.
//
// Threads: pure functions; any thread.
//
// Limits: a frame is at most kMaxFrameBytes; the lists and texts in it are bounded below. A frame
// that parse_frame() gives back satisfies all of them, so its reader may index, add and reserve
// without checking again. What needs state (contiguous offsets, known definitions, content hashes)
// is checked where that state is.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/ranges.h"
#include "proto/room.pb.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMaxFrameBytes = std::size_t{1} << 20;
inline constexpr std::uint32_t kRoomProtocolVersion = 1;
inline constexpr std::string_view kRoomSubprotocol = "pitbox.room.v1";
inline constexpr std::string_view kViewSubprotocol = "pitbox.view.v1";

inline constexpr int kMaxIncarnations = 1024;
inline constexpr int kMaxRanges = 4096;           // Per incarnation.
inline constexpr int kMaxWelcomeRanges = 32'768;  // In all of a Welcome: 24 B each, 768 KiB.
inline constexpr int kMaxKnownRanges = 64;        // Per incarnation of a Hello...
inline constexpr int kMaxHelloRanges = 16'384;    // ...and in all of it.
inline constexpr int kMaxHeldHashes = 8192;       // In all of a Welcome: 8 B each, 64 KiB...
inline constexpr int kMaxHeldContents = 1024;     // ...in so many runs.
inline constexpr int kMaxAckRanges = 64;
inline constexpr int kMaxWelcomeDefinitions = 4096;
inline constexpr std::size_t kMaxSequencesPerEntry = 4096;
inline constexpr std::size_t kMaxTextBytes = 256;
inline constexpr std::size_t kMaxDefinitionFrameBytes = kMaxFrameBytes - 1024;
inline constexpr int kMaxLiveValues = 64;
// A part of at most this many payload bytes always fits a frame, whatever stands beside it
// (4096 hashes of 18 B, 1024 definition names of 34 B, a car: 110 KiB at most).
inline constexpr std::size_t kMaxPartBytes = std::size_t{768} << 10;
// Sequences are at most 2^53 - 1, so that a room written in JavaScript may count in doubles.
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << 53) - 1;

// Why a WebSocket was closed, beyond the standard codes 1000 (done), 1001 (going away) and 1009
// (frame over kMaxFrameBytes). ROOM.md says what the other end does about each.
enum class CloseCode : std::uint16_t {
  kDone = 1000,
  kGoingAway = 1001,
  kFrameTooBig = 1009,
  kInternal = 1011,
  kCredentialExpired = 4001,
  kCredentialRejected = 4003,
  kUnknownSession = 4004,
  kReplaced = 4008,
  kConflict = 4009,
  kProtocolError = 4011,
  kHelloRefused = 4012,
  kStorageFull = 4013,
  kTooSlow = 4014,
  kNoHello = 4015,
  kTooManyConnections = 4016,
};
std::string_view to_string(CloseCode code);  // "credential_expired", ...

// kCorrupt, naming the field and the bound, if `bytes` are not one valid frame.
Result<words::Frame> parse_frame(std::string_view bytes);

// REQUIRES: `frame` is one that parse_frame() would accept.
std::string serialise(const words::Frame& frame);

// Fills a frame's repeated Range from `set`, the newest (greatest) `limit` ranges, and back.
void add_ranges(const RangeSet& set, int limit,
                google::protobuf::RepeatedPtrField<words::Range>* out);
RangeSet to_range_set(const google::protobuf::RepeatedPtrField<words::Range>& ranges);

// The first 8 bytes of a content hash (16 raw bytes), most significant first: HeldContent.hashes.
std::uint64_t short_hash(std::string_view raw);

}  // namespace pitbox
