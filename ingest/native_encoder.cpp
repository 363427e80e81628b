#include "ingest/native_encoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "ingest/native_format.h"
#include "proto/check.h"
#include "proto/text.h"

namespace pitbox {
namespace {

template <typename T>
void append_bytes_of(std::string& out, const T& value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void append_text(std::string& out, std::string_view text) {
  out.push_back(static_cast<char>(text.size()));
  out.append(text);
}

// How a run of times is told in a packet.
struct Times {
  std::size_t count = 0;
  NativeTiming timing = NativeTiming::kNone;
  std::int64_t base_ns = 0;
  std::uint32_t period_ns = 0;
};

constexpr std::uint64_t kOffsetMax = std::numeric_limits<std::uint32_t>::max();

// Beyond kOffsetMax if `to` is before `from`.
std::uint64_t distance(std::int64_t from, std::int64_t to) {
  return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
}

// The longest start of `times` that is equally spaced.
Times equally_spaced(std::span<const std::int64_t> times) {
  Times result{1, NativeTiming::kPeriod, times[0], 0};
  if (times.size() == 1) return result;
  const std::uint64_t period = distance(times[0], times[1]);
  if (period > kOffsetMax) return result;
  result.period_ns = static_cast<std::uint32_t>(period);
  while (result.count < times.size() &&
         distance(times[result.count - 1], times[result.count]) == period) {
    ++result.count;
  }
  return result;
}

// The longest start of `times` that fits 32 bits of nanoseconds after its first.
Times with_offsets(std::span<const std::int64_t> times) {
  Times result{1, NativeTiming::kOffsets, times[0], 0};
  while (result.count < times.size() && distance(times[0], times[result.count]) <= kOffsetMax) {
    ++result.count;
  }
  return result;
}

// Whichever tells more rows in `room` bytes, or the same number in fewer.
Times choose_times(std::span<const std::int64_t> times, std::size_t room, std::size_t row_bytes) {
  const std::size_t plain = std::min({room / row_bytes, times.size(), kNativeRowsMax});
  const std::size_t stamped = std::min({room / (row_bytes + 4), times.size(), kNativeRowsMax});
  if (plain == 0) return {};
  const Times spaced = equally_spaced(times.first(plain));
  if (stamped <= spaced.count) return spaced;
  const Times offsets = with_offsets(times.first(stamped));
  return offsets.count > spaced.count ? offsets : spaced;
}

}  // namespace

Result<std::string> NativeEncoder::announce(std::uint16_t group, std::string_view car,
                                            DefinitionPtr definition) {
  if (car.empty() || car.size() > kMaxNameBytes || !is_plain_text(car)) {
    return Status(Code::kRejected, "a car's name is 1..128 bytes of plain text");
  }
  const ChannelGroup& content = definition->group();
  std::string body;
  body.push_back(static_cast<char>(content.time_base));
  body.push_back(0);
  append_bytes_of(body, static_cast<std::uint16_t>(content.channels.size()));
  append_text(body, car);
  append_text(body, content.group);
  for (const Channel& channel : content.channels) {
    body.push_back(static_cast<char>(channel.type));
    append_text(body, channel.name);
    append_text(body, channel.unit);
    append_bytes_of(body, channel.factor);
    append_bytes_of(body, channel.offset);
  }
  if (kNativeHeaderBytes + body.size() > kNativePacketBytesMax) {
    return Status(Code::kRejected, "the announcement would exceed 65,507 bytes");
  }
  Group& entry = groups_[group];
  entry.check = native_check(std::as_bytes(std::span(body)));
  entry.definition = std::move(definition);

  NativeHeader header;
  header.length = static_cast<std::uint32_t>(kNativeHeaderBytes + body.size());
  header.kind = static_cast<std::uint8_t>(NativeKind::kAnnounce);
  header.group = group;
  header.sender = sender_;
  header.check = entry.check;
  header.sequence = entry.sequence;
  std::string packet;
  packet.reserve(header.length);
  append_bytes_of(packet, header);
  packet += body;
  return packet;
}

std::size_t NativeEncoder::append_rows(std::uint16_t group, std::span<const std::int64_t> source_ns,
                                       std::span<const std::byte> rows, std::size_t bytes_max,
                                       std::string& datagram) {
  const auto found = groups_.find(group);
  CHECK(found != groups_.end());
  Group& entry = found->second;
  const std::size_t row_bytes = entry.definition->row_bytes();
  const bool has_time = entry.definition->has_source_time();
  const std::size_t count = rows.size() / row_bytes;
  CHECK(count * row_bytes == rows.size());
  CHECK(source_ns.size() == (has_time ? count : 0));
  bytes_max = std::min(bytes_max, datagram.size() + kNativePacketBytesMax);
  if (count == 0 || datagram.size() + kNativeRowsHeaderBytes + row_bytes > bytes_max) return 0;

  const std::size_t room = bytes_max - datagram.size() - kNativeRowsHeaderBytes;
  const Times times = has_time
                          ? choose_times(source_ns, room, row_bytes)
                          : Times{.count = std::min({room / row_bytes, count, kNativeRowsMax})};
  const bool stamped = times.timing == NativeTiming::kOffsets;
  NativeHeader header;
  header.length = static_cast<std::uint32_t>(kNativeRowsHeaderBytes +
                                             times.count * (row_bytes + (stamped ? 4 : 0)));
  header.kind = static_cast<std::uint8_t>(NativeKind::kRows);
  header.group = group;
  header.sender = sender_;
  header.check = entry.check;
  header.sequence = ++entry.sequence;
  append_bytes_of(datagram, header);
  append_bytes_of(datagram, NativeRowsHeader{.base_ns = times.base_ns,
                                             .period_ns = times.period_ns,
                                             .row_count = static_cast<std::uint16_t>(times.count),
                                             .timing = static_cast<std::uint8_t>(times.timing)});
  for (std::size_t row = 0; stamped && row < times.count; ++row) {
    append_bytes_of(datagram, static_cast<std::uint32_t>(source_ns[row] - times.base_ns));
  }
  const auto taken = rows.first(times.count * row_bytes);
  datagram.append(reinterpret_cast<const char*>(taken.data()), taken.size());
  return times.count;
}

std::uint64_t NativeEncoder::sequence(std::uint16_t group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.sequence;
}

}  // namespace pitbox
