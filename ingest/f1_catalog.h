// F1Catalog: one format's packets as channel groups: which bytes of a datagram become which row of
// which group. Made from the lists of f1_layout.h once per format and program, when a decoder first
// hears the format.
//
// A row is the record's bytes as they were sent, less texts and the records within it; then `index`
// (u8), for records that are not told apart by their car; then the header's `frameIdentifier`
// (u32). Groups of equal layout are equal definitions, whatever the format.
//
// Immutable once made; any thread.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ingest/f1_layout.h"
#include "proto/definition.h"

namespace pitbox {

inline constexpr std::size_t kF1RowBytesMax = 4096;  // All rows that one part gives to one car.
inline constexpr std::size_t kF1RowsMax = 100;

// Records of one layout in one packet. Places count from the datagram's first byte.
struct F1Part {
  struct Segment {
    std::uint16_t at = 0;  // In the record.
    std::uint16_t bytes = 0;
  };
  DefinitionPtr definition;
  F1Owner owner = F1Owner::kSession;
  std::uint16_t first = 0;
  std::uint16_t stride = 0;
  std::uint16_t count = 1;
  std::uint16_t counter_at = 0;  // Of the u8 that says how many records are used; 0: all.
  std::uint16_t car_at = 0;      // kNamed: of the u8 that is the car's slot.
  bool is_indexed = false;
  std::vector<Segment> segments;  // What of a record is kept.
};

struct F1PacketPlan {
  std::size_t bytes = 0;  // 0: the format has no such packet.
  std::vector<F1Part> parts;
};

struct F1EventPlan {
  std::string_view code;
  F1Part part;
};

// Where the cars' numbers, names and standing are told.
struct F1Places {
  struct Array {
    std::size_t at = 0;
    std::size_t stride = 0;
  };
  std::size_t num_active_cars = 0;
  Array race_number;
  Array name;
  std::size_t name_bytes = 0;
  Array result_status;       // In the lap data...
  Array final_status;        // ...and in the final classification,
  std::size_t num_cars = 0;  // which has so many cars.
};

struct F1Catalog {
  F1Format format = F1Format::k2022;
  std::size_t cars = 0;
  F1Part header;                                   // Kept once in a session.
  std::array<F1PacketPlan, kF1PacketIds> packets;  // By packet id; that of events has no parts.
  std::vector<F1EventPlan> events;
  F1Places places;

  // Null if it is no event of the games.
  const F1Part* event(std::string_view code) const;
};

std::optional<F1Format> f1_format(std::uint16_t packet_format);
const F1Catalog& f1_catalog(F1Format format);

}  // namespace pitbox
