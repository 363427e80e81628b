#include "ingest/native_groups.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "proto/text.h"

namespace pitbox {
namespace {

// sender, id, check, definition, car, highest, seen, run, run_next, heard.
constexpr std::size_t kSavedGroupBytes = 4 + 2 + 8 + 2 + 2 + 8 + 8 + 1 + 8 + 8;

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, std::string("native state: ") + what);
}

// What channels of one definition share is written once: unit, type and conversion. Thousands of
// channels have a few dozen of those.
using ChannelForm = std::tuple<std::string_view, StorageType, double, double>;

void put_definition(StateWriter& out, const Definition& definition) {
  std::map<ChannelForm, std::uint16_t> numbers;
  std::vector<ChannelForm> forms;
  std::vector<std::uint16_t> form_of;
  for (const Channel& each : definition.channels()) {
    const ChannelForm form(each.unit, each.type, each.factor, each.offset);
    const auto [at, is_new] = numbers.emplace(form, static_cast<std::uint16_t>(forms.size()));
    if (is_new) forms.push_back(form);
    form_of.push_back(at->second);
  }
  out.text(definition.group().group);
  out.put(static_cast<std::uint8_t>(definition.group().time_base));
  out.put(static_cast<std::uint16_t>(forms.size()));
  for (const auto& [unit, type, factor, offset] : forms) {
    out.text(unit);
    out.put(static_cast<std::uint8_t>(type));
    out.put(factor);
    out.put(offset);
  }
  out.put(static_cast<std::uint16_t>(form_of.size()));
  const bool is_short = forms.size() <= 256;
  for (std::size_t c = 0; c < form_of.size(); ++c) {
    out.text(definition.channels()[c].name);
    if (is_short) {
      out.put(static_cast<std::uint8_t>(form_of[c]));
    } else {
      out.put(form_of[c]);
    }
  }
}

Result<DefinitionPtr> get_definition(StateReader& in) {
  ChannelGroup group;
  group.group = in.text();
  group.time_base = static_cast<TimeBase>(in.get<std::uint8_t>());
  std::vector<Channel> forms(in.get<std::uint16_t>());
  for (Channel& form : forms) {
    if (in.is_short()) return corrupt("it ends in a definition");
    form.unit = in.text();
    form.type = static_cast<StorageType>(in.get<std::uint8_t>());
    form.factor = in.get<double>();
    form.offset = in.get<double>();
  }
  const std::size_t channels = in.get<std::uint16_t>();
  for (std::size_t c = 0; c < channels; ++c) {
    if (in.is_short()) return corrupt("it ends in a definition");
    const std::string_view name = in.text();
    const std::size_t form = forms.size() <= 256 ? in.get<std::uint8_t>() : in.get<std::uint16_t>();
    if (form >= forms.size()) return corrupt("a channel's form is missing");
    group.channels.push_back(forms[form]);
    group.channels.back().name = name;
  }
  auto definition = Definition::make(std::move(group));
  if (!definition.ok()) return corrupt(definition.status().message().c_str());
  return definition;
}

}  // namespace

NativeGroup* NativeGroups::find(std::uint32_t sender, std::uint16_t id) {
  if (last_ < groups_.size() && groups_[last_].sender == sender && groups_[last_].id == id) {
    return &groups_[last_];
  }
  const auto found = index_.find(key(sender, id));
  if (found == index_.end()) return nullptr;
  last_ = found->second;
  return &groups_[last_];
}

bool NativeGroups::announce(NativeGroup group) {
  for (const NativeGroup& each : groups_) {
    if (each.definition->name() == group.definition->name()) {
      group.definition = each.definition;
      break;
    }
  }
  const std::int64_t now_ns = group.heard_ns;
  // Heard later than now: before a reboot. How long ago is not known; silence counts from here.
  for (NativeGroup& each : groups_) each.heard_ns = std::min(each.heard_ns, now_ns);
  const std::vector<NativeGroup> before = groups_;
  std::erase_if(groups_, [&](const NativeGroup& each) {
    return each.sender == group.sender && each.id == group.id;
  });
  groups_.push_back(std::move(group));
  rebuild();
  while (!fits()) {
    const std::size_t victim = dispensable(now_ns);
    if (victim == groups_.size()) {
      groups_ = before;
      rebuild();
      return false;
    }
    groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(victim));
    rebuild();
  }
  return true;
}

bool NativeGroups::fits() const {
  return groups_.size() <= kGroupsMax &&
         saved_heads_.size() + 2 + groups_.size() * kSavedGroupBytes <= kStateBytesMax;
}

bool NativeGroups::is_superseded(std::size_t index) const {
  const NativeGroup& group = groups_[index];
  return std::any_of(groups_.begin() + static_cast<std::ptrdiff_t>(index) + 1, groups_.end(),
                     [&](const NativeGroup& later) {
                       return later.sender != group.sender && later.car == group.car &&
                              later.definition->group().group == group.definition->group().group;
                     });
}

