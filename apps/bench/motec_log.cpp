// A MoTeC .ld log as a recording. Layout of the file as its readers describe it and as real files
// have it; see `MotecChannel`. Nothing in it is believed: every place is checked against the file.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/bench/car_recording.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint32_t kMarker = 0x40;
constexpr std::size_t kFirstChannelAt = 0x08;
constexpr std::size_t kHeaderBytes = 0x6E2;
constexpr std::size_t kChannelBytes = 84;  // Of its record, as far as it is read here.
constexpr std::size_t kChannelsMax = 4096;
constexpr std::size_t kFileBytesMax = std::size_t{256} << 20;

// One channel: u32 previous, next, data, samples; u16 counter, type, size, Hz; i16 shift, factor,
// scale, decimals; name of 32 bytes, short name of 8, unit of 12.
struct MotecChannel {
  std::string name;
  std::string unit;
  StorageType type = StorageType::kI16;
  std::uint16_t hertz = 0;
  std::size_t data = 0;
  std::size_t samples = 0;
};

template <typename Value>
Value load(std::string_view bytes, std::size_t at) {
  Value value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Text up to its first NUL, of what may stand in a definition.
std::string text_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::string text(bytes.substr(at, size));
  text.resize(std::min(text.find('\0'), text.size()));
  return is_plain_text(text) ? text : std::string();
}

std::optional<StorageType> storage_of(std::uint16_t type, std::uint16_t size) {
  const bool is_integer = type == 0 || type == 3 || type == 5;
  if (is_integer && size == 2) return StorageType::kI16;
  if (is_integer && size == 4) return StorageType::kI32;
  if (type == 7 && size == 4) return StorageType::kF32;
  return std::nullopt;
}

Status broken(const std::filesystem::path& file, const std::string& what) {
  return {Code::kRejected, file.string() + ": " + what};
}

Result<std::string> read_whole(const std::filesystem::path& file) {
  std::FILE* const in = std::fopen(file.c_str(), "rb");
  if (in == nullptr) return Status(Code::kRejected, "cannot read " + file.string());
  std::string bytes;
  std::array<char, 65536> piece{};
  std::size_t got = 0;
  while ((got = std::fread(piece.data(), 1, piece.size(), in)) > 0 &&
         bytes.size() <= kFileBytesMax) {
    bytes.append(piece.data(), got);
  }
  std::fclose(in);
  if (bytes.size() > kFileBytesMax) return broken(file, "longer than 256 MiB");
  return bytes;
}

Result<MotecChannel> read_channel(const std::filesystem::path& file, std::string_view bytes,
                                  std::size_t at) {
  MotecChannel channel;
  channel.data = load<std::uint32_t>(bytes, at + 8);
  channel.samples = load<std::uint32_t>(bytes, at + 12);
  const auto type =
      storage_of(load<std::uint16_t>(bytes, at + 18), load<std::uint16_t>(bytes, at + 20));
  channel.hertz = load<std::uint16_t>(bytes, at + 22);
  channel.name = text_at(bytes, at + 32, 32);
  channel.unit = text_at(bytes, at + 72, 12);
  if (channel.name.empty()) return broken(file, "a channel without a name");
  if (!type) return broken(file, "channel " + channel.name + " is of an unknown type");
  channel.type = *type;
  if (channel.hertz == 0) return broken(file, "channel " + channel.name + " has no rate");
  const std::size_t width = width_of(channel.type);
  if (channel.data > bytes.size() || channel.samples > (bytes.size() - channel.data) / width) {
    return broken(file, "channel " + channel.name + " ends beyond the file");
  }
  return channel;
}

// The channels of one rate side by side, as many rows as the shortest of them has. Raw values: what
// they mean makes no difference to their size.
Result<GroupRows> make_group(std::uint16_t hertz, const std::vector<MotecChannel>& channels,
                             std::string_view bytes) {
  ChannelGroup group;
  group.group = std::to_string(hertz) + " Hz";
  group.time_base = TimeBase::kCar;
  std::size_t rows = channels.front().samples;
  for (const MotecChannel& channel : channels) {
    rows = std::min(rows, channel.samples);
    group.channels.push_back({.name = channel.name, .unit = channel.unit, .type = channel.type});
  }
  auto definition = Definition::make(std::move(group));
  if (!definition.ok()) return definition.status();
  GroupRows made{
      .definition = std::move(definition).take(), .source_ns = {}, .receive_ns = {}, .rows = {}};
  const std::size_t row_bytes = made.definition->row_bytes();
  made.rows.resize(rows * row_bytes);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto at = static_cast<std::int64_t>(row) * 1'000'000'000 / hertz;
    made.source_ns.push_back(at);
    made.receive_ns.push_back(at + 1'000'000);
    std::byte* to = made.rows.data() + row * row_bytes;
    for (const MotecChannel& channel : channels) {
      const std::size_t width = width_of(channel.type);
      std::memcpy(to, bytes.data() + channel.data + row * width, width);
      to += width;
    }
  }
  return made;
}

}  // namespace

Result<CarRecording> read_motec_log(const std::filesystem::path& file) {
  auto read = read_whole(file);
  if (!read.ok()) return read.status();
  const std::string_view bytes = read.value();
  if (bytes.size() < kHeaderBytes || load<std::uint32_t>(bytes, 0) != kMarker) {
    return broken(file, "no MoTeC log");
  }
  std::map<std::uint16_t, std::vector<MotecChannel>> by_rate;
  std::set<std::pair<std::uint16_t, std::string>> names;
  std::size_t at = load<std::uint32_t>(bytes, kFirstChannelAt);
  for (std::size_t count = 0; at != 0; ++count) {
    if (count >= kChannelsMax) return broken(file, "more than 4096 channels");
    if (at > bytes.size() - kChannelBytes) return broken(file, "a channel beyond the file's end");
    auto channel = read_channel(file, bytes, at);
    if (!channel.ok()) return channel.status();
    // Two of one name differ by their number.
    if (!names.emplace(channel.value().hertz, channel.value().name).second) {
      channel.value().name += " " + std::to_string(count);
    }
    const std::uint16_t hertz = channel.value().hertz;
    by_rate[hertz].push_back(std::move(channel).take());
    at = load<std::uint32_t>(bytes, at + 4);
  }
  CarRecording recording{
      .name = file.filename().string(), .seconds = 0, .groups = {}, .samples = 0};
  for (const auto& [hertz, channels] : by_rate) {
    auto group = make_group(hertz, channels, bytes);
    if (!group.ok()) return group.status();
    if (group.value().row_count() == 0) continue;
    recording.samples += group.value().row_count() * channels.size();
    recording.seconds = std::max(
        recording.seconds, static_cast<double>(group.value().row_count()) / double{1.0 * hertz});
    recording.groups.push_back(std::move(group).take());
  }
  if (recording.samples == 0) return broken(file, "no samples");
  return recording;
}

}  // namespace pitbox
