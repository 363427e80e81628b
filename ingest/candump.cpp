#include "ingest/candump.h"

#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

namespace pitbox {
namespace {

constexpr std::size_t kInterfaceBytesMax = IFNAMSIZ - 1;
constexpr std::size_t kStandardDigits = 3;
constexpr std::size_t kExtendedDigits = 8;
constexpr std::int64_t kCandumpSecondNs = 1'000'000'000;
constexpr std::uint64_t kSecondsMax = 9'000'000'000;  // The year 2255: nanoseconds fit.

Status no_candump(const std::string& what) {
  return {Code::kCorrupt, what};
}

bool is_candump_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// Up to the next space; `rest` goes on behind it.
std::string_view take_candump_field(std::string_view& rest) {
  while (!rest.empty() && is_candump_space(rest.front())) rest.remove_prefix(1);
  const auto end = std::find_if(rest.begin(), rest.end(), is_candump_space);
  const std::string_view field = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  rest.remove_prefix(field.size());
  return field;
}

// The whole of `text` as a number; nothing if it is none.
template <typename T>
std::optional<T> candump_number(std::string_view text, int base) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value, base);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return value;
}

// "1631416514.717133", with 1 to 9 digits behind the point.
std::optional<std::int64_t> candump_time(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(point + 1);
  const auto seconds = candump_number<std::uint64_t>(text.substr(0, point), 10);
  auto fraction = candump_number<std::uint32_t>(digits, 10);
  if (!seconds || *seconds > kSecondsMax || !fraction || digits.size() > 9) return std::nullopt;
  for (std::size_t i = digits.size(); i < 9; ++i) *fraction *= 10;
  return static_cast<std::int64_t>(*seconds) * kCandumpSecondNs + *fraction;
}

// The identifier with its flags. Three digits are a standard one; eight an extended one or, with
// its flag in them, an error frame; from four to seven an extended one if `is_short_allowed`.
std::optional<canid_t> candump_id(std::string_view text, bool is_short_allowed) {
  const auto value = candump_number<std::uint32_t>(text, 16);
  if (!value || text.size() > kExtendedDigits) return std::nullopt;
  if (text.size() == kStandardDigits) {
    return *value <= CAN_SFF_MASK ? std::optional<canid_t>(*value) : std::nullopt;
  }
  if (text.size() != kExtendedDigits && (!is_short_allowed || text.size() < kStandardDigits)) {
    return std::nullopt;
  }
  if ((*value & ~CAN_ERR_MASK) == CAN_ERR_FLAG) return *value;
  return *value <= CAN_EFF_MASK ? std::optional<canid_t>(*value | CAN_EFF_FLAG) : std::nullopt;
}

bool add_candump_byte(CanFrame& frame, std::string_view digits) {
  const auto value = candump_number<std::uint8_t>(digits, 16);
  const std::size_t longest = frame.is_fd ? kCanDataBytesMax : CAN_MAX_DLEN;
  if (!value || digits.size() != 2 || frame.frame.len >= longest) return false;
  frame.frame.data[frame.frame.len++] = *value;
  return true;
}

// Behind '#': "R", "R8", or bytes, and of 8 bytes perhaps "_9" to "_F".
bool read_log_classic(std::string_view text, CanFrame& frame) {
  if (text.starts_with('R')) {
    frame.frame.can_id |= CAN_RTR_FLAG;
    if (text.size() == 1) return true;
    const auto length = candump_number<std::uint8_t>(text.substr(1), 16);
    if (!length || *length > CAN_MAX_DLEN) return false;
    frame.frame.len = *length;
    return true;
  }
  const std::size_t data_end = std::min(text.find('_'), text.size());
  for (std::size_t at = 0; at < data_end; at += 2) {
    if (!add_candump_byte(frame, text.substr(at, std::min<std::size_t>(2, data_end - at))))
      return false;
  }
  if (data_end == text.size()) return true;
  const auto dlc = candump_number<std::uint8_t>(text.substr(data_end + 1), 16);
  if (!dlc || *dlc <= CAN_MAX_DLEN || *dlc > CAN_MAX_RAW_DLC || frame.frame.len != CAN_MAX_DLEN) {
    return false;
  }
  frame.raw_dlc = *dlc;
  return true;
}

// Behind "##": a digit of flags, and bytes.
bool read_log_fd(std::string_view text, CanFrame& frame) {
  frame.is_fd = true;
  const auto flags = candump_number<std::uint8_t>(text.substr(0, 1), 16);
  if (!flags) return false;
  frame.frame.flags = *flags;
  for (std::size_t at = 1; at < text.size(); at += 2) {
    if (!add_candump_byte(frame, text.substr(at, 2))) return false;
  }
  return true;
}

