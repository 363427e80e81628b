#include "proto/definition.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "proto/definition.pb.h"
#include "proto/sha256.h"
#include "proto/text.h"

namespace pitbox {
namespace {

static_assert(std::endian::native == std::endian::little, "raw values are read as they lie");

// The canonical bytes of the largest group allowed: every name and unit at its limit.
constexpr std::size_t kMaxDefinitionBytes = kMaxChannels * (2 * (kMaxNameBytes + 3) + 24) + 256;

bool is_storage_type(int number) {
  return number >= static_cast<int>(StorageType::kI8) &&
         number <= static_cast<int>(StorageType::kF64);
}

bool is_time_base(int number) {
  return number >= static_cast<int>(TimeBase::kNone) && number <= static_cast<int>(TimeBase::kUtc);
}

// Empty if `text` may be a name (or, if it `may_be_empty`, a unit); else what is wrong with it.
std::string fault_of_text(std::string_view text, bool may_be_empty) {
  if (text.empty() && !may_be_empty) return "is empty";
  if (text.size() > kMaxNameBytes) {
    return "is longer than " + std::to_string(kMaxNameBytes) + " bytes";
  }
  if (!is_plain_text(text)) return "is not UTF-8 text without control characters";
  return {};
}

std::string fault_of_channel(const Channel& channel) {
  if (auto fault = fault_of_text(channel.name, false); !fault.empty()) return "name " + fault;
  if (auto fault = fault_of_text(channel.unit, true); !fault.empty()) return "unit " + fault;
  if (!is_storage_type(static_cast<int>(channel.type))) return "storage type is unknown";
  if (!std::isfinite(channel.factor) || channel.factor == 0.0) {
    return "factor is 0 or not finite";
  }
  if (!std::isfinite(channel.offset)) return "offset is not finite";
  return {};
}

// Printable even if the name is what is wrong.
std::string label(std::size_t index, const Channel& channel) {
  std::string out = "channel " + std::to_string(index + 1);
  if (fault_of_text(channel.name, false).empty()) out += " '" + channel.name + "'";
  return out;
}

// The name that two channels share; empty if there is none.
std::string repeated_name(const std::vector<Channel>& channels) {
  std::vector<std::string_view> names;
  names.reserve(channels.size());
  for (const Channel& channel : channels) names.push_back(channel.name);
  std::sort(names.begin(), names.end());
  const auto found = std::adjacent_find(names.begin(), names.end());
  return found == names.end() ? std::string() : std::string(*found);
}

Status check_group(const ChannelGroup& group) {
  const auto refuse = [](const std::string& what) {
    return Status(Code::kRejected, "definition: " + what);
  };
  if (auto fault = fault_of_text(group.group, false); !fault.empty()) {
    return refuse("group name " + fault);
  }
  if (!is_time_base(static_cast<int>(group.time_base))) return refuse("time base is unknown");
  if (group.channels.empty()) return refuse("it has no channels");
  if (group.channels.size() > kMaxChannels) {
    return refuse("it has more than " + std::to_string(kMaxChannels) + " channels");
  }
  std::size_t row_bytes = 0;
  for (std::size_t c = 0; c < group.channels.size(); ++c) {
    const Channel& channel = group.channels[c];
    if (auto fault = fault_of_channel(channel); !fault.empty()) {
      return refuse(label(c, channel) + ": " + fault);
    }
    row_bytes += width_of(channel.type);
    if (row_bytes > kMaxRowBytes) {
      return refuse(label(c, channel) + ": the row is longer than " + std::to_string(kMaxRowBytes) +
                    " bytes");
    }
  }
  if (const std::string name = repeated_name(group.channels); !name.empty()) {
    return refuse("two channels are named '" + name + "'");
  }
  return {};
}

std::string serialise(const ChannelGroup& group) {
  words::GroupDefinition message;
  message.set_group(group.group);
  message.set_time_base(static_cast<words::TimeBase>(group.time_base));
  for (const Channel& channel : group.channels) {
    words::ChannelDefinition& out = *message.add_channels();
    out.set_name(channel.name);
    out.set_unit(channel.unit);
    out.set_type(static_cast<words::StorageType>(channel.type));
    out.set_factor(channel.factor);
    out.set_offset(channel.offset);
  }
  // No maps and no unknown fields here, so fields come in order of their numbers: canonical.
  return message.SerializeAsString();
}

std::uint64_t big_endian_prefix(const DefinitionName& name) {
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < 8; ++i) prefix = prefix << 8 | name[i];
  return prefix;
}

template <typename T>
double load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

}  // namespace

