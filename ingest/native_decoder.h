// NativeDecoder: packets of the native format (NATIVE.md) to records, from datagrams or from
// streams. One rows packet becomes one RowBlock whose rows lie where they were received: nothing is
// done per sample, and no memory is taken in the steady state.
//
// State: what was announced and which packets were seen (native_groups.h), and the packets that
// streams began (native_streams.h): 44 + 20 KiB at most, less a few bytes.
//
// Threads: the recorder's.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "ingest/native_format.h"
#include "ingest/native_groups.h"
#include "ingest/native_streams.h"

namespace pitbox {

class NativeDecoder final : public Decoder {
 public:
  explicit NativeDecoder(bool is_stream) : is_stream_(is_stream) {}

  DecodeOutcome decode(const Message& message, RecordSink& sink) override;
  std::string save() const override;
  Status load(std::string_view state) override;
  std::uint64_t state_version() const override { return version_; }

 private:
  class PacketReader;
  DecodeOutcome decode_datagram(const Message& message, RecordSink& sink);
  void packet(std::span<const std::byte> bytes, std::int64_t receive_ns, RecordSink& sink);
  void announce(const NativeHeader& header, std::span<const std::byte> bytes,
                std::int64_t receive_ns, RecordSink& sink);
  void rows(const NativeHeader& header, std::span<const std::byte> bytes, std::int64_t receive_ns,
            RecordSink& sink);
  // Fills source_ns_. False if a time does not fit 64 bits.
  bool read_times(const NativeRowsHeader& header, const std::byte* offsets);

  const bool is_stream_;
  NativeGroups groups_;
  NativeStreams streams_;
  std::vector<std::int64_t> source_ns_;  // Of the packet at hand; memory used again.
  std::uint64_t version_ = 0;
};

}  // namespace pitbox
