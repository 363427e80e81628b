// The decoders by their names in the configuration (`decoder = "native"`).

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "proto/status.h"

namespace pitbox {

struct DecoderOptions {
  // The source is a byte stream (TCP) rather than datagrams.
  bool is_stream = false;
  // The car's number, for formats that do not carry one.
  std::string car = "1";
};

const std::vector<std::string_view>& decoder_names();

// kRejected, naming what is allowed, for a name that is not one or a car that is not 1..128 bytes
// of plain text.
Result<std::unique_ptr<Decoder>> make_decoder(std::string_view name, const DecoderOptions& options);

}  // namespace pitbox
