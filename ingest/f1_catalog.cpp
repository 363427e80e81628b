#include "ingest/f1_catalog.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

std::uint16_t f1_u16(std::size_t value) {
  CHECK(value <= UINT16_MAX);
  return static_cast<std::uint16_t>(value);
}

// "speed", "tyresWear_RL", "weekendStructure_11".
std::string f1_channel_name(const F1Field& field, std::size_t count, std::size_t value) {
  constexpr std::string_view kTyres[kF1Tyres] = {"RL", "RR", "FL", "FR"};
  std::string name(field.name);
  if (count == 1) return name;
  name += '_';
  return count == kF1Tyres ? name.append(kTyres[value]) : name + std::to_string(value);
}

// The rows of `fields`: their channels, and where these lie in the record.
class F1PartMaker {
 public:
  explicit F1PartMaker(F1Format format) : format_(format) {}

  void add(std::span<const F1Field> fields) {
    for (const F1Field& field : fields) {
      if (f1_has(field, format_)) add(field);
    }
  }
  bool has_channels() const { return !channels_.empty(); }

  F1Part make(std::string group, bool is_indexed) && {
    if (is_indexed) channels_.push_back({"index", "", StorageType::kU8, 1, 0});
    channels_.push_back({"frameIdentifier", "", StorageType::kU32, 1, 0});
    part_.is_indexed = is_indexed;
    part_.stride = f1_u16(record_bytes_);
    part_.definition = Definition::make({.group = std::move(group),
                                         .time_base = TimeBase::kCar,
                                         .channels = std::move(channels_)})
                           .take();
    return std::move(part_);
  }

 private:
  void add(const F1Field& field) {
    const std::size_t count = f1_count(field, format_);
    const std::size_t bytes = count * f1_width(field, format_);
    if (field.type < F1Type::kText) {
      for (std::size_t value = 0; value < count; ++value) {
        channels_.push_back({f1_channel_name(field, count, value), std::string(field.unit),
                             static_cast<StorageType>(field.type), field.factor, 0});
      }
      keep(bytes);
    }
    record_bytes_ += bytes;
  }

  void keep(std::size_t bytes) {
    if (!part_.segments.empty()) {
      F1Part::Segment& last = part_.segments.back();
      if (last.at + last.bytes == record_bytes_) {
        last.bytes = f1_u16(last.bytes + bytes);
        return;
      }
    }
    part_.segments.push_back({f1_u16(record_bytes_), f1_u16(bytes)});
  }

  const F1Format format_;
  F1Part part_;
  std::vector<Channel> channels_;
  std::size_t record_bytes_ = 0;
};

std::size_t f1_place_of(const F1Packet& packet, std::string_view name, F1Format format) {
  const int at = f1_offset(packet.fields, name, format);
  CHECK(at >= 0);
  return f1_header_bytes(format) + static_cast<std::size_t>(at);
}

F1Part f1_part_of(const F1Packet& packet, const F1Field& field, F1Format format) {
  const F1Records& records = *field.records;
  F1PartMaker maker(format);
  maker.add(records.fields);
  F1Part part = std::move(maker).make(std::string(records.group), !records.is_each_car);
  part.owner = records.is_each_car ? F1Owner::kEachCar : packet.owner;
  part.first = f1_u16(f1_place_of(packet, field.name, format));
  part.count = f1_u16(f1_count(field, format));
  if (!records.counter.empty()) {
    part.counter_at = f1_u16(f1_place_of(packet, records.counter, format));
  }
  const std::size_t rows = records.is_each_car ? 1 : part.count;
  CHECK(rows <= kF1RowsMax && rows * part.definition->row_bytes() <= kF1RowBytesMax);
  return part;
}

F1PacketPlan f1_plan_of(const F1Packet& packet, F1Format format) {
  F1PacketPlan plan{.bytes = packet.bytes[static_cast<std::size_t>(format)], .parts = {}};
  if (plan.bytes == 0) return plan;
  F1PartMaker own(format);
  own.add(packet.fields);
  if (own.has_channels()) {
    plan.parts.push_back(std::move(own).make(std::string(packet.group), false));
    plan.parts.back().owner = packet.owner;
    plan.parts.back().first = f1_u16(f1_header_bytes(format));
    CHECK(plan.parts.back().definition->row_bytes() <= kF1RowBytesMax);
  }
  for (const F1Field& field : packet.fields) {
    if (field.type != F1Type::kRecords || !f1_has(field, format)) continue;
    plan.parts.push_back(f1_part_of(packet, field, format));
  }
  for (F1Part& part : plan.parts) part.car_at = f1_u16(f1_header_bytes(format));
  return plan;
}

