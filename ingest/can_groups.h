// CanPlan: what a Dbc's frames become, laid out for decoding: for each message its groups, for each
// group its definition and where the bits of its signals lie. Built once; plain values afterwards.
//
// Signals of a message with the same condition (multiplexer and values) are one group, the first
// those without any. So a signal is in one group only, a row has all its channels, and independent
// multiplexers do not multiply groups.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ingest/dbc.h"
#include "proto/definition.h"

namespace pitbox {

// Why a frame is kept as it came; several may be true of one. Numbers are stored (the channel
// "reason"): never reuse one.
enum class CanRawReason : std::uint8_t {
  kNoEntry = 1,       // The Dbc has no message of this identifier, or none with signals.
  kRemote = 2,        // A remote frame: without data.
  kShorter = 4,       // Shorter than the Dbc says; groups that do not fit in whole have no row.
  kLonger = 8,        // Longer than the Dbc says; the groups are decoded.
  kMultiplexer = 16,  // No signals are known for a multiplexer's value.
  kLeftOut = 32,      // Signals of the message were left out when the Dbc was read.
};

// Where a signal's bits are. Its 64 bits from `byte` on, in the signal's order and shifted by
// `shift`, have the value on top; `drop` more come out at the bottom.
struct CanBits {
  std::uint8_t byte = 0;
  std::uint8_t shift = 0;
  std::uint8_t drop = 0;  // 64 - length
  bool is_motorola = false;
  bool is_signed = false;
  bool has_ninth = false;    // It lies across 9 bytes.
  std::uint16_t column = 0;  // Offset in the row.
};

struct CanGroupPlan {
  DefinitionPtr definition;
  std::size_t bytes_needed = 0;  // Of the frame's data.
  std::vector<CanBits> signals;  // In the order of the definition's channels.
  std::vector<DbcRange> when;    // Empty: always.
};

// A multiplexer and the groups that depend on it: those from `first` to before `last`.
struct CanSwitchPlan {
  CanBits bits;
  std::size_t home = 0;  // The group that it is a signal of, which comes before its own.
  std::size_t first = 0;
  std::size_t last = 0;
};

struct CanMessagePlan {
  std::uint32_t id = 0;
  std::size_t bytes = 0;
  bool has_left_out = false;
  std::vector<CanGroupPlan> groups;
  std::vector<CanSwitchPlan> switches;  // Those of a group after that of the group's own.
};

class CanPlan {
 public:
  explicit CanPlan(const Dbc& dbc);

  // Null if there is none. `id` with kCanExtended and no other flag.
  const CanMessagePlan* find(std::uint32_t id) const;
  const std::vector<CanMessagePlan>& messages() const { return messages_; }
  std::size_t row_bytes_max() const { return row_bytes_max_; }
  std::size_t groups_max() const { return groups_max_; }  // Of one message.

 private:
  std::vector<CanMessagePlan> messages_;
  std::vector<std::uint16_t> slots_;  // Hash table: 1 + index into messages_, or 0.
  std::size_t row_bytes_max_ = 0;
  std::size_t groups_max_ = 0;
};

// The groups besides those of messages.
DefinitionPtr can_raw_definition();
DefinitionPtr can_raw_fd_definition();
DefinitionPtr can_error_definition();

}  // namespace pitbox
