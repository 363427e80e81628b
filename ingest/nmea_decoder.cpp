#include "ingest/nmea_decoder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "ingest/state_bytes.h"
#include "proto/check.h"
#include "proto/mutant.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kNmeaStateFormat = 1;
constexpr double kKilometresPerNauticalMile = 1.852;

DefinitionPtr position_definition() {
  return Definition::make(
             {.group = "gps",
              .time_base = TimeBase::kUtc,
              .channels = {{"latitude", "deg", StorageType::kF64, 1, 0},
                           {"longitude", "deg", StorageType::kF64, 1, 0},
                           {"speed", "km/h", StorageType::kF64, kKilometresPerNauticalMile, 0},
                           {"course", "deg", StorageType::kF64, 1, 0},
                           {"fix_valid", "", StorageType::kU8, 1, 0}}})
      .take();
}

DefinitionPtr fix_definition() {
  return Definition::make({.group = "gps_fix",
                           .time_base = TimeBase::kUtc,
                           .channels = {{"quality", "", StorageType::kU8, 1, 0},
                                        {"satellites", "", StorageType::kU8, 1, 0},
                                        {"hdop", "", StorageType::kF64, 1, 0},
                                        {"altitude", "m", StorageType::kF64, 1, 0}}})
      .take();
}

template <typename T>
void append_value(std::vector<std::byte>& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

bool has_sentence_start(std::span<const std::byte> bytes) {
  return !bytes.empty() && std::memchr(bytes.data(), '$', bytes.size()) != nullptr;
}

}  // namespace

// Gives a scanner's findings to the decoder.
class NmeaDecoder::SentenceReader final : public NmeaScanner::Listener {
 public:
  SentenceReader(NmeaDecoder& decoder, Connection& at, RecordSink& sink)
      : decoder_(decoder), at_(at), sink_(sink) {}

  void sentence(std::string_view body) override { decoder_.sentence(body, at_, sink_); }
  void refuse(RejectReason reason) override { sink_.reject(reason, 1); }

 private:
  NmeaDecoder& decoder_;
  Connection& at_;
  RecordSink& sink_;
};

NmeaDecoder::NmeaDecoder(std::string car, bool is_stream)
    : car_(std::move(car)), is_stream_(is_stream) {
  position_.definition = position_definition();
  fix_.definition = fix_definition();
}

DecodeOutcome NmeaDecoder::decode(const Message& message, RecordSink& sink) {
  if (message.kind != MessageKind::kData) {
    close(message, sink);
    return DecodeOutcome::kDecoded;
  }
  if (!is_stream_ && !has_sentence_start(message.bytes)) return DecodeOutcome::kMalformed;
  decode_data(message, sink);
  hand_over(position_, message.receive_ns, sink);
  hand_over(fix_, message.receive_ns, sink);
  return DecodeOutcome::kDecoded;
}

NmeaDecoder::Connection& NmeaDecoder::connection(std::uint64_t id) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const Connection& each) { return each.id == id; });
  if (found != connections_.end()) return *found;
  if (connections_.size() >= kConnectionsMax) return homeless_;
  connections_.emplace_back();
  connections_.back().id = id;
  return connections_.back();
}

void NmeaDecoder::decode_data(const Message& message, RecordSink& sink) {
  Connection& at = connection(is_stream_ ? message.connection : 0);
  SentenceReader reader(*this, at, sink);
  at.scanner.feed(message.bytes, reader);
  if (!is_stream_) at.scanner.end(reader);
  if (&at == &homeless_) {
    if (!at.scanner.is_idle()) reader.refuse(RejectReason::kLimit);
    homeless_ = {};
    return;
  }
  ++version_;
}

void NmeaDecoder::close(const Message& message, RecordSink& sink) {
  if (!is_stream_) return;
  const bool is_all = message.kind == MessageKind::kSourceStarted;
  for (Connection& each : connections_) {
    if (!is_all && each.id != message.connection) continue;
    SentenceReader reader(*this, each, sink);
    each.scanner.end(reader);
  }
  version_ += std::erase_if(connections_, [&](const Connection& each) {
    return is_all || each.id == message.connection;
  });
}

