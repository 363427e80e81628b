#include "apps/bench/codec_bench.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/bench/size_bound.h"
#include "apps/bench/stopwatch.h"
#include "buffer/block.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

constexpr std::array kLengths = {0.05, 0.1, 0.2, 1.0, 10.0, 60.0};
constexpr double kRoundsS = 1;  // Rounds over a recording go on for so long...
constexpr int kRoundsMin = 3;   // ...but are at least so many.

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class CodecRun {
 public:
  CodecRun(const CarRecording& recording, const CodecBenchOptions& options)
      : recording_(recording), options_(options) {}

  Result<CodecFigures> run() {
    figures_.car = recording_.name;
    figures_.seconds = recording_.seconds;
    figures_.samples = recording_.samples;
    for (const double length : kLengths) {
      // A length that cuts nothing says the same as the one before.
      const bool is_whole = length >= recording_.seconds;
      if (Status measured = measure(std::min(length, recording_.seconds)); !measured.ok()) {
        return measured;
      }
      if (is_whole) break;
    }
    if (Status bounded = bound(); !bounded.ok()) return bounded;
    return figures_;
  }

 private:
  Status tell(const std::string& what) const {
    if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
    if (options_.progress) options_.progress(what);
    return {};
  }

  Status measure(double length_s) {
    std::array<char, 64> what{};
    std::snprintf(what.data(), what.size(), "batches of %g s", length_s);
    if (Status told = tell(what.data()); !told.ok()) return told;
    batches_.clear();
    encoded_.clear();
    const auto length_ns = static_cast<std::int64_t>(std::ceil(length_s * 1e9));
    const auto end_ns = static_cast<std::int64_t>(std::ceil(recording_.seconds * 1e9));
    for (std::int64_t from = 0; from < end_ns; from += length_ns) {
      auto groups = recording_.slice(from, from + length_ns);
      if (!groups.empty()) batches_.push_back(std::move(groups));
    }
    if (Status kept = encode_and_check(); !kept.ok()) return kept;
    CodecFigures::ByLength figure{.batch_s = length_s, .batches = batches_.size()};
    figure.encoded_per_second = rate([&] {
      for (const auto& groups : batches_) encode_batch("1", groups, &memory_);
    });
    figure.decoded_per_second = rate([&] {
      for (const EncodedBatch& batch : encoded_) {
        static_cast<void>(decode_batch("1", batch.blob, lookup_));
      }
    });
    std::size_t bytes = 0;
    for (const EncodedBatch& batch : encoded_) bytes += batch.blob.size();
    figure.bytes_per_sample = per_sample(bytes);
    figures_.lengths.push_back(figure);
    return length_s == CodecFigures::kMergedS ? merge() : Status();
  }

  // As the journal does it with the laps that the room has.
  Status merge() {
    if (Status told = tell("blocks"); !told.ok()) return told;
    merged_bytes_ = 0;
    BlockBuilder builder("1");
    for (std::size_t i = 0; i < encoded_.size(); ++i) {
      const auto decoded = decode_batch("1", encoded_[i].blob, lookup_);
      if (!decoded.ok()) return decoded.status();
      const auto add = [&] { return builder.add(i + 1, encoded_[i].blob.size(), decoded.value()); };
      if (add()) continue;
      if (Status checked = take_block(builder); !checked.ok()) return checked;
      if (!add()) return {Code::kRejected, "a batch that fits no block: no figure"};
    }
    if (Status checked = take_block(builder); !checked.ok()) return checked;
    figures_.merged_bytes_per_sample = per_sample(merged_bytes_);
    return {};
  }

  Status take_block(BlockBuilder& builder) {
    const auto block = builder.finish();
    if (!block) return {Code::kRejected, "a block that saves nothing: no figure"};
    ++figures_.blocks;
    merged_bytes_ += block->blob.size();
    BlockExpander expander(
        [&](std::uint64_t, const std::string&) { return Result<std::string>(block->blob); },
        lookup_);
    for (const NewBlock::Member& member : block->members) {
      merged_bytes_ += member.reference.size();
      StoredEntry entry;
      entry.first = entry.last = member.sequence;
      entry.car = "1";
      const EncodedBatch& batch = encoded_[member.sequence - 1];
      entry.hashes = {batch.hash};
      for (const auto& definition : batch.definitions) {
        entry.definitions.push_back(definition->prefix());
      }
      entry.bytes = member.reference;
      if (Status expanded = expander.expand(entry); !expanded.ok()) return expanded;
    }
    return {};
  }

  Status encode_and_check() {
    for (const auto& groups : batches_) {
      encoded_.push_back(encode_batch("1", groups, &memory_));
      const EncodedBatch& batch = encoded_.back();
      const auto decoded = decode_batch("1", batch.blob, lookup_);
      if (!decoded.ok()) return decoded.status();
      if (decoded.value().hash != batch.hash || decoded.value().samples != batch.samples) {
        return {Code::kRejected, "a batch does not come back as it was: no figure"};
      }
    }
    return {};
  }

  double rate(const std::function<void()>& round) const {
    std::vector<double> took;
    const Stopwatch all;
    while (std::ssize(took) < kRoundsMin || all.seconds() < kRoundsS) {
      const Stopwatch watch;
      round();
      took.push_back(watch.seconds());
    }
    return static_cast<double>(recording_.samples) / median(std::move(took));
  }

  double per_sample(std::size_t bytes) const {
    return static_cast<double>(bytes) / static_cast<double>(recording_.samples);
  }

  // What the values alone take, by means that know nothing of them.
  Status bound() {
    const std::string columns = recording_.columns();
    figures_.raw_bytes_per_sample = per_sample(columns.size());
    if (Status told = tell("zstd and xz, for comparison"); !told.ok()) return told;
    std::vector<char> out(ZSTD_compressBound(columns.size()));
    const std::size_t packed =
        ZSTD_compress(out.data(), out.size(), columns.data(), columns.size(), 1);
    if (ZSTD_isError(packed) != 0) return {Code::kFatal, "zstd failed"};
    figures_.zstd_bytes_per_sample = per_sample(packed);
    const SizeBound bound{.folder = options_.folder, .should_stop = options_.should_stop};
    const auto bounds = bound.measure(recording_);
    if (!bounds.ok()) return bounds.status();
    figures_.xz_bytes_per_sample = per_sample(bounds.value().least());
    figures_.xz_of_values_bytes_per_sample = per_sample(bounds.value().values);
    return {};
  }

  const CarRecording& recording_;
  const CodecBenchOptions& options_;
  const DefinitionLookup lookup_ = [this](std::uint64_t prefix) -> DefinitionPtr {
    for (const GroupRows& group : recording_.groups) {
      if (group.definition->prefix() == prefix) return group.definition;
    }
    return nullptr;
  };
  std::vector<std::vector<GroupRows>> batches_;
  std::vector<EncodedBatch> encoded_;
  BatchMemory memory_;
  std::size_t merged_bytes_ = 0;
  CodecFigures figures_;
};

}  // namespace