std::size_t NativeGroups::dispensable(std::int64_t now_ns) const {
  std::size_t found = groups_.size();
  std::int64_t longest = -1;
  for (std::size_t i = 0; i + 1 < groups_.size(); ++i) {  // The last is the one just announced.
    const std::int64_t silent = now_ns - groups_[i].heard_ns;
    if (silent <= longest || silent < kForgetSupersededAfterNs) continue;
    if (silent < kForgetAfterNs && !is_superseded(i)) continue;
    longest = silent;
    found = i;
  }
  return found;
}

void NativeGroups::rebuild() {
  index_.clear();
  last_ = 0;
  definitions_.clear();
  cars_.clear();
  StateWriter saved_definitions;
  StateWriter saved_cars;
  std::map<const Definition*, std::uint16_t> definition_numbers;
  std::map<std::string_view, std::uint16_t> car_numbers;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const NativeGroup& group = groups_[i];
    index_[key(group.sender, group.id)] = i;
    const auto [definition, is_new] = definition_numbers.emplace(
        group.definition.get(), static_cast<std::uint16_t>(definition_numbers.size()));
    if (is_new) put_definition(saved_definitions, *group.definition);
    definitions_.push_back(definition->second);
    const auto [car, is_new_car] =
        car_numbers.emplace(group.car, static_cast<std::uint16_t>(car_numbers.size()));
    if (is_new_car) saved_cars.text(group.car);
    cars_.push_back(car->second);
  }
  StateWriter heads;
  heads.put(static_cast<std::uint16_t>(definition_numbers.size()));
  heads.raw(saved_definitions.take());
  heads.put(static_cast<std::uint16_t>(car_numbers.size()));
  heads.raw(saved_cars.take());
  saved_heads_ = heads.take();
}

void NativeGroups::save(StateWriter& out) const {
  if (saved_heads_.empty()) {   // Nothing was ever announced.
    out.put(std::uint16_t{0});  // Definitions.
    out.put(std::uint16_t{0});  // Cars.
  }
  out.raw(saved_heads_);
  out.put(static_cast<std::uint16_t>(groups_.size()));
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const NativeGroup& group = groups_[i];
    out.put(group.sender);
    out.put(group.id);
    out.put(group.check);
    out.put(definitions_[i]);
    out.put(cars_[i]);
    out.put(group.window.highest);
    out.put(group.window.seen);
    out.put(group.window.run);
    out.put(group.window.run_next);
    out.put(group.heard_ns);
  }
}

Status NativeGroups::load(StateReader& in) {
  std::vector<DefinitionPtr> definitions(in.get<std::uint16_t>());
  if (definitions.size() > kGroupsMax) return corrupt("too many definitions");
  for (DefinitionPtr& each : definitions) {
    auto definition = get_definition(in);
    if (!definition.ok()) return definition.status();
    each = std::move(definition).take();
  }
  std::vector<std::string> cars(in.get<std::uint16_t>());
  if (cars.size() > kGroupsMax) return corrupt("too many cars");
  for (std::string& car : cars) {
    car = in.text();
    if (car.empty() || car.size() > kMaxNameBytes || !is_plain_text(car)) {
      return corrupt("a car without a name");
    }
  }
  Status loaded = load_groups(in, definitions, cars);
  if (!loaded.ok()) groups_.clear();
  rebuild();
  if (loaded.ok() && !fits()) return corrupt("it is too long");
  if (loaded.ok() && index_.size() != groups_.size()) return corrupt("a group is there twice");
  return loaded;
}

Status NativeGroups::load_groups(StateReader& in, const std::vector<DefinitionPtr>& definitions,
                                 const std::vector<std::string>& cars) {
  const std::size_t count = in.get<std::uint16_t>();
  if (count > kGroupsMax) return corrupt("too many groups");
  for (std::size_t i = 0; i < count; ++i) {
    NativeGroup group;
    group.sender = in.get<std::uint32_t>();
    group.id = in.get<std::uint16_t>();
    group.check = in.get<std::uint64_t>();
    const std::size_t definition = in.get<std::uint16_t>();
    const std::size_t car = in.get<std::uint16_t>();
    group.window.highest = in.get<std::uint64_t>();
    group.window.seen = in.get<std::uint64_t>();
    group.window.run = in.get<std::uint8_t>();
    group.window.run_next = in.get<std::uint64_t>();
    group.heard_ns = in.get<std::int64_t>();
    if (in.is_short()) return corrupt("it ends in a group");
    if (definition >= definitions.size() || car >= cars.size() ||
        group.window.run >= SequenceWindow::kRestartRun) {
      return corrupt("a group names what is not there");
    }
    group.definition = definitions[definition];
    group.car = cars[car];
    groups_.push_back(std::move(group));
  }
  return {};
}

}  // namespace pitbox
