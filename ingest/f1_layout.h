// What the datagrams of the F1 games look like: one list of fields for each packet and for each
// record that repeats in it, with the formats (years) that have the field. Fields lie one behind
// the other without padding, so a list and a format give every offset.
//
// The lists are constants, in f1_car_layouts.cpp (what is sent for every car, and the player's
// own), f1_session_layouts.cpp (session, participants, histories) and f1_event_layouts.cpp; each
// adds up, at compile time, to the size that the packet has. f1_catalog.h makes channel groups of
// them. Names, order and sizes are those of the games' own description; docs/f1.md says what of it
// was seen in real datagrams.
//
// Plain values and functions; any thread.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proto/definition.h"

namespace pitbox {

// Their number is `packetFormat`.
enum class F1Format : std::uint8_t { k2022, k2023, k2024, k2025, k2026 };
inline constexpr std::size_t kF1Formats = 5;
inline constexpr std::size_t kF1PacketIds = 17;
inline constexpr std::size_t kF1CarsMax = 24;
inline constexpr std::size_t kF1EventCodeBytes = 4;

// Packet ids that mean more than their fields, or that somebody asks for.
inline constexpr std::uint8_t kF1MotionId = 0;
inline constexpr std::uint8_t kF1LapDataId = 2;
inline constexpr std::uint8_t kF1EventId = 3;
inline constexpr std::uint8_t kF1ParticipantsId = 4;
inline constexpr std::uint8_t kF1CarTelemetryId = 6;
inline constexpr std::uint8_t kF1ClassificationId = 8;
inline constexpr std::uint8_t kF1SessionHistoryId = 11;
inline constexpr std::uint8_t kF1MotionExId = 13;

constexpr std::size_t f1_header_bytes(F1Format format) {
  return format == F1Format::k2022 ? 24 : 29;
}
constexpr std::size_t f1_event_bytes(F1Format format) {
  return format == F1Format::k2022 ? 40 : 45;
}
// Slots of an array that has one element for each car.
constexpr std::size_t f1_cars(F1Format format) {
  return format == F1Format::k2026 ? kF1CarsMax : 22;
}

// Which formats have a field: one bit each, 2022 the lowest.
inline constexpr std::uint8_t kF1All = 0b11111;
inline constexpr std::uint8_t kF1From23 = 0b11110;
inline constexpr std::uint8_t kF1From24 = 0b11100;
inline constexpr std::uint8_t kF1From25 = 0b11000;
inline constexpr std::uint8_t kF1Only26 = 0b10000;
inline constexpr std::uint8_t kF1To25 = 0b01111;
inline constexpr std::uint8_t kF1To24 = 0b00111;
inline constexpr std::uint8_t kF1To23 = 0b00011;
inline constexpr std::uint8_t kF1Only22 = 0b00001;

// How many values: one for each tyre (RL, RR, FL, FR), or for each car slot.
inline constexpr std::uint8_t kF1Tyres = 4;
inline constexpr std::uint8_t kF1EachSlot = 255;

// The storage types by their numbers, and what is no channel.
enum class F1Type : std::uint8_t {
  kI8 = 1,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF32,
  kF64,
  kText,    // `count` bytes that are no channel.
  kRecords  // `count` times `records`.
};

// Whose a record is.
enum class F1Owner : std::uint8_t {
  kSession,  // Nobody's: the pseudo car `session`.
  kPlayer,   // The car of playerCarIndex.
  kNamed,    // The car's whose slot a field says.
  kEachCar,  // Record n is the car's in slot n.
};

struct F1Records;

struct F1Field {
  std::string_view name;
  F1Type type = F1Type::kU8;
  std::uint8_t formats = kF1All;
  std::uint8_t count = 1;
  std::string_view unit = {};
  double factor = 1;
  const F1Records* records = nullptr;
};

// A record that repeats in a packet.
struct F1Records {
  std::string_view group;
  bool is_each_car = false;       // Else they are whose the packet is, and told apart by `index`.
  std::string_view counter = {};  // The packet's field that says how many are used; empty: all.
  std::span<const F1Field> fields;
};

struct F1Packet {
  std::uint8_t id = 0;
  std::string_view group;             // Of the values that stand in it once, if there are any.
  F1Owner owner = F1Owner::kSession;  // kNamed: by the first field.
  std::span<const F1Field> fields;    // Behind the header.
  std::array<std::uint16_t, kF1Formats> bytes;  // With the header; 0: not in that format.
};

struct F1Event {
  std::string_view code;
  std::string_view car;             // The field with the slot of the car whose it is; or nothing.
  std::span<const F1Field> fields;  // Behind the code; what follows them means nothing.
};

std::span<const F1Field> f1_header_fields();
std::span<const F1Packet> f1_car_packets();
std::span<const F1Packet> f1_session_packets();
std::span<const F1Event> f1_events();

constexpr bool f1_has(const F1Field& field, F1Format format) {
  return (field.formats >> static_cast<unsigned>(format) & 1) != 0;
}

constexpr std::size_t f1_count(const F1Field& field, F1Format format) {
  return field.count == kF1EachSlot ? f1_cars(format) : field.count;
}

constexpr std::size_t f1_bytes(std::span<const F1Field> fields, F1Format format);

// Of one value, byte of text, or record.
constexpr std::size_t f1_width(const F1Field& field, F1Format format) {
  switch (field.type) {
    case F1Type::kI8:
    case F1Type::kU8:
    case F1Type::kText:
      return 1;
    case F1Type::kI16:
    case F1Type::kU16:
      return 2;
    case F1Type::kI32:
    case F1Type::kU32:
    case F1Type::kF32:
      return 4;
    case F1Type::kI64:
    case F1Type::kU64:
    case F1Type::kF64:
      return 8;
    case F1Type::kRecords:
      return f1_bytes(field.records->fields, format);
  }
  return 0;
}

// What a format has of `fields`, in bytes.
constexpr std::size_t f1_bytes(std::span<const F1Field> fields, F1Format format) {
  std::size_t bytes = 0;
  for (const F1Field& field : fields) {
    if (f1_has(field, format)) bytes += f1_count(field, format) * f1_width(field, format);
  }
  return bytes;
}

// Whether every format's fields add up to the packet's size.
constexpr bool f1_adds_up(const F1Packet& packet) {
  for (std::size_t f = 0; f < kF1Formats; ++f) {
    const auto format = static_cast<F1Format>(f);
    if (packet.bytes[f] != 0 &&
        packet.bytes[f] != f1_header_bytes(format) + f1_bytes(packet.fields, format)) {
      return false;
    }
  }
  return true;
}

// Where `name` begins in a record of `fields`, or -1.
constexpr int f1_offset(std::span<const F1Field> fields, std::string_view name, F1Format format) {
  std::size_t at = 0;
  for (const F1Field& field : fields) {
    if (!f1_has(field, format)) continue;
    if (field.name == name) return static_cast<int>(at);
    at += f1_count(field, format) * f1_width(field, format);
  }
  return -1;
}

}  // namespace pitbox
