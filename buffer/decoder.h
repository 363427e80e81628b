// Decoder: (state, message) -> (state', records), bounded, without I/O. The recorder calls it on
// its thread, one instance per source, with the messages of that source in order.
//
// What a decoder understood it hands to a RecordSink. What it refuses it rejects there, with the
// count: nothing it was given disappears without one or the other.
//
// State that lives between messages (a partial line, announced schemas, a date) is saved in the
// same transaction as the consumed position, and given back after a restart; so replaying the
// messages after that position gives the same records again.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "buffer/message.h"
#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMaxDecoderStateBytes = 64 * 1024;

// Why a record (or a message's bytes) was not kept. Names as in status and docs/journal.md.
enum class RejectReason : std::uint8_t {
  kMalformed,     // Not this decoder's format.
  kChecksum,      // Its checksum is wrong.
  kUnknownGroup,  // Rows of a group whose definition was never announced.
  kLimit,         // A bound of the format or of Pitbox was exceeded.
  kTorn,          // A stream ended in the middle of it.
  kDuplicate,     // Its sequence number was seen already.
  kUnsupported,   // Valid, but nothing Pitbox keeps (an NMEA sentence without a position, say).
  kNoSpace,       // Decoded, and the disk is full (the recorder's reason, not a decoder's).
};
std::string_view to_string(RejectReason reason);

// `count` rows of one group of one car. All pointers are valid only during the call.
struct RowBlock {
  std::string_view car;
  const DefinitionPtr* definition = nullptr;
  std::size_t count = 0;
  std::span<const std::int64_t> source_ns;  // `count` of them; empty if there is no source time.
  std::int64_t receive_ns = 0;              // Of all rows: the message's.
  std::span<const std::byte> rows;          // count * row_bytes, packed little-endian rows.
};

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // REQUIRES: spans agree with count and definition.
  virtual void rows(const RowBlock& block) = 0;
  // Counts `records` decoded and then rejected.
  virtual void reject(RejectReason reason, std::uint64_t records) = 0;
  // The source's own numbering says that `count` records or messages (0: unknown) never arrived
  // before this message. `car` may be empty. Becomes a gap record.
  virtual void gap(std::string_view car, std::string_view reason, std::uint64_t count,
                   std::string_view unit) = 0;
};

enum class DecodeOutcome : std::uint8_t {
  kDecoded,    // Understood, at least as a carrier (a schema, half a sentence, rows).
  kMalformed,  // Not this format: the message is counted as dropped{decode, malformed}.
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual DecodeOutcome decode(const Message& message, RecordSink& sink) = 0;
  // At most kMaxDecoderStateBytes; empty if there is nothing to remember.
  virtual std::string save() const = 0;
  // REQUIRES: a fresh decoder. kCorrupt if the bytes are not from save(); the decoder is then as
  // new.
  virtual Status load(std::string_view state) = 0;
  // Changes whenever save() would give other bytes.
  virtual std::uint64_t state_version() const = 0;
};

}  // namespace pitbox
