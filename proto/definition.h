// What a channel group's rows mean: names, units, storage types and linear conversion of its
// channels, and what clock its source time runs on.
//
// A definition is immutable and named by the SHA-256 of its serialised bytes (FORMAT.md,
// "Definitions"). Values here are plain and may be shared between threads once built.
//
// Limits: 1..kMaxChannels channels and kMaxRowBytes bytes a row; names of 1..kMaxNameBytes and
// units of 0..kMaxNameBytes bytes of UTF-8 without control characters; factor finite and not 0,
// offset finite (-0.0 becomes 0.0), channel names unique in the group.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kMaxChannels = 4096;
inline constexpr std::size_t kMaxNameBytes = 128;
inline constexpr std::size_t kMaxRowBytes = std::size_t{16} * 1024;

// Numbered as in definition.proto.
enum class StorageType : std::uint8_t {
  kI8 = 1,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF32,
  kF64
};

// Bytes of one value: 1, 2, 4 or 8.
std::size_t width_of(StorageType type);
std::string_view to_string(StorageType type);  // "i8" .. "f64"

enum class TimeBase : std::uint8_t { kNone = 0, kCar = 1, kUtc = 2 };

struct Channel {
  std::string name;
  std::string unit;
  StorageType type = StorageType::kF32;
  double factor = 1.0;  // physical = raw * factor + offset
  double offset = 0.0;

  friend bool operator==(const Channel&, const Channel&) = default;
};

struct ChannelGroup {
  std::string group;
  TimeBase time_base = TimeBase::kNone;
  std::vector<Channel> channels;

  friend bool operator==(const ChannelGroup&, const ChannelGroup&) = default;
};

using DefinitionName = std::array<std::uint8_t, 32>;

class Definition {
 public:
  // kRejected, naming the channel and the limit, if `group` breaks one of the limits above.
  static Result<std::shared_ptr<const Definition>> make(ChannelGroup group);
  // From stored or received bytes. kCorrupt if they do not parse, break a limit, or are not the
  // canonical serialisation (so that equal definitions have equal names).
  static Result<std::shared_ptr<const Definition>> parse(std::string_view bytes);

  const ChannelGroup& group() const { return group_; }
  const std::vector<Channel>& channels() const { return group_.channels; }
  const DefinitionName& name() const { return name_; }
  std::string_view bytes() const { return bytes_; }  // Canonical serialisation.
  // The first 8 bytes of name(), big-endian: how a batch refers to it. A journal and a room refuse
  // a second definition with the same prefix and another name.
  std::uint64_t prefix() const { return prefix_; }
  // Bytes of one packed row: the channels' raw values in order, little-endian, no padding.
  std::size_t row_bytes() const { return row_bytes_; }
  std::size_t column_offset(std::size_t channel) const { return offsets_[channel]; }
  bool has_source_time() const { return group_.time_base != TimeBase::kNone; }
  // Index of the channel with that name, or -1.
  int find(std::string_view channel) const;

 private:
  Definition() = default;

  ChannelGroup group_;
  DefinitionName name_{};
  std::string bytes_;
  std::uint64_t prefix_ = 0;
  std::size_t row_bytes_ = 0;
  std::vector<std::size_t> offsets_;
};

using DefinitionPtr = std::shared_ptr<const Definition>;

// Raw little-endian value at `bytes` as a double (before conversion). An integer beyond 2^53 is
// rounded. REQUIRES: width_of(type) readable bytes.
double raw_value(StorageType type, const std::byte* bytes);
// physical = raw * factor + offset.
inline double physical(const Channel& channel, const std::byte* bytes) {
  return raw_value(channel.type, bytes) * channel.factor + channel.offset;
}

}  // namespace pitbox
