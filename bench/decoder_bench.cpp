// Claim: the f1 decoder makes at least 20 M samples/s on one core. A game at 60 Hz with 22 cars
// sends about 0.15 M/s, so decoding is lost in the noise beside the journal's coding (30 M/s);
// 20 M/s keeps it below that for whoever replays recordings as fast as he can read them.
//
// A frame is the three packets that make most of the bytes: Motion, LapData and CarTelemetry, of
// 20 cars in 22 slots (22 in 24 in the 2026 format), all values random. What a sink does with rows
// is not counted: it looks at a byte of each. A decoder that takes memory in the steady state
// reports nothing.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "ingest/f1_decoder.h"
#include "proto/check.h"
#include "tests/ingest/f1_datagrams.h"
#include "tests/ingest/record_collector.h"

namespace {
std::uint64_t memory_taken = 0;
}  // namespace

// Not inlined: g++ would see new and free, and take them for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++memory_taken;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace pitbox {
namespace {

constexpr std::size_t kFrames = 64;  // 256 KiB of datagrams: they do not lie in the first cache.

class SampleCount final : public RecordSink {
 public:
  void rows(const RowBlock& block) override {
    samples += block.count * (*block.definition)->channels().size();
    benchmark::DoNotOptimize(block.rows.front());
    benchmark::DoNotOptimize(block.car.data());
  }
  void reject(RejectReason, std::uint64_t records) override { rejected += records; }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}

  std::uint64_t samples = 0;
  std::uint64_t rejected = 0;
};

std::string random_datagram(const F1Head& head, std::mt19937& random) {
  std::string datagram = f1_datagram(head);
  for (char& each : datagram) each = static_cast<char>(random());
  put_head(datagram, head);
  return datagram;
}

std::vector<std::string> frames_of(F1Format format) {
  std::mt19937 random(7);
  std::vector<std::string> datagrams;
  for (std::uint32_t frame = 0; frame < kFrames; ++frame) {
    for (const std::uint8_t id : {kF1MotionId, kF1LapDataId, kF1CarTelemetryId}) {
      const F1Head head = {.format = format,
                           .id = id,
                           .session_time = static_cast<float>(frame) / 60,
                           .frame = frame};
      datagrams.push_back(random_datagram(head, random));
      if (id != kF1LapDataId) continue;
      for (std::size_t slot = 0; slot < f1_cars(format); ++slot) {
        const bool is_car = slot + 2 < f1_cars(format);
        put_at(datagrams.back(), f1_place(head, slot, "resultStatus"),
               static_cast<std::uint8_t>(is_car ? 2 : 0));
      }
    }
  }
  return datagrams;
}

void f1_frame(benchmark::State& state) {
  const auto format = static_cast<F1Format>(state.range(0));
  const std::vector<std::string> datagrams = frames_of(format);
  std::vector<Message> messages;
  for (const std::string& each : datagrams) messages.push_back(data_message(each));
  F1Decoder decoder;
  SampleCount sink;
  // The catalogue, and who is there.
  for (const Message& each : messages) CHECK(decoder.decode(each, sink) == DecodeOutcome::kDecoded);
  sink = {};
  const std::uint64_t taken_before = memory_taken;
  std::size_t at = 0;
  for (auto _ : state) {
    for (int packet = 0; packet < 3; ++packet) {
      CHECK(decoder.decode(messages[at++], sink) == DecodeOutcome::kDecoded);
    }
    if (at == messages.size()) at = 0;
  }
  CHECK(sink.rejected == 0 && sink.samples > 0);
  CHECK(memory_taken == taken_before);
  state.SetItemsProcessed(static_cast<std::int64_t>(sink.samples));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(messages[0].bytes.size() +
                                                                         messages[1].bytes.size() +
                                                                         messages[2].bytes.size()));
}
BENCHMARK(f1_frame)->DenseRange(0, static_cast<int>(kF1Formats) - 1);

}  // namespace
}  // namespace pitbox

BENCHMARK_MAIN();
