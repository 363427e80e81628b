// CandumpReader: the text that candump(1) writes, line by line, in both of its styles:
//
//   (1631416514.717133) can0 0D2#0000FFFF10000000        candump -L, and its log files
//     vcan0  0C8   [8]  F0 00 00 00 00 00 00 00          candump, with or without a time in front
//
// of classic frames, remote frames (#R, "remote request"), CAN FD frames (##<flags>, lengths of two
// digits or more), error frames, and a direction (T, R, TX, RX). "ERROR" without a frame is told as
// such. Anything else is refused with its line; nothing is skipped untold but blank lines.
//
// A time is what is written: since 1970, since the start or since the frame before; which of them
// is not in the text.
//
// Limits: a line of kCandumpLineBytesMax bytes; a longer one is refused whole. Plain values, no
// memory beyond the text, which the caller holds; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ingest/can_frame.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kCandumpLineBytesMax = 512;

enum class CandumpKind : std::uint8_t {
  kFrame,
  kErrorNote,  // The word ERROR and no frame.
  kBlank,
};

struct CandumpLine {
  CandumpKind kind = CandumpKind::kBlank;
  std::optional<std::int64_t> time_ns;
  std::string_view interface;  // Part of the line.
  CanFrame frame;
};

// kCorrupt, saying what is wrong, for a line that is none of candump's. `line` is without its end.
Result<CandumpLine> parse_candump_line(std::string_view line);

class CandumpReader {
 public:
  explicit CandumpReader(std::string_view text) : rest_(text) {}

  // The next line that is not blank; nothing after the last. A refusal begins with "line N: ", and
  // the next call goes on behind it.
  std::optional<Result<CandumpLine>> next();
  std::size_t line() const { return line_; }  // Of what next() gave last, from 1.

 private:
  std::string_view rest_;
  std::size_t line_ = 0;
};

}  // namespace pitbox
