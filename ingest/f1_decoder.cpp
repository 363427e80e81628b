#include "ingest/f1_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pitbox {
namespace {

constexpr std::string_view kF1SessionCar = "session";
constexpr std::uint8_t kF1StatusInvalid = 0;
constexpr std::uint8_t kF1StatusInactive = 1;
// A year and a half: what a game would have to run in one session.
constexpr float kF1SessionSecondsMax = 5e7F;
constexpr std::uint16_t kF1FormatFirst = 2018;
constexpr std::uint16_t kF1FormatLast = 2099;

// Offsets in the header. Since 2023 a year stands before what is behind the format, and a second
// frame number before the players.
struct F1HeaderPlaces {
  std::size_t id, session_uid, session_time, frame, player;
};
constexpr F1HeaderPlaces kF1Header2022 = {5, 6, 14, 18, 22};
constexpr F1HeaderPlaces kF1Header2023 = {6, 7, 15, 19, 27};

template <typename T>
T load_f1(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Up to its first NUL, as the game ends them.
std::string_view f1_text(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

// A result status that is somebody's.
bool has_f1_standing(std::span<const std::byte> bytes, F1Places::Array statuses, std::size_t slot) {
  const auto status = load_f1<std::uint8_t>(bytes, statuses.at + slot * statuses.stride);
  return status != kF1StatusInvalid && status != kF1StatusInactive;
}

DecodeOutcome refuse_f1(RejectReason reason, RecordSink& sink) {
  sink.reject(reason, 1);
  return DecodeOutcome::kDecoded;
}

}  // namespace

DecodeOutcome F1Decoder::decode(const Message& message, RecordSink& sink) {
  if (message.kind != MessageKind::kData) return DecodeOutcome::kDecoded;
  const auto bytes = message.bytes;
  if (bytes.size() < f1_header_bytes(F1Format::k2022)) return DecodeOutcome::kMalformed;
  const auto packet_format = load_f1<std::uint16_t>(bytes, 0);
  const auto format = f1_format(packet_format);
  if (!format) {
    const bool is_some_years = packet_format >= kF1FormatFirst && packet_format <= kF1FormatLast;
    return is_some_years ? refuse_f1(RejectReason::kUnsupported, sink) : DecodeOutcome::kMalformed;
  }
  if (bytes.size() < f1_header_bytes(*format)) return DecodeOutcome::kMalformed;

  Packet packet{.catalog = &f1_catalog(*format), .bytes = bytes, .receive_ns = message.receive_ns};
  const bool has_time = read_header(packet);
  const auto& plans = packet.catalog->packets;
  if (packet.id >= plans.size() || plans[packet.id].bytes == 0) {
    return refuse_f1(RejectReason::kUnsupported, sink);
  }
  const F1PacketPlan& plan = plans[packet.id];
  if (bytes.size() != plan.bytes || !has_time) return refuse_f1(RejectReason::kMalformed, sink);
  std::span<const F1Part> parts = plan.parts;
  if (packet.id == kF1EventId) {
    const auto code = bytes.subspan(f1_header_bytes(*format), kF1EventCodeBytes);
    const F1Part* event = packet.catalog->event(f1_text(code));
    if (event == nullptr) return refuse_f1(RejectReason::kUnsupported, sink);
    parts = {event, 1};
  }
  if (participants_.enter(packet.session_uid)) deliver(packet, packet.catalog->header, sink);
  note(packet);
  for (const F1Part& part : parts) deliver(packet, part, sink);
  return DecodeOutcome::kDecoded;
}

// False if its session time is no time.
bool F1Decoder::read_header(Packet& packet) {
  const F1HeaderPlaces& at =
      packet.catalog->format == F1Format::k2022 ? kF1Header2022 : kF1Header2023;
  packet.id = load_f1<std::uint8_t>(packet.bytes, at.id);
  packet.session_uid = load_f1<std::uint64_t>(packet.bytes, at.session_uid);
  packet.frame = load_f1<std::uint32_t>(packet.bytes, at.frame);
  packet.player = load_f1<std::uint8_t>(packet.bytes, at.player);
  const auto seconds = load_f1<float>(packet.bytes, at.session_time);
  if (!(std::abs(seconds) <= kF1SessionSecondsMax)) return false;  // Nor is a NaN.
  // The product is exact: 24 bits of the one and 21 of the other.
  packet.session_ns = std::llrint(static_cast<double>(seconds) * 1e9);
  return true;
}

void F1Decoder::note(const Packet& packet) {
  const F1Places& places = packet.catalog->places;
  if (packet.id == kF1LapDataId) {
    std::uint32_t active = 0;
    for (std::size_t slot = 0; slot < packet.catalog->cars; ++slot) {
      const bool is_active = has_f1_standing(packet.bytes, places.result_status, slot);
      active |= (is_active ? std::uint32_t{1} : 0) << slot;
    }
    participants_.note_standings(active);
  } else if (packet.id == kF1ParticipantsId) {
    participants_.begin_list(load_f1<std::uint8_t>(packet.bytes, places.num_active_cars));
    for (std::size_t slot = 0; slot < packet.catalog->cars; ++slot) {
      const auto name = packet.bytes.subspan(places.name.at + slot * places.name.stride);
      participants_.list(slot,
                         load_f1<std::uint8_t>(packet.bytes, places.race_number.at +
                                                                 slot * places.race_number.stride),
                         f1_text(name.first(places.name_bytes)));
    }
    participants_.end_list();
  }
}

void F1Decoder::deliver(const Packet& packet, const F1Part& part, RecordSink& sink) {
  RowBlock block{.car = kF1SessionCar,
                 .definition = &part.definition,
                 .count = 1,
                 .source_ns = {},
                 .receive_ns = packet.receive_ns,
                 .rows = {}};
  const std::size_t row_bytes = part.definition->row_bytes();
  source_ns_[0] = packet.session_ns;
  if (part.owner == F1Owner::kEachCar) {
    block.source_ns = std::span(source_ns_).first(1);
    block.rows = std::span(rows_).first(row_bytes);
    for (std::size_t slot = 0; slot < part.count; ++slot) {
      if (!is_in_use(packet, slot)) continue;
      copy_row(packet, part, slot, rows_.data());
      block.car = participants_.car(slot);
      sink.rows(block);
    }
    return;
  }
  if (part.owner == F1Owner::kPlayer) block.car = car_at(packet, packet.player);
  if (part.owner == F1Owner::kNamed) {
    const auto slot = load_f1<std::uint8_t>(packet.bytes, part.car_at);
    // An event is about a car that may be out by now; a history cycles through empty slots too.
    if (packet.id != kF1EventId && slot < packet.catalog->cars && !is_in_use(packet, slot)) return;
    block.car = car_at(packet, slot);
  }
  block.count = part.count;
  if (part.counter_at != 0) {
    block.count =
        std::min(block.count,
                 static_cast<std::size_t>(load_f1<std::uint8_t>(packet.bytes, part.counter_at)));
  }
  if (block.count == 0) return;
  std::byte* out = rows_.data();
  for (std::size_t record = 0; record < block.count; ++record) {
    out = copy_row(packet, part, record, out);
  }
  std::fill_n(source_ns_.begin(), block.count, packet.session_ns);
  block.source_ns = std::span(source_ns_).first(block.count);
  block.rows = std::span(rows_).first(block.count * row_bytes);
  sink.rows(block);
}

// The lists of participants and of results say themselves how far they go.
bool F1Decoder::is_in_use(const Packet& packet, std::size_t slot) const {
  const F1Places& places = packet.catalog->places;
  if (packet.id == kF1ParticipantsId &&
      slot < load_f1<std::uint8_t>(packet.bytes, places.num_active_cars)) {
    return true;
  }
  if (packet.id == kF1ClassificationId) {
    return slot < load_f1<std::uint8_t>(packet.bytes, places.num_cars) ||
           has_f1_standing(packet.bytes, places.final_status, slot);
  }
  return participants_.is_active(slot);
}

std::string_view F1Decoder::car_at(const Packet& packet, std::size_t slot) const {
  return slot < packet.catalog->cars ? participants_.car(slot) : kF1SessionCar;
}

std::byte* F1Decoder::copy_row(const Packet& packet, const F1Part& part, std::size_t record,
                               std::byte* out) {
  const std::byte* const from = packet.bytes.data() + part.first + record * part.stride;
  for (const F1Part::Segment& segment : part.segments) {
    std::memcpy(out, from + segment.at, segment.bytes);
    out += segment.bytes;
  }
  if (part.is_indexed) *out++ = static_cast<std::byte>(record);
  std::memcpy(out, &packet.frame, sizeof packet.frame);
  return out + sizeof packet.frame;
}

}  // namespace pitbox
