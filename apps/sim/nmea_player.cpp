#include "apps/sim/nmea_player.h"

#include <algorithm>

namespace pitbox {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kLookBytes = 64 * 1024;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int two_digits(std::string_view text, std::size_t at) {
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// hhmmss, then up to three decimals that count.
std::optional<std::int64_t> parse_clock(std::string_view field) {
  if (field.size() < 6 || !std::all_of(field.begin(), field.begin() + 6, is_digit)) {
    return std::nullopt;
  }
  std::int64_t value = two_digits(field, 0) * 3'600'000LL + two_digits(field, 2) * 60'000LL +
                       two_digits(field, 4) * 1000LL;
  if (field.size() > 6 && field[6] == '.') {
    std::int64_t scale = 100;
    for (std::size_t i = 7; i < field.size() && is_digit(field[i]) && scale > 0; ++i, scale /= 10) {
      value += (field[i] - '0') * scale;
    }
  }
  return value < kDayMs ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> nmea_time_of_day(std::string_view line) {
  for (std::size_t at = line.find('$'); at != std::string_view::npos; at = line.find('$', at + 1)) {
    const std::string_view rest = line.substr(at);
    if (rest.size() < 8 || rest[6] != ',') continue;
    const std::string_view kind = rest.substr(3, 3);
    if (kind != "RMC" && kind != "GGA") continue;
    const auto time = parse_clock(rest.substr(7, rest.find(',', 7) - 7));
    if (time) return time;
  }
  return std::nullopt;
}

Result<NmeaPlayer> NmeaPlayer::make(std::string_view recording) {
  const std::string_view look = recording.substr(0, kLookBytes);
  if (!nmea_time_of_day(look)) {
    return Status(Code::kRejected,
                  "no RMC or GGA sentence at its beginning: only NMEA recordings can be played");
  }
  return NmeaPlayer(recording);
}

// Midnight steps back by almost a day; any other step back is a clock that was set, and takes no
// time.
void NmeaPlayer::follow_clock(std::int64_t time_of_day_ms) {
  if (last_time_of_day_ms_) {
    std::int64_t step = time_of_day_ms - *last_time_of_day_ms_;
    if (step < -kDayMs / 2) step += kDayMs;
    at_ms_ += std::max<std::int64_t>(step, 0);
  }
  last_time_of_day_ms_ = time_of_day_ms;
}

std::optional<NmeaPlayer::Piece> NmeaPlayer::next() {
  while (position_ < recording_.size()) {
    const std::size_t newline = recording_.find('\n', position_);
    const std::size_t end = newline == std::string_view::npos ? recording_.size() : newline + 1;
    const std::string_view line = recording_.substr(position_, end - position_);
    position_ = end;
    if (line.find_first_not_of("\r\n") == std::string_view::npos) continue;
    if (const auto time = nmea_time_of_day(line)) follow_clock(*time);
    return Piece{.bytes = line, .at_ms = at_ms_};
  }
  return std::nullopt;
}

}  // namespace pitbox
