#include "ingest/nmea_sentence.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace pitbox {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFieldsMax = 32;
using Fields = std::array<std::string_view, kFieldsMax>;  // Those beyond the last are empty.

Fields split(std::string_view body) {
  Fields fields;
  for (std::size_t i = 0; i < kFieldsMax; ++i) {
    const std::size_t comma = body.find(',');
    fields[i] = body.substr(0, comma);
    if (comma == std::string_view::npos) break;
    body.remove_prefix(comma + 1);
  }
  return fields;
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char each) { return each >= '0' && each <= '9'; });
}

// A decimal number as NMEA writes it: no exponent, no words. Nothing if it is not one.
std::optional<double> decimal(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.-") != text.npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// NaN for an empty field; nothing for one that is no number.
std::optional<double> optional_decimal(std::string_view text) {
  return text.empty() ? std::optional(kNothing) : decimal(text);
}

int two_digits(std::string_view text, std::size_t at) {
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// hhmmss or hhmmss.s.. as nanoseconds; digits beyond the ninth after the point are dropped.
std::optional<std::int64_t> time_of_day(std::string_view text) {
  if (text.size() < 6 || !is_digits(text.substr(0, 6))) return std::nullopt;
  const int hours = two_digits(text, 0);
  const int minutes = two_digits(text, 2);
  const int seconds = two_digits(text, 4);
  if (hours > 23 || minutes > 59 || seconds > 60) return std::nullopt;  // 60: a leap second.
  std::int64_t fraction_ns = 0;
  if (text.size() > 6) {
    if (text[6] != '.' || (text.size() > 7 && !is_digits(text.substr(7)))) return std::nullopt;
    std::int64_t unit = 100'000'000;
    for (const char digit : text.substr(7)) {
      fraction_ns += (digit - '0') * unit;
      unit /= 10;
    }
  }
  return (std::int64_t{hours} * 3600 + minutes * 60 + seconds) * 1'000'000'000 + fraction_ns;
}

// ddmmyy as nanoseconds since 1970. GPS began in 1980, so 80..99 are of the last century.
std::optional<std::int64_t> date(std::string_view text) {
  if (text.size() != 6 || !is_digits(text)) return std::nullopt;
  const int year = two_digits(text, 4);
  const std::chrono::year_month_day day(
      std::chrono::year(year < 80 ? 2000 + year : 1900 + year),
      std::chrono::month(static_cast<unsigned>(two_digits(text, 2))),
      std::chrono::day(static_cast<unsigned>(two_digits(text, 0))));
  if (!day.ok()) return std::nullopt;
  return std::chrono::sys_days(day).time_since_epoch().count() * kDayNs;
}

// (d)ddmm.mm.. and its hemisphere as degrees. Both empty: NaN. Nothing if it is no angle.
std::optional<double> angle(std::string_view text, std::string_view side, char positive,
                            char negative) {
  if (text.empty() && side.empty()) return kNothing;
  const std::size_t whole = std::min(text.find('.'), text.size());
  if (whole < 3 || whole > 5 || !is_digits(text.substr(0, whole))) return std::nullopt;
  if (side.size() != 1 || (side[0] != positive && side[0] != negative)) return std::nullopt;
  const auto degrees = decimal(text.substr(0, whole - 2));
  const auto minutes = decimal(text.substr(whole - 2));
  if (!degrees || !minutes || *minutes >= 60.0) return std::nullopt;
  const double value = *degrees + *minutes / 60.0;
  if (value > (positive == 'N' ? 90.0 : 180.0)) return std::nullopt;
  return side[0] == negative ? -value : value;
}

std::optional<std::uint8_t> small_number(std::string_view text) {
  if (text.empty()) return std::uint8_t{0};
  std::uint8_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int hex_digit(char each) {
  if (each >= '0' && each <= '9') return each - '0';
  if (each >= 'A' && each <= 'F') return each - 'A' + 10;
  if (each >= 'a' && each <= 'f') return each - 'a' + 10;
  return -1;
}

}  // namespace

void NmeaScanner::feed(std::span<const std::byte> bytes, Listener& listener) {
  for (const std::byte each : bytes) {
    if (state_ == State::kSentence) {
      inside(static_cast<char>(each), listener);
    } else {
      outside(static_cast<char>(each), listener);
    }
  }
}

void NmeaScanner::outside(char each, Listener& listener) {
  if (each == '$') {
    state_ = State::kSentence;
    text_.clear();
  } else if (each == '\r' || each == '\n') {
    state_ = State::kBetween;
  } else if (state_ == State::kBetween && each != ' ' && each != '\0') {
    listener.refuse(RejectReason::kMalformed);  // Once for the whole run of it.
    state_ = State::kJunk;
  }
}

void NmeaScanner::inside(char each, Listener& listener) {
  if (each == '$' || each == '\r' || each == '\n') {
    listener.refuse(RejectReason::kMalformed);  // Cut short, by the next one or by a line's end.
    state_ = State::kBetween;
    text_.clear();
    outside(each, listener);
    return;
  }
  text_.push_back(each);
  if (text_.size() >= 3 && text_[text_.size() - 3] == '*') {
    complete(listener);
  } else if (text_.size() + 1 >= kSentenceBytesMax) {
    listener.refuse(RejectReason::kLimit);
    state_ = State::kJunk;
    text_.clear();
  }
}

void NmeaScanner::complete(Listener& listener) {
  const std::string_view body = std::string_view(text_).substr(0, text_.size() - 3);
  const int high = hex_digit(text_[text_.size() - 2]);
  const int low = hex_digit(text_[text_.size() - 1]);
  state_ = State::kBetween;
  if (high < 0 || low < 0) {
    listener.refuse(RejectReason::kMalformed);
    state_ = State::kJunk;
  } else {
    int sum = 0;
    for (const char each : body) sum ^= static_cast<unsigned char>(each);
    if (sum == high * 16 + low) {
      listener.sentence(body);
    } else {
      listener.refuse(RejectReason::kChecksum);
    }
  }
  text_.clear();
}

void NmeaScanner::end(Listener& listener) {
  if (state_ == State::kSentence) listener.refuse(RejectReason::kTorn);
  state_ = State::kBetween;
  text_.clear();
}

bool NmeaScanner::restore(std::uint8_t state, std::string_view begun) {
  if (state > static_cast<std::uint8_t>(State::kSentence)) return false;
  const auto restored = static_cast<State>(state);
  if (restored != State::kSentence && !begun.empty()) return false;
  if (begun.size() + 1 >= kSentenceBytesMax || begun.find_first_of("$\r\n") != begun.npos) {
    return false;
  }
  const std::size_t star = begun.find('*');
  if (star != begun.npos && begun.size() - star >= 3) return false;
  state_ = restored;
  text_ = begun;
  return true;
}

std::string_view nmea_type(std::string_view body) {
  const std::string_view address = body.substr(0, body.find(','));
  if (address.size() != 5 || address[0] == 'P') return {};
  return address.substr(2);
}

NmeaRmcResult parse_rmc(std::string_view body) {
  const Fields fields = split(body);
  if (fields[2] != "A" && fields[2] != "V") return {};
  if (fields[1].empty() || fields[9].empty()) {
    return {.refusal = fields[2] == "V" ? RejectReason::kUnsupported : RejectReason::kMalformed};
  }
  const auto time = time_of_day(fields[1]);
  const auto day = date(fields[9]);
  const auto latitude = angle(fields[3], fields[4], 'N', 'S');
  const auto longitude = angle(fields[5], fields[6], 'E', 'W');
  const auto speed = optional_decimal(fields[7]);
  const auto course = optional_decimal(fields[8]);
  if (!time || !day || !latitude || !longitude || !speed || !course) return {};
  NmeaRmc rmc{.utc_ns = *day + *time,
              .is_valid = fields[2] == "A",
              .latitude = *latitude,
              .longitude = *longitude,
              .speed_knots = *speed,
              .course = *course};
  if (rmc.is_valid && (std::isnan(rmc.latitude) || std::isnan(rmc.longitude))) return {};
  return {.rmc = rmc};
}

NmeaGgaResult parse_gga(std::string_view body) {
  const Fields fields = split(body);
  if (fields[1].empty()) return {.refusal = RejectReason::kUnsupported};
  const auto time = time_of_day(fields[1]);
  const auto quality = small_number(fields[6]);
  const auto satellites = small_number(fields[7]);
  const auto hdop = optional_decimal(fields[8]);
  const auto altitude = optional_decimal(fields[9]);
  if (!time || !quality || !satellites || !hdop || !altitude) return {};
  return {.gga = NmeaGga{.day_ns = *time,
                         .quality = *quality,
                         .satellites = *satellites,
                         .hdop = *hdop,
                         .altitude_m = *altitude}};
}

std::int64_t nearest_moment(std::int64_t day_ns, std::int64_t near_ns) {
  std::int64_t into_day = near_ns % kDayNs;
  if (into_day < 0) into_day += kDayNs;
  const std::int64_t moment = near_ns - into_day + day_ns;
  if (moment - near_ns > kDayNs / 2) return moment - kDayNs;
  if (near_ns - moment > kDayNs / 2) return moment + kDayNs;
  return moment;
}

}  // namespace pitbox
