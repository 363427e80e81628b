// Datagrams as the F1 games would send them, made of the lists of fields: a packet of zeros with a
// sound header, and values put where a field lies.

#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ingest/f1_layout.h"
#include "proto/check.h"

namespace pitbox {

inline constexpr std::array<F1Format, kF1Formats> kF1EveryFormat = {
    F1Format::k2022, F1Format::k2023, F1Format::k2024, F1Format::k2025, F1Format::k2026};

struct F1Head {
  F1Format format = F1Format::k2024;
  std::uint8_t id = 0;
  std::uint64_t session_uid = 77;
  float session_time = 1.5F;
  std::uint32_t frame = 90;
  std::uint8_t player = 19;
};

// Null if it is no packet but an event, or none at all.
inline const F1Packet* f1_packet_of(std::uint8_t id) {
  for (const auto packets : {f1_car_packets(), f1_session_packets()}) {
    for (const F1Packet& each : packets) {
      if (each.id == id) return &each;
    }
  }
  return nullptr;
}

// 0: the format has no such packet.
inline std::size_t f1_size_of(F1Format format, std::uint8_t id) {
  if (id == kF1EventId) return f1_event_bytes(format);
  const F1Packet* const packet = f1_packet_of(id);
  return packet == nullptr ? 0 : packet->bytes[static_cast<std::size_t>(format)];
}

template <typename T>
void put_at(std::string& datagram, std::size_t at, T value) {
  CHECK(at + sizeof value <= datagram.size());
  std::memcpy(datagram.data() + at, &value, sizeof value);
}

inline void put_head(std::string& datagram, const F1Head& head) {
  const bool is_old = head.format == F1Format::k2022;
  put_at(datagram, 0, static_cast<std::uint16_t>(2022 + static_cast<int>(head.format)));
  put_at(datagram, is_old ? 5 : 6, head.id);
  put_at(datagram, is_old ? 6 : 7, head.session_uid);
  put_at(datagram, is_old ? 14 : 15, head.session_time);
  put_at(datagram, is_old ? 18 : 19, head.frame);
  put_at(datagram, is_old ? 22 : 27, head.player);
  put_at(datagram, is_old ? 23 : 28, std::uint8_t{255});
}

// Of the right size, everything behind the header 0.
inline std::string f1_datagram(const F1Head& head) {
  std::string datagram(f1_size_of(head.format, head.id), '\0');
  put_head(datagram, head);
  return datagram;
}

inline std::string f1_event(const F1Head& head, std::string_view code,
                            std::string_view payload = {}) {
  std::string datagram = f1_datagram(head);
  datagram.replace(f1_header_bytes(head.format), code.size(), code);
  datagram.replace(f1_header_bytes(head.format) + code.size(), payload.size(), payload);
  return datagram;
}

// Where a field lies that stands in the packet once.
inline std::size_t f1_place(const F1Head& head, std::string_view field) {
  const int at = f1_offset(f1_packet_of(head.id)->fields, field, head.format);
  CHECK(at >= 0);
  return f1_header_bytes(head.format) + static_cast<std::size_t>(at);
}

// Where a field of the record of a slot lies.
inline std::size_t f1_place(const F1Head& head, std::size_t slot, std::string_view field) {
  for (const F1Field& each : f1_packet_of(head.id)->fields) {
    if (each.type != F1Type::kRecords || !f1_has(each, head.format)) continue;
    const int at = f1_offset(each.records->fields, field, head.format);
    CHECK(at >= 0);
    return f1_place(head, each.name) + slot * f1_bytes(each.records->fields, head.format) +
           static_cast<std::size_t>(at);
  }
  CHECK(false);
}

}  // namespace pitbox
