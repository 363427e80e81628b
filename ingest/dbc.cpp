#include "ingest/dbc.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "ingest/dbc_cursor.h"
#include "ingest/dbc_settle.h"
#include "proto/definition.h"

namespace pitbox {
namespace {

constexpr std::uint64_t kPseudoMessage = 0xC0000000;  // VECTOR__INDEPENDENT_SIG_MSG
constexpr std::uint64_t kStandardIdMax = 0x7FF;
constexpr std::uint64_t kExtendedIdMax = 0x1FFFFFFF;

// What is wrong with a statement; empty if nothing is.
using DbcFault = std::string;

class DbcReader {
 public:
  explicit DbcReader(std::string_view text) : in_(text) {}
  // What is wrong with the whole file, and where (0: nowhere in particular); or the Dbc.
  Result<Dbc> read(std::string_view file);

 private:
  void statement();
  void lines_statement(std::string_view keyword, std::size_t line);
  DbcFault read_statement(std::string_view keyword);

  DbcFault read_message(std::size_t line);
  DbcFault read_signal(std::size_t line);
  DbcFault read_signal_numbers(DbcSignal& signal);
  DbcFault read_multiplexing(DbcSignal& signal);
  DbcFault keep_signal(DbcSignal signal);
  DbcFault read_value_type();
  DbcFault read_value_names();
  DbcFault read_switch_ranges();
  DbcFault read_attribute();

  // A message id, and whether it is one of a message that is kept; nothing if it is none at all.
  std::optional<std::uint64_t> read_id();
  DbcMessage* message_of(std::uint64_t id);
  // Null with a fault, or with none if the signal is one that is left out.
  DbcSignal* signal_of(std::uint64_t id, std::string_view name, DbcFault& fault);
  void warn(std::size_t line, std::string text);
  Dbc settled();