void NmeaDecoder::sentence(std::string_view body, Connection& at, RecordSink& sink) {
  const std::string_view type = nmea_type(body);
  if (type == "RMC") {
    const NmeaRmcResult read = parse_rmc(body);
    if (!read.rmc) {
      sink.reject(read.refusal, 1);
      return;
    }
    at.has_date = true;
    at.last_rmc_ns = read.rmc->utc_ns;
    keep(*read.rmc);
  } else if (type == "GGA") {
    const NmeaGgaResult read = parse_gga(body);
    if (!read.gga || !at.has_date) {
      sink.reject(read.gga ? RejectReason::kUnsupported : read.refusal, 1);
      return;
    }
    keep(*read.gga, nearest_moment(read.gga->day_ns, at.last_rmc_ns));
  } else {
    sink.reject(RejectReason::kUnsupported, 1);
  }
}

void NmeaDecoder::keep(const NmeaRmc& rmc) {
  position_.source_ns.push_back(rmc.utc_ns);
  append_value(position_.rows, rmc.latitude);
  append_value(position_.rows, rmc.longitude);
  append_value(position_.rows, rmc.speed_knots);
  append_value(position_.rows, rmc.course);
  append_value(position_.rows, static_cast<std::uint8_t>(rmc.is_valid ? 1 : 0));
}

void NmeaDecoder::keep(const NmeaGga& gga, std::int64_t utc_ns) {
  fix_.source_ns.push_back(utc_ns);
  append_value(fix_.rows, gga.quality);
  append_value(fix_.rows, gga.satellites);
  append_value(fix_.rows, gga.hdop);
  append_value(fix_.rows, gga.altitude_m);
}

void NmeaDecoder::hand_over(Group& group, std::int64_t receive_ns, RecordSink& sink) {
  if (group.source_ns.empty()) return;
  sink.rows(RowBlock{.car = car_,
                     .definition = &group.definition,
                     .count = group.source_ns.size(),
                     .source_ns = group.source_ns,
                     .receive_ns = receive_ns,
                     .rows = group.rows});
  group.source_ns.clear();
  group.rows.clear();
}

std::string NmeaDecoder::save() const {
  if (connections_.empty()) return {};
  StateWriter out;
  out.put(kNmeaStateFormat);
  out.put(static_cast<std::uint8_t>(connections_.size()));
  for (const Connection& each : connections_) {
    out.put(each.id);
    out.put(static_cast<std::uint8_t>(each.has_date ? 1 : 0));
    out.put(each.last_rmc_ns);
    out.put(each.scanner.state());
    out.text(has_mutant(Mutant::kPartialLineForgotten) ? std::string_view() : each.scanner.begun());
  }
  return out.take();
}

Status NmeaDecoder::load(std::string_view state) {
  if (state.empty()) return {};
  const auto corrupt = [](const char* what) {
    return Status(Code::kCorrupt, std::string("nmea state: ") + what);
  };
  StateReader in(state);
  if (in.get<std::uint8_t>() != kNmeaStateFormat) return corrupt("unknown format");
  std::vector<Connection> connections(in.get<std::uint8_t>());
  if (connections.size() > kConnectionsMax) return corrupt("too many connections");
  for (Connection& each : connections) {
    each.id = in.get<std::uint64_t>();
    const auto has_date = in.get<std::uint8_t>();
    each.has_date = has_date == 1;
    each.last_rmc_ns = in.get<std::int64_t>();
    const auto scanner_state = in.get<std::uint8_t>();
    const std::string_view begun = in.text();
    if (in.is_short()) return corrupt("it ends in a connection");
    if (has_date > 1 || std::abs(each.last_rmc_ns / kDayNs) > 100'000 ||
        !each.scanner.restore(scanner_state, begun)) {
      return corrupt("a connection is not one");
    }
  }
  if (!in.is_done()) return corrupt("wrong length");
  connections_ = std::move(connections);
  return {};
}

}  // namespace pitbox