Result<CodecFigures> measure_codec(const CarRecording& recording,
                                   const CodecBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(recording);
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  return CodecRun(recording, options).run();
#endif
}

std::string to_json(const CodecFigures& figures) {
  ordered_json lengths = ordered_json::array();
  for (const CodecFigures::ByLength& each : figures.lengths) {
    lengths.push_back({{"batch_s", each.batch_s},
                       {"batches", each.batches},
                       {"encoded_per_second", each.encoded_per_second},
                       {"decoded_per_second", each.decoded_per_second},
                       {"bytes_per_sample", each.bytes_per_sample}});
  }
  ordered_json json = {{"car", figures.car},
                       {"seconds", figures.seconds},
                       {"samples", figures.samples},
                       {"batches", lengths},
                       {"blocks", figures.blocks},
                       {"merged_bytes_per_sample", figures.merged_bytes_per_sample},
                       {"raw_bytes_per_sample", figures.raw_bytes_per_sample},
                       {"zstd_bytes_per_sample", figures.zstd_bytes_per_sample}};
  if (figures.xz_bytes_per_sample > 0) {
    json["xz_bytes_per_sample"] = figures.xz_bytes_per_sample;
    json["xz_of_values_bytes_per_sample"] = figures.xz_of_values_bytes_per_sample;
  }
  return json.dump(2);
}

std::string to_table(const CodecFigures& figures) {
  std::string text;
  const auto line = [&](const char* format, auto... values) {
    std::array<char, 200> whole{};
    std::snprintf(whole.data(), whole.size(), format, values...);
    text += whole.data();
  };
  line("%s: %.1f s, %llu samples, on one core\n", figures.car.c_str(), figures.seconds,
       static_cast<unsigned long long>(figures.samples));
  line("%10s %10s %12s %12s %14s %12s\n", "batch", "batches", "encode M/s", "decode M/s",
       "bytes/sample", "of the bound");
  for (const CodecFigures::ByLength& each : figures.lengths) {
    line("%8.2f s %10zu %12.1f %12.1f %14.3f", each.batch_s, each.batches,
         each.encoded_per_second / 1e6, each.decoded_per_second / 1e6, each.bytes_per_sample);
    if (figures.xz_bytes_per_sample > 0) {
      line(" %12.3f", each.bytes_per_sample / figures.xz_bytes_per_sample);
    }
    text += '\n';
  }
  if (figures.blocks > 0) {
    line("%8.2f s merged into %4zu blocks, references included: %8.3f", CodecFigures::kMergedS,
         figures.blocks, figures.merged_bytes_per_sample);
    if (figures.xz_bytes_per_sample > 0) {
      line(" %12.3f", figures.merged_bytes_per_sample / figures.xz_bytes_per_sample);
    }
    text += '\n';
  }
  line("the values alone: raw %.3f bytes/sample, zstd 1 %.3f", figures.raw_bytes_per_sample,
       figures.zstd_bytes_per_sample);
  if (figures.xz_bytes_per_sample > 0) {
    line(", xz -9e %.3f, in its best order %.3f (the bound)\n",
         figures.xz_of_values_bytes_per_sample, figures.xz_bytes_per_sample);
  } else {
    text += "; no bound: xz is not installed\n";
  }
  return text;
}

}  // namespace pitbox
