// One zstd frame with its content size: the one door to zstd in this module.
//
// Contexts are kept per thread, because making one costs more than a small batch does.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

// Level 1: above it the ratio hardly improves and the speed falls (columns are already coded).
std::string zstd_compress(std::string_view content);

// kCorrupt unless `frame` is exactly one frame that names its content size, the size is at most
// `max_bytes`, and the content is that long. Memory is taken only after the size was checked.
Result<std::string> zstd_decompress(std::string_view frame, std::size_t max_bytes);

}  // namespace pitbox