std::size_t width_of(StorageType type) {
  switch (type) {
    case StorageType::kI8:
    case StorageType::kU8:
      return 1;
    case StorageType::kI16:
    case StorageType::kU16:
      return 2;
    case StorageType::kI32:
    case StorageType::kU32:
    case StorageType::kF32:
      return 4;
    case StorageType::kI64:
    case StorageType::kU64:
    case StorageType::kF64:
      return 8;
  }
  CHECK(false);
}

std::string_view to_string(StorageType type) {
  constexpr std::string_view kNames[] = {"i8",  "u8",  "i16", "u16", "i32",
                                         "u32", "i64", "u64", "f32", "f64"};
  CHECK(is_storage_type(static_cast<int>(type)));
  return kNames[static_cast<std::size_t>(type) - 1];
}

Result<std::shared_ptr<const Definition>> Definition::make(ChannelGroup group) {
  if (Status status = check_group(group); !status.ok()) return status;
  // -0.0 + 0.0 is 0.0: two groups that compare equal get one name.
  for (Channel& channel : group.channels) channel.offset += 0.0;

  std::shared_ptr<Definition> definition(new Definition());
  definition->bytes_ = serialise(group);
  definition->name_ = sha256(definition->bytes_);
  definition->prefix_ = big_endian_prefix(definition->name_);
  definition->offsets_.reserve(group.channels.size());
  for (const Channel& channel : group.channels) {
    definition->offsets_.push_back(definition->row_bytes_);
    definition->row_bytes_ += width_of(channel.type);
  }
  definition->group_ = std::move(group);
  return std::shared_ptr<const Definition>(std::move(definition));
}

Result<std::shared_ptr<const Definition>> Definition::parse(std::string_view bytes) {
  const auto refuse = [](const std::string& what) {
    return Status(Code::kCorrupt, "definition: " + what);
  };
  if (bytes.size() > kMaxDefinitionBytes) return refuse("it is too long");
  words::GroupDefinition message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return refuse("it does not parse");
  }
  if (!is_time_base(message.time_base())) return refuse("time base is unknown");
  ChannelGroup group;
  group.group = message.group();
  group.time_base = static_cast<TimeBase>(message.time_base());
  group.channels.reserve(static_cast<std::size_t>(message.channels_size()));
  for (const words::ChannelDefinition& channel : message.channels()) {
    if (!is_storage_type(channel.type())) return refuse("a storage type is unknown");
    group.channels.push_back({channel.name(), channel.unit(),
                              static_cast<StorageType>(channel.type()), channel.factor(),
                              channel.offset()});
  }
  auto definition = make(std::move(group));
  if (!definition.ok()) return Status(Code::kCorrupt, definition.status().message());
  if (definition.value()->bytes() != bytes) return refuse("its bytes are not canonical");
  return definition;
}

int Definition::find(std::string_view channel) const {
  const auto& all = group_.channels;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Channel& each) { return each.name == channel; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

double raw_value(StorageType type, const std::byte* bytes) {
  switch (type) {
    case StorageType::kI8:
      return load<std::int8_t>(bytes);
    case StorageType::kU8:
      return load<std::uint8_t>(bytes);
    case StorageType::kI16:
      return load<std::int16_t>(bytes);
    case StorageType::kU16:
      return load<std::uint16_t>(bytes);
    case StorageType::kI32:
      return load<std::int32_t>(bytes);
    case StorageType::kU32:
      return load<std::uint32_t>(bytes);
    case StorageType::kI64:
      return load<std::int64_t>(bytes);
    case StorageType::kU64:
      return load<std::uint64_t>(bytes);
    case StorageType::kF32:
      return load<float>(bytes);
    case StorageType::kF64:
      return load<double>(bytes);
  }
  CHECK(false);
}

}  // namespace pitbox
