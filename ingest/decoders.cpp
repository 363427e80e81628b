#include "ingest/decoders.h"

#include "ingest/f1_decoder.h"
#include "ingest/native_decoder.h"
#include "ingest/nmea_decoder.h"
#include "proto/definition.h"
#include "proto/text.h"

namespace pitbox {

const std::vector<std::string_view>& decoder_names() {
  static const std::vector<std::string_view> kNames = {"native", "nmea", "f1"};
  return kNames;
}

Result<std::unique_ptr<Decoder>> make_decoder(std::string_view name,
                                              const DecoderOptions& options) {
  if (options.car.empty() || options.car.size() > kMaxNameBytes || !is_plain_text(options.car)) {
    return Status(Code::kRejected, "a car's number is 1..128 bytes of plain text");
  }
  if (name == "native") {
    return std::unique_ptr<Decoder>(std::make_unique<NativeDecoder>(options.is_stream));
  }
  if (name == "nmea") {
    return std::unique_ptr<Decoder>(std::make_unique<NmeaDecoder>(options.car, options.is_stream));
  }
  if (name == "f1") {
    // Nothing in a stream says where one of its packets ends.
    if (options.is_stream) {
      return Status(Code::kRejected, "f1 is sent as datagrams: kind = \"udp\"");
    }
    return std::unique_ptr<Decoder>(std::make_unique<F1Decoder>());
  }
  return Status(Code::kRejected,
                "no decoder '" + std::string(name) + "'; there are native, nmea, f1");
}

}  // namespace pitbox
