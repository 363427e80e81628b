// What the codec alone does with a car's samples on one core, by length of batch (docs/bench.md,
// "`bench codec`").
//
// Threads: one; blocks for a few seconds a batch length, and as long as xz takes.

#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/car_recording.h"
#include "proto/status.h"

namespace pitbox {

struct CodecBenchOptions {
  std::filesystem::path folder;  // For what xz reads; exists.
  // What it does just now; may be empty.
  std::function<void(std::string_view)> progress;
  std::function<bool()> should_stop = [] { return false; };
};

struct CodecFigures {
  static constexpr double kMergedS = 0.1;
  struct ByLength {
    double batch_s = 0;
    std::size_t batches = 0;
    double encoded_per_second = 0;  // Samples; the median of several rounds.
    double decoded_per_second = 0;
    double bytes_per_sample = 0;  // Of whole batches: times, headers and hashes of groups included.
  };
  std::string car;
  double seconds = 0;
  std::uint64_t samples = 0;
  std::vector<ByLength> lengths;
  // Batches of kMergedS merged into blocks (buffer/block.h), references included; as much of a lap
  // at once as fits.
  std::size_t blocks = 0;
  double merged_bytes_per_sample = 0;
  double raw_bytes_per_sample = 0;
  double zstd_bytes_per_sample = 0;          // Its values, column after column, through zstd 1...
  double xz_bytes_per_sample = 0;            // The bound, size_bound.h; 0: there is no xz here.
  double xz_of_values_bytes_per_sample = 0;  // Column after column, not knowing the grids.
};

// kRejected, with the reason, if no figure may be printed: a batch did not come back as it was.
Result<CodecFigures> measure_codec(const CarRecording& recording, const CodecBenchOptions& options);

std::string to_json(const CodecFigures& figures);
std::string to_table(const CodecFigures& figures);

}  // namespace pitbox