Status read_log(std::string_view field, std::string_view rest, CanFrame& frame) {
  const std::size_t mark = field.find('#');
  const auto id = candump_id(field.substr(0, mark), false);
  if (!id) return no_candump("its identifier is none of 3 or 8 hexadecimal digits");
  frame.frame.can_id = *id;
  const std::string_view data = field.substr(mark + 1);
  const bool is_fd = data.starts_with('#');
  if (is_fd ? !read_log_fd(data.substr(1), frame) : !read_log_classic(data, frame)) {
    return no_candump("its data are not as #0011.., #R or ##<flags>0011.., or too long");
  }
  const std::string_view direction = take_candump_field(rest);
  if ((!direction.empty() && direction != "T" && direction != "R") ||
      !take_candump_field(rest).empty()) {
    return no_candump("something stands behind the frame");
  }
  return {};
}

// "[8]" of a classic frame, "[08]" of a CAN FD one.
std::optional<std::size_t> read_pretty_length(std::string_view field, CanFrame& frame) {
  if (!field.starts_with('[') || !field.ends_with(']')) return std::nullopt;
  const std::string_view digits = field.substr(1, field.size() - 2);
  frame.is_fd = digits.size() > 1;
  const auto length = candump_number<std::uint8_t>(digits, 10);
  if (!length || *length > (frame.is_fd ? kCanDataBytesMax : CAN_MAX_DLEN)) return std::nullopt;
  return *length;
}

Status read_pretty(std::string_view id_field, std::string_view rest, CanFrame& frame) {
  if (id_field == "TX" || id_field == "RX") {
    // With its flags of bit rate and error state: "TX - -", "RX B E".
    for (int i = 0; i < 2; ++i) {
      const std::string_view mark = take_candump_field(rest);
      if (mark != "-" && mark != "B" && mark != "E") return no_candump("TX or RX without marks");
    }
    id_field = take_candump_field(rest);
  }
  const auto id = candump_id(id_field, true);
  if (!id) return no_candump("its identifier is none of 3 to 8 hexadecimal digits");
  frame.frame.can_id = *id;
  const auto length = read_pretty_length(take_candump_field(rest), frame);
  if (!length) return no_candump("its length is none of [0] to [8] or [00] to [64]");
  std::string_view field = take_candump_field(rest);
  if (field == "remote" && !frame.is_fd) {
    frame.frame.can_id |= CAN_RTR_FLAG;
    frame.frame.len = static_cast<std::uint8_t>(*length);
    if (take_candump_field(rest) != "request") return no_candump("\"remote\" without \"request\"");
    field = take_candump_field(rest);
  } else {
    for (std::size_t i = 0; i < *length; ++i, field = take_candump_field(rest)) {
      if (!add_candump_byte(frame, field)) return no_candump("its data are not as long as it says");
    }
  }
  // The same bytes as characters (candump -a), or what the kernel's error frames are called.
  if (field.empty() || field.starts_with('\'') || field == "ERRORFRAME") return {};
  return no_candump("something stands behind the frame");
}

}  // namespace

Result<CandumpLine> parse_candump_line(std::string_view line) {
  if (line.size() > kCandumpLineBytesMax) return no_candump("longer than 512 bytes");
  CandumpLine out;
  std::string_view rest = line;
  std::string_view field = take_candump_field(rest);
  if (field.empty()) return out;
  if (field.starts_with('(')) {
    out.time_ns =
        field.ends_with(')') ? candump_time(field.substr(1, field.size() - 2)) : std::nullopt;
    if (!out.time_ns) return no_candump("its time is not as (SECONDS.FRACTION)");
    field = take_candump_field(rest);
  }
  if (field.empty() || field.size() > kInterfaceBytesMax) {
    return no_candump("no name of an interface");
  }
  out.interface = field;
  field = take_candump_field(rest);
  if (field == "ERROR") {
    if (!take_candump_field(rest).empty()) return no_candump("something stands behind ERROR");
    out.kind = CandumpKind::kErrorNote;
    return out;
  }
  out.kind = CandumpKind::kFrame;
  const bool is_log = field.find('#') != std::string_view::npos;
  Status read = is_log ? read_log(field, rest, out.frame) : read_pretty(field, rest, out.frame);
  if (!read.ok()) return read;
  return out;
}

std::optional<Result<CandumpLine>> CandumpReader::next() {
  while (!rest_.empty()) {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++line_;
    auto read = parse_candump_line(text);
    if (!read.ok()) return Status(read.status()).within("line " + std::to_string(line_));
    if (read.value().kind != CandumpKind::kBlank) return read;
  }
  return std::nullopt;
}

}  // namespace pitbox
