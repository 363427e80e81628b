// NMEA 0183 sentences: finding them in bytes, and reading the two that Pitbox keeps (RMC and GGA).
//
// NmeaScanner takes bytes in pieces of any size and gives the sentences in them, whole and with a
// right checksum, however they were cut. It starts anew at every `$`, because real loggers glue a
// sentence onto the start of another that they did not finish; the second is then not lost.
//
// Values; one thread each. Limit: kSentenceBytesMax bytes (the standard says 82).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "buffer/decoder.h"

namespace pitbox {

class NmeaScanner {
 public:
  static constexpr std::size_t kSentenceBytesMax = 256;  // From `$` to the checksum.

  class Listener {
   public:
    virtual ~Listener() = default;
    // What is between `$` and `*`, e.g. "GPRMC,173430.010,A,...".
    virtual void sentence(std::string_view body) = 0;
    virtual void refuse(RejectReason reason) = 0;
  };

  void feed(std::span<const std::byte> bytes, Listener& listener);
  // No more bytes of this stream will come: what was begun is refused as torn.
  void end(Listener& listener);
  bool is_idle() const { return state_ == State::kBetween; }

  // For saving: idle, in junk, or within a sentence and its text so far.
  std::uint8_t state() const { return static_cast<std::uint8_t>(state_); }
  const std::string& begun() const { return text_; }
  // False, and no change, if a scanner cannot be like that.
  bool restore(std::uint8_t state, std::string_view begun);

 private:
  enum class State : std::uint8_t { kBetween, kJunk, kSentence };
  void outside(char each, Listener& listener);
  void inside(char each, Listener& listener);
  void complete(Listener& listener);

  State state_ = State::kBetween;
  std::string text_;  // After the `$`.
};

// Recommended minimum: where, when, how fast. What a field did not say is NaN.
struct NmeaRmc {
  std::int64_t utc_ns = 0;
  bool is_valid = false;  // Status A; V says that the receiver has no fix.
  double latitude = 0;    // Degrees: whole degrees + minutes / 60, in double precision.
  double longitude = 0;
  double speed_knots = 0;
  double course = 0;
};

// Fix data. It has a time of day and no date.
struct NmeaGga {
  std::int64_t day_ns = 0;
  std::uint8_t quality = 0;
  std::uint8_t satellites = 0;
  double hdop = 0;
  double altitude_m = 0;
};

// "RMC" of "GPRMC,..."; empty for proprietary sentences and for what has no such name.
std::string_view nmea_type(std::string_view body);

// kUnsupported: a valid sentence without date and time, so without a place among the records.
struct NmeaRmcResult {
  std::optional<NmeaRmc> rmc{};
  RejectReason refusal = RejectReason::kMalformed;
};
NmeaRmcResult parse_rmc(std::string_view body);
// kUnsupported: no time.
struct NmeaGgaResult {
  std::optional<NmeaGga> gga{};
  RejectReason refusal = RejectReason::kMalformed;
};
NmeaGgaResult parse_gga(std::string_view body);

inline constexpr std::int64_t kDayNs = std::int64_t{86'400} * 1'000'000'000;

// The moment with that time of day which is nearest to `near_ns`: GGA takes its date from the last
// RMC, which may have come before midnight.
std::int64_t nearest_moment(std::int64_t day_ns, std::int64_t near_ns);

}  // namespace pitbox
