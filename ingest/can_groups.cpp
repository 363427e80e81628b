#include "ingest/can_groups.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

constexpr std::string_view kCanPrefix = "can.";

StorageType can_storage_of(const DbcSignal& signal) {
  if (signal.type == DbcValueType::kFloat32) return StorageType::kF32;
  if (signal.type == DbcValueType::kFloat64) return StorageType::kF64;
  if (signal.length <= 8) return signal.is_signed ? StorageType::kI8 : StorageType::kU8;
  if (signal.length <= 16) return signal.is_signed ? StorageType::kI16 : StorageType::kU16;
  if (signal.length <= 32) return signal.is_signed ? StorageType::kI32 : StorageType::kU32;
  return signal.is_signed ? StorageType::kI64 : StorageType::kU64;
}

CanBits can_bits_of(const DbcSignal& signal) {
  CanBits bits;
  const unsigned at = signal.start % 8U;
  const unsigned skipped = signal.is_motorola ? 7U - at : at;  // Of the first byte.
  bits.byte = static_cast<std::uint8_t>(signal.start / 8U);
  bits.shift = static_cast<std::uint8_t>(skipped);
  bits.drop = static_cast<std::uint8_t>(64U - signal.length);
  bits.is_motorola = signal.is_motorola;
  bits.is_signed = signal.is_signed && signal.type == DbcValueType::kInteger;
  bits.has_ninth = skipped + signal.length > 64U;
  return bits;
}

std::string can_id_text(std::uint32_t id) {
  std::array<char, 16> text{};
  const bool is_extended = (id & kCanExtended) != 0;
  std::snprintf(text.data(), text.size(), is_extended ? "%08X" : "%03X", id & ~kCanExtended);
  return text.data();
}

// "mux=2-5,7"
std::string can_condition_text(const DbcSignal& signal) {
  std::string text = signal.multiplexer + "=";
  for (const DbcRange& each : signal.when) {
    if (text.back() != '=') text += ',';
    text += std::to_string(each.first);
    if (each.last != each.first) text += "-" + std::to_string(each.last);
    if (text.size() > kMaxNameBytes) break;
  }
  return text;
}

// Lays out one message. Groups are found breadth first, so that a multiplexer's own group comes
// before those that depend on it.
class CanMessagePlanner {
 public:
  CanMessagePlanner(const DbcMessage& message, std::string name)
      : message_(message), name_(std::move(name)) {
    plan_.id = message.id;
    plan_.bytes = message.bytes;
    plan_.has_left_out = !message.left_out.empty();
    for (const DbcSignal& signal : message.signals) {
      by_condition_[{signal.multiplexer, signal.when}].push_back(&signal);
    }
  }

  CanMessagePlan plan() {
    if (const auto always = by_condition_.find({}); always != by_condition_.end()) {
      add_group(always->second);
    }
    for (std::size_t at = 0; at < multiplexers_.size(); ++at) add_switch(at);
    return std::move(plan_);
  }

 private:
  using Condition = std::pair<std::string, std::vector<DbcRange>>;

  void add_switch(std::size_t at) {
    const DbcSignal& multiplexer = *multiplexers_[at];
    CanSwitchPlan plan;
    plan.bits = can_bits_of(multiplexer);
    plan.bits.is_signed = false;
    plan.home = homes_[at];
    plan.first = plan_.groups.size();
    for (auto each = by_condition_.lower_bound({multiplexer.name, {}});
         each != by_condition_.end() && each->first.first == multiplexer.name; ++each) {
      add_group(each->second);
    }
    plan.last = plan_.groups.size();
    plan_.switches.push_back(plan);
  }

