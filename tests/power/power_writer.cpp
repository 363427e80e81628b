#include "tests/power/power_writer.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "buffer/recorder.h"
#include "buffer/ring.h"
#include "buffer/runner.h"
#include "buffer/session_store.h"
#include "ingest/decoders.h"
#include "tests/torture/numbered_records.h"

namespace pitbox {
namespace {

constexpr std::chrono::milliseconds kDatagramEvery{10};
constexpr std::uint32_t kSessionDatagrams = 40;
constexpr int kWriterFailed = 3;

// The machine's time, but another boot in each life.
class LifeClock final : public Clock {
 public:
  explicit LifeClock(std::uint32_t life) : life_(life) {}
  BootNs boot_now() const override { return system_clock().boot_now(); }
  WallNs wall_now() const override { return system_clock().wall_now(); }
  std::string boot_id() const override {
    char text[40];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-000000000000", life_);
    return text;
  }

 private:
  const std::uint32_t life_;
};

// The recorder, and what of its work is to be confirmed.
class ConfirmingRecorder {
 public:
  ConfirmingRecorder(std::unique_ptr<Recorder> recorder, PowerWitness& witness)
      : recorder_(std::move(recorder)), witness_(witness) {
    const auto opened = recorder_->snapshot().get();
    journaled_before_ = opened->conservation.records.journaled;
  }

  // The recorder's thread: writes down what was confirmed after the step in which it was.
  std::size_t step(BootNs now) {
    const std::size_t done = recorder_->step(now);
    const auto snapshot = recorder_->snapshot().get();
    const std::uint32_t count = witness_.confirmed;
    const bool is_news =
        snapshot->incarnation != incarnation_ || snapshot->last_sequence != sequence_;
    const bool is_open = snapshot->incarnation != 0;
    if (!is_open || !is_news || count == PowerWitness::kConfirmationsMax) return done;
    incarnation_ = snapshot->incarnation;
    sequence_ = snapshot->last_sequence;
    PowerWitness::Confirmation& confirmation = witness_.confirmations[count];
    confirmation.incarnation = incarnation_;
    confirmation.sequence = sequence_;
    // A session that began in this life counts from nothing, on top of those that ended.
    const std::uint64_t ended = records_ended_;
    const std::uint64_t journaled = snapshot->conservation.records.journaled;
    confirmation.records = ended > 0 ? ended + journaled : journaled - journaled_before_;
    confirmation.at_ns = system_clock().boot_now();
    witness_.confirmed = count + 1;
    return done;
  }
  BootNs next_deadline() const { return recorder_->next_deadline(); }

  // The cars' thread: ends the session, while nothing is heard. `records` were heard in this life.
  void end_session(std::uint64_t records, Runner& runner) {
    auto answer = recorder_->submit(EndSession{});
    runner.wake();
    if (answer.get().status.ok()) records_ended_ = records;
  }

 private:
  const std::unique_ptr<Recorder> recorder_;
  PowerWitness& witness_;
  std::uint64_t journaled_before_ = 0;           // By earlier lives, in the session they left open.
  std::atomic<std::uint64_t> records_ended_{0};  // Of this life, in sessions that ended. Cars'.
  std::uint64_t incarnation_ = 0;
  std::uint64_t sequence_ = 0;
};

Result<std::unique_ptr<Recorder>> open_recorder(const PowerWriterOptions& options,
                                                MessageRing& ring, const Clock& clock) {
  auto store = SessionStore::open(options.state_directory, Journal::Options{});
  if (!store.ok()) return store.status();
  Recorder::Parts parts;
  parts.store = std::move(store).take();
  parts.sources.push_back({.name = "cars", .ring = &ring, .make_decoder = [] {
                             return make_decoder("native", {}).take();
                           }});
  parts.clock = &clock;
  Recorder::Options recorder;
  recorder.publish_interval = std::chrono::nanoseconds(0);  // So that no commit goes unwitnessed.
  if (options.checkpoints_early) recorder.wal_bytes_target = std::size_t{256} << 10;
  return Recorder::open(recorder, std::move(parts), clock.boot_now());
}

Status hear(MessageRing& ring, const std::string& datagram) {
  const auto bytes = std::as_bytes(std::span(datagram.data(), datagram.size()));
  return ring.publish(1, system_clock().boot_now(), bytes);
}

// The cars. A full ring is what it is when the disk takes nothing: the datagram comes again.
void hear_until_full(const PowerWriterOptions& options, MessageRing& ring,
                     ConfirmingRecorder& recorder, Runner& runner, PowerWitness& witness) {
  NumberedDatagrams datagrams(options.life);
  CHECK(hear(ring, datagrams.announcement()).ok());
  auto next = std::chrono::steady_clock::now();
  while (witness.heard < PowerWitness::kDatagramsMax) {
    const std::uint32_t count = witness.heard;
    const std::string datagram = datagrams.from(options.first_number + count * kNumberedRecords);
    witness.heard_ns[count] = system_clock().boot_now();
    while (!hear(ring, datagram).ok()) std::this_thread::sleep_for(kDatagramEvery);
    witness.heard = count + 1;
    runner.wake();
    if (options.ends_sessions && (count + 1) % kSessionDatagrams == 0) {
      recorder.end_session((count + 1) * kNumberedRecords, runner);
    }
    next += kDatagramEvery;
    std::this_thread::sleep_until(next);
  }
}

}  // namespace

int write_until_killed(const PowerWriterOptions& options, PowerWitness& witness) {
  const LifeClock clock(options.life);
  auto ring = MessageRing::open({.file = options.ring_file});
  if (!ring.ok()) {
    spdlog::error("writer: {}", ring.status().message());
    return kWriterFailed;
  }
  auto recorder = open_recorder(options, *ring.value(), clock);
  if (!recorder.ok()) {
    spdlog::error("writer: {}", recorder.status().message());
    return kWriterFailed;
  }
  ConfirmingRecorder confirming(std::move(recorder).take(), witness);
  Runner runner("recorder", clock,
                {.step = [&](BootNs now) { return confirming.step(now); },
                 .next_deadline = [&] { return confirming.next_deadline(); }});
  runner.start();
  hear_until_full(options, *ring.value(), confirming, runner, witness);
  return kWriterFailed;
}

}  // namespace pitbox
