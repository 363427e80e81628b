#include "ingest/dbc_cursor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::string_view kDbcKeywords[] = {
    "BA_",        "BA_DEF_",     "BA_DEF_DEF_",  "BA_DEF_DEF_REL_",  "BA_DEF_REL_",
    "BA_REL_",    "BO_",         "BO_TX_BU_",    "BA_DEF_SGTYPE_",   "BA_SGTYPE_",
    "BS_",        "BU_",         "BU_BO_REL_",   "BU_EV_REL_",       "BU_SG_REL_",
    "CAT_",       "CAT_DEF_",    "CM_",          "ENVVAR_DATA_",     "EV_",
    "EV_DATA_",   "FILTER",      "NS_",          "NS_DESC_",         "SGTYPE_",
    "SG_",        "SGTYPE_VAL_", "SG_MUL_VAL_",  "SIGTYPE_VALTYPE_", "SIG_GROUP_",
    "VAL_TABLE_", "VERSION",     "SIG_VALTYPE_", "SIG_TYPE_REF_",    "VAL_"};

// Of 0x80..0x9F; the five that mean nothing there are U+FFFD. From 0xA0 on CP1252 is Unicode.
constexpr std::array<std::uint16_t, 32> kCp1252 = {
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};

bool is_dbc_digit(char c) {
  return c >= '0' && c <= '9';
}

bool begins_dbc_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

bool is_dbc_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

void append_utf8(std::string& out, std::uint16_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

std::string from_cp1252(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    const bool is_special = byte >= 0x80 && byte < 0xA0;
    append_utf8(out, is_special ? kCp1252[byte - 0x80U] : byte);
  }
  return out;
}

}  // namespace

bool is_dbc_keyword(std::string_view word) {
  return std::find(std::begin(kDbcKeywords), std::end(kDbcKeywords), word) !=
         std::end(kDbcKeywords);
}

std::string dbc_text(std::string_view quoted, std::size_t bytes_max) {
  std::string text;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '\\' && i + 1 < quoted.size() && quoted[i + 1] == '"') ++i;
    text += quoted[i];
  }
  if (is_plain_text(text) && text.size() <= bytes_max) return text;
  // Control characters are ASCII in both; without them, what is not plain is not UTF-8.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7F'; }, ' ');
  return printable(is_plain_text(text) ? text : from_cp1252(text), bytes_max);
}

DbcCursor::DbcCursor(std::string_view text) : text_(text) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

void DbcCursor::step() {
  if (text_[at_] == '\n') ++line_;
  ++at_;
}

void DbcCursor::skip_space() {
  while (!is_end()) {
    const char c = text_[at_];
    if (text_.substr(at_, 2) == "//") {
      while (!is_end() && text_[at_] != '\n') ++at_;
    } else if (is_dbc_blank(c) || (spans_lines_ && c == '\n')) {
      step();
    } else {
      return;
    }
  }
}

void DbcCursor::skip_line() {
  while (!is_end() && text_[at_] != '\n') ++at_;
  if (!is_end()) step();
}

bool DbcCursor::is_keyword_here() const {
  DbcCursor ahead = *this;
  return is_dbc_keyword(ahead.word());
}

bool DbcCursor::skip_statement() {
  span_lines(true);
  std::size_t line = line_;
  while (true) {
    skip_space();
    if (is_end()) return false;
    if (line_ != line && is_keyword_here()) return false;
    line = line_;
    if (take(';')) return true;
    if (text_[at_] == '"') {
      if (!quoted()) return false;
      line = line_;
    } else if (begins_dbc_name(text_[at_])) {
      word();
    } else {
      step();
    }
  }
}

bool DbcCursor::take(char wanted) {
  if (peek() != wanted) return false;
  step();
  return true;
}

char DbcCursor::peek() {
  skip_space();
  return is_end() ? '\0' : text_[at_];
}

std::string_view DbcCursor::word() {
  if (!begins_dbc_name(peek())) return {};
  const std::size_t start = at_;
  while (!is_end() && (begins_dbc_name(text_[at_]) || is_dbc_digit(text_[at_]))) ++at_;
  return text_.substr(start, at_ - start);
}

std::optional<std::uint64_t> DbcCursor::whole() {
  if (!is_dbc_digit(peek())) return std::nullopt;
  std::uint64_t value = 0;
  const char* const begin = text_.data() + at_;
  const auto read = std::from_chars(begin, text_.data() + text_.size(), value);
  if (read.ec != std::errc{}) return std::nullopt;
  at_ += static_cast<std::size_t>(read.ptr - begin);
  return value;
}

std::optional<std::int64_t> DbcCursor::integer() {
  const char first = peek();
  if (text_.substr(at_, 2) == "+-") return std::nullopt;
  std::int64_t value = 0;
  const char* const begin = text_.data() + at_ + (first == '+' ? 1 : 0);
  const auto read = std::from_chars(begin, text_.data() + text_.size(), value);
  if (read.ec != std::errc{}) return std::nullopt;
  at_ = static_cast<std::size_t>(read.ptr - text_.data());
  return value;
}

std::optional<double> DbcCursor::number() {
  const char first = peek();
  if (!is_dbc_digit(first) && first != '-' && first != '+' && first != '.') return std::nullopt;
  if (text_.substr(at_, 2) == "+-") return std::nullopt;
  double value = 0;
  const char* const begin = text_.data() + at_ + (first == '+' ? 1 : 0);
  const auto read = std::from_chars(begin, text_.data() + text_.size(), value);
  if (read.ec != std::errc{} || !std::isfinite(value)) return std::nullopt;
  at_ = static_cast<std::size_t>(read.ptr - text_.data());
  return value;
}

std::optional<std::string_view> DbcCursor::quoted() {
  if (peek() != '"') return std::nullopt;
  const DbcCursor before = *this;
  step();
  const std::size_t start = at_;
  while (!is_end() && text_[at_] != '"') {
    if (text_[at_] == '\n' && !spans_lines_) {
      *this = before;
      return std::nullopt;
    }
    if (text_.substr(at_, 2) == "\\\"") step();
    step();
  }
  if (is_end()) {
    endless_line_ = before.line_;
    return std::nullopt;
  }
  const std::string_view inside = text_.substr(start, at_ - start);
  step();
  return inside;
}

}  // namespace pitbox
