// Claim: a car of 300 channels and 132,600 samples/s, integers from 12-bit converters for the most
// part, is encoded in 100 ms batches at 100 M samples/s on one core and takes at most 1.1 bytes per
// sample, headers, times and hash included.
//
// Arithmetic: 120 channels at 1 kHz, 120 at 100 Hz, 60 at 10 Hz = 132,600 samples/s; noise of +-2
// steps alone is 2.3 bits a sample, its difference 3; a row's receive time is 20 to 30 bits. At 22
// M samples/s (a whole grid) encoding may take a fifth of a core: 10 ns a sample.
//
// "mixed" has floats on decimal grids and full floats in place of a third of the integers.
// Every batch is decoded and compared with what was encoded before anything is measured.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "proto/batch.h"

namespace pitbox {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

enum class Signal { kConverter, kCounter, kFlag, kDecimal, kFullFloat };

struct Car {
  std::vector<DefinitionPtr> definitions;
  std::vector<std::vector<Signal>> signals;
  std::vector<std::int64_t> period_ns;
};

StorageType type_of(Signal signal) {
  switch (signal) {
    case Signal::kConverter:
      return StorageType::kI16;
    case Signal::kCounter:
      return StorageType::kU32;
    case Signal::kFlag:
      return StorageType::kU8;
    case Signal::kDecimal:
    case Signal::kFullFloat:
      return StorageType::kF32;
  }
  std::abort();
}

Signal signal_at(std::size_t channel, bool mixed) {
  if (mixed && channel % 6 == 1) return Signal::kDecimal;
  if (mixed && channel % 6 == 3) return Signal::kFullFloat;
  if (channel % 12 == 5) return Signal::kCounter;
  return channel % 12 == 11 ? Signal::kFlag : Signal::kConverter;
}

Car make_car(bool mixed) {
  Car car;
  const std::pair<std::size_t, std::int64_t> groups[] = {{120, 1000}, {120, 100}, {60, 10}};
  for (const auto& [channels, rate] : groups) {
    ChannelGroup group{std::to_string(rate) + " Hz", TimeBase::kCar, {}};
    std::vector<Signal> signals;
    for (std::size_t c = 0; c < channels; ++c) {
      signals.push_back(signal_at(c, mixed));
      group.channels.push_back({"ch" + std::to_string(c), "", type_of(signals.back()), 1.0, 0.0});
    }
    car.definitions.push_back(Definition::make(std::move(group)).take());
    car.signals.push_back(std::move(signals));
    car.period_ns.push_back(kSecond / rate);
  }
  return car;
}

template <typename Value>
void put(std::vector<std::byte>& row, Value value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  row.insert(row.end(), bytes, bytes + sizeof value);
}

// A channel's value at a time: slow curves of its own period, noise as its kind has it.
void put_sample(std::vector<std::byte>& row, Signal signal, std::size_t channel, double seconds,
                std::mt19937& random) {
  const double pace = 0.2 + static_cast<double>(channel % 17) * 0.15;
  const double curve = std::sin(seconds * pace + static_cast<double>(channel));
  const double noise = static_cast<double>(random() % 5) - 2.0;
  switch (signal) {
    case Signal::kConverter:
      return put(row, static_cast<std::int16_t>(std::lround(2048 + 1500 * curve + noise)));
    case Signal::kCounter:
      return put(row, static_cast<std::uint32_t>(seconds * 1000));
    case Signal::kFlag:
      return put(row, static_cast<std::uint8_t>(curve > 0.5));
    case Signal::kDecimal:
      return put(row, static_cast<float>(std::round(900 * curve + noise) / 10));
    case Signal::kFullFloat:
      return put(row, static_cast<float>(50 * curve + 0.01 * noise +
                                         1e-4 * static_cast<double>(random() % 97)));
  }
}

// What the car sent in `length_ns` from `start_ns` on; one datagram a millisecond with everything
// that was due.
std::vector<GroupRows> make_groups(const Car& car, std::int64_t start_ns, std::int64_t length_ns) {
  std::mt19937 random(static_cast<std::uint32_t>(start_ns / 1000));
  std::vector<GroupRows> groups;
  for (std::size_t g = 0; g < car.definitions.size(); ++g) {
    GroupRows group;
    group.definition = car.definitions[g];
    for (std::int64_t t = start_ns; t < start_ns + length_ns; t += car.period_ns[g]) {
      group.source_ns.push_back(t);
      group.receive_ns.push_back(77 * kSecond + t + static_cast<std::int64_t>(random() % 90'000));
      for (std::size_t c = 0; c < car.signals[g].size(); ++c) {
        put_sample(group.rows, car.signals[g][c], c, static_cast<double>(t) * 1e-9, random);
      }
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

struct Recording {
  std::vector<std::vector<GroupRows>> batches;
  std::vector<EncodedBatch> encoded;
  double samples = 0;
  double bytes = 0;
  DefinitionLookup lookup;
};

bool is_same(const std::vector<GroupRows>& sent, const DecodedBatch& kept) {
  for (const GroupColumns& group : kept.groups) {
    const GroupRows* rows = nullptr;
    for (const GroupRows& each : sent) {
      if (each.definition == group.definition) rows = &each;
    }
    if (rows == nullptr || rows->receive_ns != group.receive_ns) return false;
    if (rows->source_ns != group.source_ns) return false;
    const std::size_t row_bytes = group.definition->row_bytes();
    for (std::size_t c = 0; c < group.columns.size(); ++c) {
      const std::size_t width = width_of(group.definition->channels()[c].type);
      for (std::size_t r = 0; r < group.row_count(); ++r) {
        const std::byte* from =
            rows->rows.data() + r * row_bytes + group.definition->column_offset(c);
        if (std::memcmp(from, group.columns[c].data() + r * width, width) != 0) return false;
      }
    }
  }
  return kept.groups.size() == sent.size();
}

// Ten seconds of the car. Stops the program if one batch does not come back.
Recording record(bool mixed, std::int64_t batch_ms) {
  const Car car = make_car(mixed);
  Recording recording;
  recording.lookup = [definitions = car.definitions](std::uint64_t prefix) -> DefinitionPtr {
    for (const DefinitionPtr& definition : definitions) {
      if (definition->prefix() == prefix) return definition;
    }
    return nullptr;
  };
  const std::int64_t length_ns = batch_ms * 1'000'000;
  for (std::int64_t start = 0; start < 10 * kSecond; start += length_ns) {
    auto groups = make_groups(car, start, length_ns);
    EncodedBatch encoded = encode_batch("27", groups);
    const auto decoded = decode_batch("27", encoded.blob, recording.lookup);
    if (!decoded.ok() || decoded.value().hash != encoded.hash ||
        !is_same(groups, decoded.value())) {
      std::fprintf(stderr, "a batch does not come back: no figures\n");
      std::abort();
    }
    recording.samples += static_cast<double>(encoded.samples);
    recording.bytes += static_cast<double>(encoded.blob.size());
    recording.batches.push_back(std::move(groups));
    recording.encoded.push_back(std::move(encoded));
  }
  return recording;
}

void report_codec(benchmark::State& state, const Recording& recording) {
  state.counters["samples/s"] =
      benchmark::Counter(recording.samples, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["bytes/sample"] = recording.bytes / recording.samples;
}

void encode(benchmark::State& state, bool mixed) {
  const Recording recording = record(mixed, state.range(0));
  BatchMemory memory;
  for (auto _ : state) {
    for (const auto& groups : recording.batches) {
      benchmark::DoNotOptimize(encode_batch("27", groups, &memory).blob.size());
    }
  }
  report_codec(state, recording);
}

void decode(benchmark::State& state, bool mixed) {
  const Recording recording = record(mixed, state.range(0));
  for (auto _ : state) {
    for (const EncodedBatch& batch : recording.encoded) {
      benchmark::DoNotOptimize(decode_batch("27", batch.blob, recording.lookup).value().rows);
    }
  }
  report_codec(state, recording);
}

BENCHMARK_CAPTURE(encode, integer_car, false)->ArgName("ms")->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(decode, integer_car, false)->ArgName("ms")->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(encode, mixed_car, true)->ArgName("ms")->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(decode, mixed_car, true)->ArgName("ms")->Arg(100)->Arg(1000);

}  // namespace
}  // namespace pitbox

BENCHMARK_MAIN();
