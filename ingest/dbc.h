// Dbc: what the frames of a CAN bus mean, read from a DBC file. Plain values; any thread.
//
// Read are BO_ and SG_, SIG_VALTYPE_, VAL_, SG_MUL_VAL_ and of BA_ the GenMsgCycleTime; every other
// statement is skipped whole. Nothing is guessed: a signal that cannot be decoded as the file says
// (it leaves its message, its factor is 0, its multiplexer is not to be told) is left out, and so
// is what does not read as its statement; each is a warning with its line, and the message knows
// the names, so that its frames are kept as they came.
//
// What comes out can be decoded without further questions: see DbcSignal. Texts that are not UTF-8
// are read as CP1252.
//
// Limits: below. A file beyond those of messages and signals is refused; a name or a signal beyond
// its own is left out; of warnings the first are kept and the others counted.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kDbcFileBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kDbcMessagesMax = 8192;
inline constexpr std::size_t kDbcSignalsMax = 131'072;       // Of all messages.
inline constexpr std::size_t kDbcMessageSignalsMax = 1024;   // A row of 8 KiB at most.
inline constexpr std::size_t kDbcValueNamesMax = 262'144;    // Of all signals.
inline constexpr std::size_t kDbcSwitchRangesMax = 262'144;  // Of all signals.
inline constexpr std::size_t kDbcWarningsMax = 256;
inline constexpr std::size_t kDbcFrameBytesMax = 64;

// Of identifiers here and in canfd_frame.
inline constexpr std::uint32_t kCanExtended = 0x80000000U;

enum class DbcValueType : std::uint8_t { kInteger, kFloat32, kFloat64 };

// Both ends are included.
struct DbcRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  friend auto operator<=>(const DbcRange&, const DbcRange&) = default;
};

struct DbcValueName {
  std::int64_t value = 0;
  std::string name;
};

// Bit b is bit b % 8 of byte b / 8, 0 the least significant. Intel: `start` is the value's least
// significant bit, and it goes up from there. Motorola: `start` is its most significant bit; it
// goes down within the byte, then on at bit 7 of the next.
struct DbcSignal {
  std::string name;
  std::string unit;
  std::size_t line = 0;
  std::uint16_t start = 0;
  std::uint16_t length = 0;  // 1..64; 32 or 64 of a float.
  bool is_motorola = false;
  bool is_signed = false;
  DbcValueType type = DbcValueType::kInteger;
  double factor = 1;  // Finite, not 0. physical = raw * factor + offset
  double offset = 0;
  double minimum = 0;  // Both 0: not said.
  double maximum = 0;
  // Other signals are there or not by this one's bits, taken as unsigned.
  bool is_multiplexer = false;
  // The multiplexer that says whether this one is there: a signal of the same message, an integer,
  // and through its own multiplexers one that depends on none. Empty: always there.
  std::string multiplexer;
  std::vector<DbcRange> when;  // The multiplexer's values with which it is; sorted, disjoint.
  std::vector<DbcValueName> value_names;
};

struct DbcMessage {
  std::uint32_t id = 0;  // 11 bits, or 29 and kCanExtended.
  std::string name;
  std::size_t line = 0;
  std::size_t bytes = 0;              // 0..64
  std::int64_t cycle_ms = 0;          // 0: not said.
  std::vector<DbcSignal> signals;     // In the file's order; names are unique.
  std::vector<std::string> left_out;  // Signals that are not among them.
};

struct DbcWarning {
  std::size_t line = 0;
  std::string text;
};

struct Dbc {
  std::vector<DbcMessage> messages;  // In the file's order; ids are unique, names need not be.
  std::vector<DbcWarning> warnings;  // By line.
  std::uint64_t further_warnings = 0;
};

// kRejected, "FILE:LINE: what is wrong", for a text that is no DBC at all (no message in it, a
// quoted text that does not end) or beyond a limit.
Result<Dbc> parse_dbc(std::string_view text, std::string_view file);
// The same of a file's content; kRejected also if it cannot be read.
Result<Dbc> load_dbc(const std::filesystem::path& file);

// So many bytes of a frame the signal needs: one more than the number of its last byte.
std::size_t dbc_bytes_needed(const DbcSignal& signal);

}  // namespace pitbox
