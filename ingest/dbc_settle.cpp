#include "ingest/dbc_settle.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace pitbox {
namespace {

const DbcSignal* find_dbc_signal(const DbcMessage& message, std::string_view name) {
  const auto found = std::find_if(message.signals.begin(), message.signals.end(),
                                  [&](const DbcSignal& each) { return each.name == name; });
  return found == message.signals.end() ? nullptr : &*found;
}

// Empty, or why the signal alone cannot be decoded in a message of so many bytes.
std::string fault_of_signal(const DbcSignal& signal, std::size_t message_bytes) {
  if (dbc_bytes_needed(signal) > message_bytes) {
    return "it ends in byte " + std::to_string(dbc_bytes_needed(signal) - 1) +
           ", behind the message's end (" + std::to_string(message_bytes) + " bytes)" +
           (signal.is_motorola ? "; a Motorola start bit is the most significant one" : "");
  }
  if (signal.factor == 0) return "its factor is 0";
  const std::size_t float_length = signal.type == DbcValueType::kFloat32   ? 32
                                   : signal.type == DbcValueType::kFloat64 ? 64
                                                                           : signal.length;
  if (signal.length != float_length) {
    return "a float of " + std::to_string(float_length) + " bits is " +
           std::to_string(signal.length) + " bits long";
  }
  return {};
}

// Decodable, but perhaps not as somebody meant it.
void warn_of_oddities(const DbcSignal& signal, const std::string& label, const DbcWarn& warn) {
  if (signal.minimum > signal.maximum) warn(signal.line, label + "the minimum is the greater one");
  if (signal.is_motorola && signal.start % 8 == 0 && signal.length % 8 == 0) {
    warn(signal.line, label + "an odd Motorola start: whole bytes would start at a bit 7, as " +
                          std::to_string(signal.start + 7) + " is; decoded as it is written");
  }
}

// The names of a message's multiplexers.
struct DbcSwitches {
  std::vector<std::string> all;
  std::vector<std::string> top;  // Those that depend on none.
};

DbcSwitches switches_of(const DbcMessage& message) {
  DbcSwitches switches;
  for (const DbcSignal& each : message.signals) {
    if (!each.is_multiplexer) continue;
    switches.all.push_back(each.name);
    if (each.when.empty()) switches.top.push_back(each.name);
  }
  return switches;
}

// Empty, or why it cannot be told when the signal is there. Gives it its multiplexer where the file
// need not name it: the only one that there is, or of a nested one the only one at the top.
std::string fault_of_multiplexing(const DbcMessage& message, const DbcSwitches& switches,
                                  DbcSignal& signal) {
  if (signal.when.empty()) return {};
  if (signal.multiplexer.empty()) {
    const std::vector<std::string>& possible = signal.is_multiplexer ? switches.top : switches.all;
    if (possible.empty()) return "it is multiplexed, and the message has no multiplexer";
    if (possible.size() > 1) {
      return "it is multiplexed, and no SG_MUL_VAL_ says by which of " +
             std::to_string(possible.size()) + " multiplexers";
    }
    signal.multiplexer = possible.front();
  }
  const DbcSignal* const multiplexer = find_dbc_signal(message, signal.multiplexer);
  if (multiplexer == nullptr || !multiplexer->is_multiplexer) {
    return "its multiplexer " + signal.multiplexer + " is not there, or is none";
  }
  if (multiplexer->type != DbcValueType::kInteger) {
    return "its multiplexer " + signal.multiplexer + " is a float";
  }
  return {};
}

void merge_ranges(std::vector<DbcRange>& ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<DbcRange> merged;
  for (const DbcRange& each : ranges) {
    // Neighbours stay two: 1, 2 is as good as 1-2.
    if (!merged.empty() && each.first <= merged.back().last) {
      merged.back().last = std::max(merged.back().last, each.last);
    } else {
      merged.push_back(each);
    }
  }
  ranges = std::move(merged);
}

// Signals that depend on none, or on one that is settled, and so on.
std::set<std::string> reachable_signals(const DbcMessage& message) {
  std::set<std::string> reached;
  for (bool grows = true; grows;) {
    grows = false;
    for (const DbcSignal& each : message.signals) {
      if (!each.multiplexer.empty() && !reached.contains(each.multiplexer)) continue;
      grows = reached.insert(each.name).second || grows;
    }
  }
  return reached;
}

template <typename FaultOf>
void leave_out(DbcMessage& message, const DbcWarn& warn, FaultOf fault_of) {
  std::vector<std::string> faults;
  for (DbcSignal& signal : message.signals) faults.push_back(fault_of(signal));
  std::vector<DbcSignal> kept;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    DbcSignal& signal = message.signals[i];
    if (faults[i].empty()) {
      kept.push_back(std::move(signal));
      continue;
    }
    warn(signal.line,
         "message " + message.name + ": signal " + signal.name + " left out: " + faults[i]);
    message.left_out.push_back(std::move(signal.name));
  }
  message.signals = std::move(kept);
}

}  // namespace

std::size_t dbc_bytes_needed(const DbcSignal& signal) {
  const std::size_t first =
      signal.is_motorola ? signal.start / 8U * 8U + 7U - signal.start % 8U : signal.start;
  return (first + signal.length + 7U) / 8U;
}

void settle_dbc_message(DbcMessage& message, const DbcWarn& warn) {
  // First, while all are there: of two multiplexers one that is left out must not make the other
  // the only one.
  const DbcSwitches switches = switches_of(message);
  leave_out(message, warn,
            [&](DbcSignal& signal) { return fault_of_multiplexing(message, switches, signal); });
  leave_out(message, warn,
            [&](const DbcSignal& signal) { return fault_of_signal(signal, message.bytes); });
  for (DbcSignal& signal : message.signals) {
    merge_ranges(signal.when);
    warn_of_oddities(signal, "message " + message.name + ": signal " + signal.name + ": ", warn);
  }
  const std::set<std::string> reached = reachable_signals(message);
  leave_out(message, warn, [&](const DbcSignal& signal) {
    return reached.contains(signal.name)
               ? std::string()
               : "its multiplexer " + signal.multiplexer + " is left out, or depends on itself";
  });
}

}  // namespace pitbox
