// CanRig: a CAN decoder and what it gave for the frames that it heard.

#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "ingest/can_decoder.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {

inline CanFrame can_frame_with(canid_t id, const std::vector<int>& data, bool is_fd = false) {
  CanFrame out;
  out.is_fd = is_fd;
  out.frame.can_id = id;
  for (const int each : data) {
    out.frame.data[out.frame.len++] = static_cast<std::uint8_t>(each);
  }
  return out;
}

// A decoder, and what it gave for the frames it heard.
struct CanRig {
  explicit CanRig(const Dbc& dbc) : decoder("46", dbc) {}
  explicit CanRig(const std::string& text) : CanRig(parse_dbc(text, "car.dbc").take()) {}

  DecodeOutcome hear(const CanFrame& frame) {
    std::array<std::byte, kCanFdBytes> bytes{};
    Message message;
    message.receive_ns = 1'000;
    message.bytes = can_frame_bytes(frame, bytes);
    return decoder.decode(message, sink);
  }
  DecodeOutcome hear(canid_t id, const std::vector<int>& data) {
    return hear(can_frame_with(id, data));
  }
  const CollectedRows& rows(const std::string& group) { return sink.groups[{"46", group}]; }
  double value(const std::string& group, const std::string& channel) {
    const CollectedRows& all = rows(group);
    CHECK(all.count > 0);
    const int index = all.definition->find(channel);
    CHECK(index >= 0);
    return all.value(all.count - 1, static_cast<std::size_t>(index));
  }
  std::vector<std::string> groups() {
    std::vector<std::string> names;
    for (const auto& [key, all] : sink.groups) {
      if (all.count > 0) names.push_back(key.second);
    }
    return names;
  }

  CanDecoder decoder;
  RecordCollector sink;
};

// The low bits of a stored value, extended as its type says.
inline std::uint64_t stored_value(const CollectedRows& rows, std::size_t channel) {
  const StorageType type = rows.definition->channels()[channel].type;
  std::uint64_t value = 0;
  const std::size_t row = (rows.count - 1) * rows.definition->row_bytes();
  std::memcpy(&value, rows.bytes.data() + row + rows.definition->column_offset(channel),
              width_of(type));
  const bool is_signed = type == StorageType::kI8 || type == StorageType::kI16 ||
                         type == StorageType::kI32 || type == StorageType::kI64;
  const std::size_t unused = 64 - width_of(type) * 8;
  if (!is_signed) return value;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
}

}  // namespace pitbox