  void add_group(const std::vector<const DbcSignal*>& signals) {
    ChannelGroup group;
    group.group = group_name(*signals.front());
    CanGroupPlan plan;
    plan.when = signals.front()->when;
    std::size_t column = 0;
    for (const DbcSignal* signal : signals) {
      const StorageType type = can_storage_of(*signal);
      group.channels.push_back({signal->name, signal->unit, type, signal->factor, signal->offset});
      plan.bytes_needed = std::max(plan.bytes_needed, dbc_bytes_needed(*signal));
      plan.signals.push_back(can_bits_of(*signal));
      plan.signals.back().column = static_cast<std::uint16_t>(column);
      column += width_of(type);
      if (!signal->is_multiplexer) continue;
      multiplexers_.push_back(signal);
      homes_.push_back(plan_.groups.size());
    }
    // A Dbc's names, units, factors and numbers of signals are within a definition's limits.
    auto definition = Definition::make(std::move(group));
    CHECK(definition.ok());
    plan.definition = std::move(definition).take();
    plan_.groups.push_back(std::move(plan));
  }

  std::string group_name(const DbcSignal& signal) {
    if (signal.when.empty()) return name_;
    std::string name = name_ + "." + can_condition_text(signal);
    if (name.size() <= kMaxNameBytes) return name;
    return std::string(kCanPrefix) + can_id_text(message_.id) + "." +
           std::to_string(plan_.groups.size());
  }

  const DbcMessage& message_;
  const std::string name_;
  CanMessagePlan plan_;
  std::map<Condition, std::vector<const DbcSignal*>> by_condition_;
  std::vector<const DbcSignal*> multiplexers_;
  std::vector<std::size_t> homes_;  // Of each the group that it is in.
};

std::size_t can_slot_of(std::uint32_t id, std::size_t slot_count) {
  return (id * 0x9E3779B1U >> 8U) & (slot_count - 1);
}

DefinitionPtr raw_definition(const char* group, std::size_t words) {
  ChannelGroup out{.group = group,
                   .channels = {{"id", "", StorageType::kU32, 1, 0},
                                {"length", "", StorageType::kU8, 1, 0},
                                {"flags", "", StorageType::kU8, 1, 0},
                                {"raw_dlc", "", StorageType::kU8, 1, 0},
                                {"reason", "", StorageType::kU8, 1, 0}}};
  for (std::size_t i = 0; i < words; ++i) {
    out.channels.push_back({"d" + std::to_string(i), "", StorageType::kU64, 1, 0});
  }
  return Definition::make(std::move(out)).take();
}

}  // namespace

CanPlan::CanPlan(const Dbc& dbc) {
  static_assert(kDbcMessagesMax < 65'536, "a slot is 16 bits");
  std::set<std::string> names = {"can.raw", "can.raw_fd", "can.error"};
  for (const DbcMessage& message : dbc.messages) {
    std::string name = std::string(kCanPrefix) + message.name;
    if (name.size() > kMaxNameBytes || !names.insert(name).second) {
      name = std::string(kCanPrefix) + can_id_text(message.id);
    }
    messages_.push_back(CanMessagePlanner(message, std::move(name)).plan());
    groups_max_ = std::max(groups_max_, messages_.back().groups.size());
    for (const CanGroupPlan& group : messages_.back().groups) {
      row_bytes_max_ = std::max(row_bytes_max_, group.definition->row_bytes());
    }
  }
  std::size_t slot_count = 16;
  while (slot_count < messages_.size() * 4) slot_count *= 2;
  slots_.assign(slot_count, 0);
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    std::size_t slot = can_slot_of(messages_[i].id, slot_count);
    while (slots_[slot] != 0) slot = (slot + 1) & (slot_count - 1);
    slots_[slot] = static_cast<std::uint16_t>(i + 1);
  }
}

const CanMessagePlan* CanPlan::find(std::uint32_t id) const {
  std::size_t slot = can_slot_of(id, slots_.size());
  while (slots_[slot] != 0) {
    const CanMessagePlan& found = messages_[slots_[slot] - 1U];
    if (found.id == id) return &found;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return nullptr;
}

DefinitionPtr can_raw_definition() {
  return raw_definition("can.raw", 1);
}

DefinitionPtr can_raw_fd_definition() {
  return raw_definition("can.raw_fd", kDbcFrameBytesMax / 8);
}

DefinitionPtr can_error_definition() {
  return Definition::make({.group = "can.error",
                           .channels = {{"class", "", StorageType::kU32, 1, 0},
                                        {"length", "", StorageType::kU8, 1, 0},
                                        {"data", "", StorageType::kU64, 1, 0}}})
      .take();
}

}  // namespace pitbox
