// NmeaDecoder: NMEA 0183 from datagrams or streams to records of one car, whose number the
// configuration gives.
//
//   group "gps"      from RMC: latitude, longitude [deg], speed [km/h], course [deg], fix_valid
//   group "gps_fix"  from GGA: quality, satellites, hdop, altitude [m]
//
// Source time is UTC: of RMC its own date and time; of GGA its time of day on the day that brings
// it nearest to the last RMC. Positions are stored as f64 degrees, computed in one way only:
// degrees + minutes / 60. What a sentence leaves empty is NaN (satellites: 0).
//
// Rejected, one each: a sentence cut short (malformed) or too long (limit), a wrong checksum, bytes
// between sentences (malformed, once a run), a sentence that the end of its stream or of its
// datagram cut off (torn), and as unsupported: other sentences, an RMC without date or time (no fix
// since power-on), a GGA before the first RMC.
//
// A datagram stands alone: sentences are not joined over datagrams, because those of two receivers
// may alternate on one socket, and one wrong join in 256 would pass the checksum. A datagram
// without any `$` is dropped as malformed.
//
// State: for each connection the sentence it began and the last RMC's time; at most kConnectionsMax
// connections. A further one is heard, but what it leaves unfinished is rejected (limit).
//
// Threads: the recorder's.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "ingest/nmea_sentence.h"

namespace pitbox {

class NmeaDecoder final : public Decoder {
 public:
  static constexpr std::size_t kConnectionsMax = 64;

  // REQUIRES: `car` is 1..kMaxNameBytes of plain text.
  NmeaDecoder(std::string car, bool is_stream);

  DecodeOutcome decode(const Message& message, RecordSink& sink) override;
  std::string save() const override;
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override { return version_; }

 private:
  struct Connection {
    std::uint64_t id = 0;
    NmeaScanner scanner;
    bool has_date = false;
    std::int64_t last_rmc_ns = 0;
  };
  // Rows of one group in the message at hand.
  struct Group {
    DefinitionPtr definition;
    std::vector<std::int64_t> source_ns;
    std::vector<std::byte> rows;
  };
  class SentenceReader;

  Connection& connection(std::uint64_t id);
  void decode_data(const Message& message, RecordSink& sink);
  void close(const Message& message, RecordSink& sink);
  void sentence(std::string_view body, Connection& at, RecordSink& sink);
  void keep(const NmeaRmc& rmc);
  void keep(const NmeaGga& gga, std::int64_t utc_ns);
  void hand_over(Group& group, std::int64_t receive_ns, RecordSink& sink);

  const std::string car_;
  const bool is_stream_;
  std::vector<Connection> connections_;  // Datagrams all belong to one, with id 0.
  Connection homeless_;                  // Beyond the limit; as new between calls.
  Group position_;
  Group fix_;
  std::uint64_t version_ = 0;
};

}  // namespace pitbox
