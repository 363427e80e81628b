// F1Decoder: the telemetry datagrams of F1 22, 23, 24, 25 and of the 2026 format to records; what
// becomes which car, group and channel is in docs/f1.md.
//
// A datagram is taken only if it has exactly the size that its format and packet id say; nothing is
// guessed. Values are copied as they were sent. Each record of a car that is in use becomes a row
// (f1_participants.h says which are, and what a car is called); slots that are not in use are
// padding and are skipped. Source time is the header's session time: it starts anew with each
// session and goes back when a player does (flashback). The first header of a session is a row
// too, so that it is known which session and game the rows after it are of.
//
// Rejected, one for each datagram: another size, or a session time that is no time (malformed);
// formats 2018 to 2099 that are not listed above, packet ids and event codes that the format has
// not (unsupported). A datagram shorter than a header, or of a format that no game ever had, is
// dropped as malformed.
//
// State: the session and its participants (f1_participants.h), at most 1,215 bytes; most packets
// leave it as it is. In the steady state no memory is taken.
//
// One decoder is for one game: two games on one port would take the session from each other at
// every packet, and their cars would be `slot-N` most of the time.
//
// Threads: the recorder's.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "buffer/decoder.h"
#include "ingest/f1_catalog.h"
#include "ingest/f1_participants.h"

namespace pitbox {

class F1Decoder final : public Decoder {
 public:
  DecodeOutcome decode(const Message& message, RecordSink& sink) override;
  std::string save() const override { return participants_.save(); }
  Status load(std::string_view state) override { return participants_.load(state); }
  std::uint64_t state_version() const override { return participants_.version(); }

  // By slot: numbers and drivers' names, as far as the session at hand told them.
  std::span<const F1Participant> participants() const { return participants_.all(); }

 private:
  struct Packet {
    const F1Catalog* catalog = nullptr;
    std::span<const std::byte> bytes;
    std::uint8_t id = 0;
    std::uint64_t session_uid = 0;
    std::int64_t session_ns = 0;
    std::uint32_t frame = 0;
    std::uint8_t player = 0;
    std::int64_t receive_ns = 0;
  };

  static bool read_header(Packet& packet);
  void note(const Packet& packet);
  void deliver(const Packet& packet, const F1Part& part, RecordSink& sink);
  bool is_in_use(const Packet& packet, std::size_t slot) const;
  std::string_view car_at(const Packet& packet, std::size_t slot) const;
  static std::byte* copy_row(const Packet& packet, const F1Part& part, std::size_t record,
                             std::byte* out);

  F1Participants participants_;
  // Of the rows at hand.
  std::array<std::int64_t, kF1RowsMax> source_ns_{};
  std::array<std::byte, kF1RowBytesMax> rows_{};
};

}  // namespace pitbox