F1EventPlan f1_plan_of(const F1Event& event, F1Format format) {
  F1PartMaker maker(format);
  maker.add(event.fields);
  F1EventPlan plan{event.code, std::move(maker).make("f1.event." + std::string(event.code), false)};
  plan.part.first = f1_u16(f1_header_bytes(format) + kF1EventCodeBytes);
  if (!event.car.empty()) {
    const int at = f1_offset(event.fields, event.car, format);
    CHECK(at >= 0);
    plan.part.owner = F1Owner::kNamed;
    plan.part.car_at = f1_u16(plan.part.first + static_cast<std::size_t>(at));
  }
  return plan;
}

// A field of the records in a packet.
F1Places::Array f1_array_of(const F1Packet& packet, std::string_view name, F1Format format) {
  for (const F1Field& field : packet.fields) {
    if (field.type != F1Type::kRecords || !f1_has(field, format)) continue;
    const int at = f1_offset(field.records->fields, name, format);
    CHECK(at >= 0);
    return {.at = f1_place_of(packet, field.name, format) + static_cast<std::size_t>(at),
            .stride = f1_bytes(field.records->fields, format)};
  }
  CHECK(false);
}

void note_f1_places(const F1Packet& packet, F1Format format, F1Places& places) {
  if (packet.id == kF1LapDataId) {
    places.result_status = f1_array_of(packet, "resultStatus", format);
  } else if (packet.id == kF1ClassificationId) {
    places.num_cars = f1_place_of(packet, "numCars", format);
    places.final_status = f1_array_of(packet, "resultStatus", format);
  } else if (packet.id == kF1ParticipantsId) {
    places.num_active_cars = f1_place_of(packet, "numActiveCars", format);
    places.race_number = f1_array_of(packet, "raceNumber", format);
    places.name = f1_array_of(packet, "name", format);
    places.name_bytes = f1_array_of(packet, "yourTelemetry", format).at - places.name.at;
  }
}

F1Catalog make_f1_catalog(F1Format format) {
  F1Catalog catalog;
  catalog.format = format;
  catalog.cars = f1_cars(format);
  F1PartMaker header(format);
  header.add(f1_header_fields());
  catalog.header = std::move(header).make("f1.header", false);
  for (const auto packets : {f1_car_packets(), f1_session_packets()}) {
    for (const F1Packet& packet : packets) {
      catalog.packets[packet.id] = f1_plan_of(packet, format);
      note_f1_places(packet, format, catalog.places);
    }
  }
  catalog.packets[kF1EventId].bytes = f1_event_bytes(format);
  for (const F1Event& event : f1_events()) catalog.events.push_back(f1_plan_of(event, format));
  return catalog;
}

template <F1Format format>
const F1Catalog& f1_catalog_of() {
  static const F1Catalog kCatalog = make_f1_catalog(format);
  return kCatalog;
}

}  // namespace

const F1Part* F1Catalog::event(std::string_view code) const {
  const auto found = std::find_if(events.begin(), events.end(),
                                  [&](const F1EventPlan& each) { return each.code == code; });
  return found == events.end() ? nullptr : &found->part;
}

std::optional<F1Format> f1_format(std::uint16_t packet_format) {
  constexpr std::uint16_t kFirst = 2022;
  if (packet_format < kFirst || packet_format >= kFirst + kF1Formats) return std::nullopt;
  return static_cast<F1Format>(packet_format - kFirst);
}

const F1Catalog& f1_catalog(F1Format format) {
  switch (format) {
    case F1Format::k2022:
      return f1_catalog_of<F1Format::k2022>();
    case F1Format::k2023:
      return f1_catalog_of<F1Format::k2023>();
    case F1Format::k2024:
      return f1_catalog_of<F1Format::k2024>();
    case F1Format::k2025:
      return f1_catalog_of<F1Format::k2025>();
    case F1Format::k2026:
      return f1_catalog_of<F1Format::k2026>();
  }
  CHECK(false);
}

}  // namespace pitbox
