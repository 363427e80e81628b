// CanDecoder: frames of a CAN bus to records of one car, by a Dbc. A message is one frame (see
// can_frame.h); its time is the message's, there is no source time.
//
//   group "can.<message>"              the signals that are always there
//   group "can.<message>.<mux>=<k>"    those that are there with these values of a multiplexer
//   group "can.raw", "can.raw_fd"      frames that the groups above do not, or not wholly, say
//   group "can.error"                  the bus's error frames: class, data
//
// A channel is a signal: its raw integer (its own bits, if it is a float) in the smallest type that
// holds it, with the Dbc's factor and offset. Each signal is in one group, and each row has all of
// its group's signals; a frame gives a row to every group of its message that applies.
//
// Nothing of a frame is lost: where the groups do not say all that the Dbc means by it, the frame
// itself is kept besides, with the reason (CanRawReason). So a message that is decoded by a better
// Dbc one day was there all the time. Bytes that are no frame are malformed.
//
// Group names are unique: a second message of a name, or one of a long name, is called by its
// identifier (ingest/can_groups.h).
//
// How it works: everything is laid out at construction. A signal is a load of 8 bytes (and of a
// ninth, of signals that lie across 9), two shifts and a store. No memory is taken per frame.
// Without state.
//
// Threads: the recorder's.

#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "ingest/can_frame.h"
#include "ingest/can_groups.h"
#include "ingest/dbc.h"

namespace pitbox {

class CanDecoder final : public Decoder {
 public:
  // REQUIRES: `car` is 1..kMaxNameBytes of plain text; `dbc` is from parse_dbc(), or is empty: then
  // all frames are kept as they are.
  CanDecoder(std::string car, const Dbc& dbc);

  DecodeOutcome decode(const Message& message, RecordSink& sink) override;
  std::string save() const override { return {}; }
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override { return 0; }

 private:
  // A frame's data, and zeros behind it so that 9 bytes can be read at any of its bytes.
  using Data = std::array<std::byte, kCanDataBytesMax + 9>;

  // Returns the reasons (CanRawReason) why its rows do not say everything.
  std::uint8_t decode_groups(const CanMessagePlan& plan, const CanFrame& frame,
                             std::int64_t receive_ns, RecordSink& sink);
  bool decode_group(const CanGroupPlan& plan, const CanFrame& frame, const Data& data,
                    std::int64_t receive_ns, RecordSink& sink);
  void keep_raw(const CanFrame& frame, std::uint8_t reasons, std::int64_t receive_ns,
                RecordSink& sink);
  void keep_error(const CanFrame& frame, std::int64_t receive_ns, RecordSink& sink);
  void hand_over(const DefinitionPtr& definition, std::int64_t receive_ns, RecordSink& sink);

  // Constant after construction.
  const std::string car_;
  const CanPlan plan_;

  // Of the frame at hand.
  std::vector<std::byte> row_;
  std::vector<std::uint8_t> is_decoded_;  // By group of the message.
};

}  // namespace pitbox
