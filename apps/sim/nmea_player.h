// NmeaPlayer: cuts a recording of NMEA 0183 sentences into pieces and says when each was sent.
//
// A piece is a line as it stands in the file, line ending included: sentences that a bad cable
// glued together stay together, so that a receiver is tested with what really came. Times are those
// of the RMC and GGA sentences; a line without one goes with the line before it. Plain value; one
// thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

class NmeaPlayer {
 public:
  // `recording` must outlive the player. kRejected if its first 64 KiB hold no sentence.
  static Result<NmeaPlayer> make(std::string_view recording);

  struct Piece {
    std::string_view bytes;
    std::int64_t at_ms = 0;  // Since the first time in the recording. Never goes back.
  };
  // Nothing at the end. Lines without a character are passed over.
  std::optional<Piece> next();
  std::size_t position() const { return position_; }

 private:
  explicit NmeaPlayer(std::string_view recording) : recording_(recording) {}
  void follow_clock(std::int64_t time_of_day_ms);

  std::string_view recording_;
  std::size_t position_ = 0;
  std::int64_t at_ms_ = 0;
  std::optional<std::int64_t> last_time_of_day_ms_;
};

// The time field of an RMC or GGA sentence somewhere in `line`, in ms since midnight.
std::optional<std::int64_t> nmea_time_of_day(std::string_view line);

}  // namespace pitbox