  DbcCursor in_;
  Dbc dbc_;
  std::unordered_map<std::uint64_t, std::size_t> by_id_;  // Into messages; as in the file.
  std::unordered_map<std::string, std::size_t> lines_by_name_;
  bool has_message_ = false;  // Signals that follow are dbc_.messages.back()'s.
  bool skips_signals_ = false;
  std::size_t signals_ = 0;
  std::size_t value_names_ = 0;
  std::size_t switch_ranges_ = 0;
  DbcFault limit_;  // A limit of the file was met.
};

void DbcReader::warn(std::size_t line, std::string text) {
  if (dbc_.warnings.size() >= kDbcWarningsMax) {
    ++dbc_.further_warnings;
    return;
  }
  dbc_.warnings.push_back({line, std::move(text)});
}

Result<Dbc> DbcReader::read(std::string_view file) {
  const auto refuse = [&](std::size_t line, const std::string& what) {
    return Status(Code::kRejected, std::string(file) + ":" + std::to_string(line) + ": " + what);
  };
  while (true) {
    in_.span_lines(true);
    in_.skip_space();
    if (in_.is_end()) break;
    statement();
    if (in_.endless_line() != 0) {
      return refuse(in_.endless_line(), "a quoted text that begins here does not end");
    }
    if (!limit_.empty()) return refuse(in_.line(), limit_);
  }
  if (dbc_.messages.empty()) return refuse(in_.line(), "no message (BO_) up to the end: not a DBC");
  return settled();
}

Dbc DbcReader::settled() {
  for (DbcMessage& message : dbc_.messages) {
    settle_dbc_message(message,
                       [this](std::size_t line, std::string text) { warn(line, std::move(text)); });
  }
  std::stable_sort(dbc_.warnings.begin(), dbc_.warnings.end(),
                   [](const DbcWarning& a, const DbcWarning& b) { return a.line < b.line; });
  return std::move(dbc_);
}

void DbcReader::statement() {
  const DbcCursor start = in_;
  const std::size_t line = in_.line();
  const std::string_view keyword = in_.word();
  if (keyword.empty()) {
    if (in_.take(';')) return;
    warn(line, "not understood; skipped to the end of the line");
    return in_.skip_line();
  }
  if (keyword != "SG_") has_message_ = skips_signals_ = false;
  const bool is_line = keyword == "BO_" || keyword == "SG_" || keyword == "NS_" ||
                       keyword == "BS_" || keyword == "BU_" || keyword == "VERSION";
  if (is_line) return lines_statement(keyword, line);
  if (!is_dbc_keyword(keyword)) {
    warn(line, "not understood; skipped to the end of the line");
    return in_.skip_line();
  }
  DbcFault fault = read_statement(keyword);
  if (!fault.empty()) {
    warn(line, std::string(keyword) + ": " + fault);
    in_ = start;
    in_.word();
  }
  if (!in_.skip_statement() && in_.endless_line() == 0) {
    warn(line, std::string(keyword) + ": it does not end with a semicolon");
  }
}

// Statements that a line's end ends.
void DbcReader::lines_statement(std::string_view keyword, std::size_t line) {
  DbcFault fault;
  if (keyword == "VERSION") {
    in_.quoted();
    return;
  }
  in_.span_lines(false);
  const DbcCursor behind_keyword = in_;
  if (keyword == "BO_") fault = read_message(line);
  if (keyword == "SG_") fault = read_signal(line);
  if (!fault.empty()) {
    warn(line, std::string(keyword) + ": " + fault);
    in_ = behind_keyword;
  }
  in_.skip_line();
  // The keywords that a file may use stand in a list, one a line.
  while (keyword == "NS_") {
    DbcCursor ahead = in_;
    const std::string_view word = ahead.word();
    if (word.empty() ? ahead.peek() != '\n' : ahead.peek() != '\n' && ahead.peek() != '\0') return;
    if (in_.is_end()) return;
    in_.skip_line();
  }
}

DbcFault DbcReader::read_statement(std::string_view keyword) {
  if (keyword == "SIG_VALTYPE_") return read_value_type();
  if (keyword == "VAL_") return read_value_names();
  if (keyword == "SG_MUL_VAL_") return read_switch_ranges();
  if (keyword == "BA_") return read_attribute();
  return {};
}

DbcFault DbcReader::read_message(std::size_t line) {
  skips_signals_ = true;
  DbcMessage message;
  message.line = line;
  const auto id = in_.whole();
  message.name = in_.word();
  if (!id || message.name.empty() || !in_.take(':')) return "not as BO_ ID NAME: BYTES SENDER";
  if (*id == kPseudoMessage) return {};
  const auto bytes = in_.whole();
  if (!bytes) return "not as BO_ ID NAME: BYTES SENDER";
  const bool is_extended = (*id >> 31U) == 1;
  if (is_extended ? (*id & 0x7FFFFFFF) > kExtendedIdMax : *id > kStandardIdMax) {
    return "message " + message.name + " left out: " + std::to_string(*id) + " is no identifier";
  }
  if (message.name.size() > kMaxNameBytes) return "message left out: its name is too long";
  if (*bytes > kDbcFrameBytesMax) {
    return "message " + message.name + " left out: no frame has " + std::to_string(*bytes) +
           " bytes";
  }
  if (dbc_.messages.size() >= kDbcMessagesMax) {
    limit_ = "more than " + std::to_string(kDbcMessagesMax) + " messages";
    return {};
  }
  message.id = static_cast<std::uint32_t>(*id);
  message.bytes = static_cast<std::size_t>(*bytes);
  const auto [first, is_new] = by_id_.emplace(*id, dbc_.messages.size());
  if (!is_new) {
    return "message " + message.name + " left out: its identifier is that of line " +
           std::to_string(dbc_.messages[first->second].line);
  }
  const auto [named, is_new_name] = lines_by_name_.emplace(message.name, line);
  if (!is_new_name) {
    warn(line, "message " + message.name + ": its name is that of line " +
                   std::to_string(named->second) + ", too");
  }
  dbc_.messages.push_back(std::move(message));
  has_message_ = true;
  skips_signals_ = false;
  return {};
}

DbcFault DbcReader::read_signal(std::size_t line) {
  if (skips_signals_) return {};
  if (!has_message_) return "a signal outside of a message";
  DbcSignal signal;
  signal.line = line;
  signal.name = in_.word();
  DbcFault fault = signal.name.empty() || signal.name.size() > kMaxNameBytes
                       ? "its name is none of 1 to 128 letters, digits and _"
                       : read_multiplexing(signal);
  if (fault.empty()) fault = read_signal_numbers(signal);
  const std::string name = signal.name.substr(0, kMaxNameBytes);
  if (fault.empty()) fault = keep_signal(std::move(signal));
  if (fault.empty()) return {};
  DbcMessage& message = dbc_.messages.back();
  if (message.left_out.size() < kDbcMessageSignalsMax) message.left_out.push_back(name);
  return "message " + message.name + ": signal " + name + " left out: " + fault;
}

// M, m<k>, m<k>M or nothing, before the colon.
DbcFault DbcReader::read_multiplexing(DbcSignal& signal) {
  std::string_view word = in_.word();
  if (word.empty()) return {};
  const std::string fault = std::string(word.substr(0, 16)) + " is none of M, m1, m1M";
  signal.is_multiplexer = word.ends_with('M');
  if (signal.is_multiplexer) word.remove_suffix(1);
  if (word.empty()) return {};
  if (word.front() != 'm') return fault;
  DbcCursor digits(word.substr(1));
  const auto value = digits.whole();
  if (!value || !digits.is_end()) return fault;
  signal.when = {{*value, *value}};
  return {};
}

DbcFault DbcReader::read_signal_numbers(DbcSignal& signal) {
  const DbcFault fault = "not as START|LENGTH@ORDER SIGN (FACTOR,OFFSET) [MIN|MAX] \"UNIT\"";
  if (!in_.take(':')) return fault;
  const auto start = in_.whole();
  if (!start || !in_.take('|')) return fault;
  const auto length = in_.whole();
  if (!length || !in_.take('@')) return fault;
  signal.is_motorola = in_.peek() == '0';
  if (!in_.take('0') && !in_.take('1')) return fault;
  signal.is_signed = in_.peek() == '-';
  if (!in_.take('-') && !in_.take('+')) return fault;
  if (!in_.take('(')) return fault;
  const auto factor = in_.number();
  if (!factor || !in_.take(',')) return fault;
  const auto offset = in_.number();
  if (!offset || !in_.take(')') || !in_.take('[')) return fault;
  const auto minimum = in_.number();
  if (!minimum || !in_.take('|')) return fault;
  const auto maximum = in_.number();
  if (!maximum || !in_.take(']')) return fault;
  const auto unit = in_.quoted();
  if (!unit) return fault;
  if (*length < 1 || *length > 64) return "it is " + std::to_string(*length) + " bits long";
  if (*start >= kDbcFrameBytesMax * 8) return "no frame has a bit " + std::to_string(*start);
  signal.start = static_cast<std::uint16_t>(*start);
  signal.length = static_cast<std::uint16_t>(*length);
  signal.factor = *factor;
  signal.offset = *offset;
  signal.minimum = *minimum;
  signal.maximum = *maximum;
  signal.unit = dbc_text(*unit, kMaxNameBytes);
  return {};
}

DbcFault DbcReader::keep_signal(DbcSignal signal) {
  DbcMessage& message = dbc_.messages.back();
  const auto same = std::find_if(message.signals.begin(), message.signals.end(),
                                 [&](const DbcSignal& each) { return each.name == signal.name; });
  if (same != message.signals.end()) {
    return "line " + std::to_string(same->line) + " has one of this name";
  }
  if (message.signals.size() >= kDbcMessageSignalsMax) {
    return "the message has " + std::to_string(kDbcMessageSignalsMax) + " already";
  }
  if (++signals_ > kDbcSignalsMax) {
    limit_ = "more than " + std::to_string(kDbcSignalsMax) + " signals";
  }
  message.signals.push_back(std::move(signal));
  return {};
}

DbcMessage* DbcReader::message_of(std::uint64_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &dbc_.messages[found->second];
}

DbcSignal* DbcReader::signal_of(std::uint64_t id, std::string_view name, DbcFault& fault) {
  if (id == kPseudoMessage) return nullptr;
  DbcMessage* const message = message_of(id);
  if (message == nullptr) {
    fault = "there is no message " + std::to_string(id);
    return nullptr;
  }
  for (DbcSignal& each : message->signals) {
    if (each.name == name) return &each;
  }
  const auto& out = message->left_out;
  if (std::find(out.begin(), out.end(), name) == out.end()) {
    fault = "message " + message->name + " has no signal " + std::string(name.substr(0, 128));
  }
  return nullptr;
}

// SIG_VALTYPE_ ID SIGNAL : TYPE ;
DbcFault DbcReader::read_value_type() {
  const auto id = in_.whole();
  const std::string_view name = in_.word();
  if (!id || name.empty()) return "not as ID SIGNAL : TYPE";
  in_.take(':');
  const auto type = in_.whole();
  if (!type || in_.peek() != ';') return "not as ID SIGNAL : TYPE";
  DbcFault fault;
  DbcSignal* const signal = signal_of(*id, name, fault);
  if (signal == nullptr) return fault;
  if (*type <= 2) {
    signal->type = static_cast<DbcValueType>(*type);
    return {};
  }
  DbcMessage* const message = message_of(*id);
  message->left_out.push_back(signal->name);
  fault = "message " + message->name + ": signal " + signal->name + " left out: no type is " +
          std::to_string(*type);
  message->signals.erase(message->signals.begin() + (signal - message->signals.data()));
  return fault;
}

// VAL_ ID SIGNAL { VALUE "NAME" } ; without an ID it is of an environment variable.
DbcFault DbcReader::read_value_names() {
  const auto id = in_.whole();
  const std::string_view name = in_.word();
  if (!id && !name.empty()) return {};
  if (name.empty()) return "not as ID SIGNAL { VALUE \"NAME\" }";
  DbcFault fault;
  DbcSignal* const signal = signal_of(*id, name, fault);
  if (signal == nullptr) return fault;
  std::vector<DbcValueName> names;
  while (in_.peek() != ';') {
    const auto value = in_.integer();
    const auto text = value ? in_.quoted() : std::nullopt;
    if (!text) return "not as ID SIGNAL { VALUE \"NAME\" }";
    if (++value_names_ > kDbcValueNamesMax) {
      limit_ = "more than " + std::to_string(kDbcValueNamesMax) + " names of values";
      return {};
    }
    names.push_back({*value, dbc_text(*text, kMaxNameBytes)});
  }
  signal->value_names = std::move(names);
  return {};
}

// SG_MUL_VAL_ ID SIGNAL MULTIPLEXER FIRST-LAST { , FIRST-LAST } ;
DbcFault DbcReader::read_switch_ranges() {
  const DbcFault misread = "not as ID SIGNAL MULTIPLEXER FIRST-LAST, ...";
  const auto id = in_.whole();
  const std::string_view name = in_.word();
  const std::string multiplexer(in_.word());
  if (!id || name.empty() || multiplexer.empty()) return misread;
  std::vector<DbcRange> ranges;
  do {
    const auto first = in_.whole();
    if (!first || !in_.take('-')) return misread;
    const auto last = in_.whole();
    if (!last || *last < *first) return misread;
    ranges.push_back({*first, *last});
    if (++switch_ranges_ > kDbcSwitchRangesMax) {
      limit_ = "more than " + std::to_string(kDbcSwitchRangesMax) + " multiplexer ranges";
      return {};
    }
  } while (in_.take(','));
  if (in_.peek() != ';') return misread;
  DbcFault fault;
  DbcSignal* const signal = signal_of(*id, name, fault);
  if (signal == nullptr) return fault;
  if (signal->when.empty()) return signal->name + " is not marked as multiplexed (m<k>)";
  if (!signal->multiplexer.empty() && signal->multiplexer != multiplexer) {
    return signal->name + " has the multiplexer " + signal->multiplexer + " already";
  }
  const DbcRange marked = signal->when.front();
  if (signal->multiplexer.empty()) signal->when.clear();
  signal->multiplexer = multiplexer;
  signal->when.insert(signal->when.end(), ranges.begin(), ranges.end());
  const bool is_within = std::any_of(
      signal->when.begin(), signal->when.end(),
      [&](const DbcRange& each) { return each.first <= marked.first && marked.last <= each.last; });
  return is_within ? DbcFault()
                   : signal->name + " is marked m" + std::to_string(marked.first) +
                         ", which these ranges do not have; the ranges count";
}

// BA_ "GenMsgCycleTime" BO_ ID MILLISECONDS ;
DbcFault DbcReader::read_attribute() {
  const auto attribute = in_.quoted();
  if (!attribute || *attribute != "GenMsgCycleTime" || in_.word() != "BO_") return {};
  const auto id = in_.whole();
  const auto milliseconds = in_.integer();
  if (!id || !milliseconds || *milliseconds < 0 || in_.peek() != ';') {
    return "GenMsgCycleTime: not as BO_ ID MILLISECONDS";
  }
  if (*id == kPseudoMessage) return {};
  DbcMessage* const message = message_of(*id);
  if (message == nullptr) return "there is no message " + std::to_string(*id);
  message->cycle_ms = *milliseconds;
  return {};
}

}  // namespace

Result<Dbc> parse_dbc(std::string_view text, std::string_view file) {
  if (text.size() > kDbcFileBytesMax) {
    return Status(Code::kRejected, std::string(file) + ": larger than 16 MiB, not a DBC");
  }
  return DbcReader(text).read(file);
}

}  // namespace pitbox
