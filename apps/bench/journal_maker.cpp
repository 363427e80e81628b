#include "apps/bench/journal_maker.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "buffer/recorder.h"
#include "buffer/session_store.h"
#include "ingest/decoders.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr BootNs kTickNs = 10 * kNsPerMs;    // The cars' time between two looks of the recorder.
constexpr BootNs kFlushNs = 200 * kNsPerMs;  // After it everything read is committed.
constexpr const char* kSource = "cars";

// The cars' time, in a boot before this one, so that nothing here claims to be younger than now.
class CarClock final : public Clock {
 public:
  CarClock(WallNs began, std::string boot_id) : began_(began), boot_id_(std::move(boot_id)) {}

  BootNs boot_now() const override { return now_; }
  WallNs wall_now() const override { return began_ + now_ - kBooted; }
  std::string boot_id() const override { return boot_id_; }

  void pass(BootNs time) { now_ += time; }
  double seconds() const { return static_cast<double>(now_ - kBooted) * 1e-9; }

 private:
  static constexpr BootNs kBooted = 60'000'000'000;  // A minute before the session.
  const WallNs began_;
  const std::string boot_id_;
  BootNs now_ = kBooted;
};

class JournalMaker {
 public:
  explicit JournalMaker(const JournalMakerOptions& options) : options_(options) {}
  ~JournalMaker() {
    recorder_.reset();
    ring_.reset();
    std::error_code ignored;
    fs::remove(ring_file(), ignored);
  }
  JournalMaker(const JournalMaker&) = delete;
  JournalMaker& operator=(const JournalMaker&) = delete;

  Result<MadeJournal> run() {
    for (const auto step : {&JournalMaker::open, &JournalMaker::begin, &JournalMaker::record}) {
      if (Status status = (this->*step)(); !status.ok()) return status;
    }
    if (Status ended = end(); !ended.ok()) return ended;
    return made_;
  }

 private:
  fs::path ring_file() const {
    return options_.state_directory / ("make-journal-" + std::to_string(getpid()) + ".ring");
  }

  Status open() {
    auto load = Load::make(options_.cars, 1);
    if (!load.ok()) return load.status();
    load_ = std::move(load).take();
    const double batch_bytes_per_s = load_->samples_per_second();  // A byte a sample.
    const auto length =
        static_cast<WallNs>(static_cast<double>(options_.bytes) / batch_bytes_per_s * 1.5e9);
    clock_.emplace(system_clock().wall_now() - length, Uuid::mint().text());

    std::error_code error;
    fs::create_directories(options_.state_directory, error);
    if (error) return {Code::kRejected, options_.state_directory.string() + ": " + error.message()};
    auto ring = MessageRing::open({.file = ring_file()});
    if (!ring.ok()) return ring.status();
    ring_ = std::move(ring).take();
    auto store = SessionStore::open(options_.state_directory, {});
    if (!store.ok()) return store.status();
    Recorder::Parts parts;
    parts.store = std::move(store).take();
    parts.sources.push_back({.name = kSource, .ring = ring_.get(), .make_decoder = [] {
                               return std::move(make_decoder("native", {})).take();
                             }});
    parts.clock = &*clock_;
    recorder_ = Recorder::open({}, std::move(parts), clock_->boot_now());
    if (recorder_->snapshot().get()->state != RecorderState::kIdle) {
      return {Code::kRejected,
              options_.state_directory.string() + ": a session is open there; end it first"};
    }
    return {};
  }

  Status ask(SessionCommand command) {
    auto answer = recorder_->submit(std::move(command));
    step();
    if (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      return {Code::kFatal, "the recorder has not answered"};
    }
    const CommandResult result = answer.get();
    if (result.session) made_.session = result.session->id;
    return result.status;
  }

  void step() {
    while (recorder_->step(clock_->boot_now()) > 0) {
    }
  }

  Status begin() {
    StartSession start;
    start.name = "made by pitbox bench make-journal";
    if (Status started = ask(start); !started.ok()) return started;
    for (const std::string& text : load_->announcements()) {
      Status published = ring_->publish(1, clock_->boot_now(), std::as_bytes(std::span(text)));
      if (!published.ok()) return published;
    }
    step();
    return {};
  }

  Status record() {
    std::int64_t loop_ns = 0;
    std::size_t index = 0;
    const double began = clock_->seconds();
    while (counts().bytes_journaled < options_.bytes) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      clock_->pass(kTickNs);
      const auto now = static_cast<std::int64_t>((clock_->seconds() - began) * 1e9);
      while (loop_ns + load_->due_ns(index) <= now) {
        Status sent = ring_->publish(1, clock_->boot_now(), std::as_bytes(load_->next()));
        if (sent.code() == Code::kFull) {
          step();
          continue;
        }
        if (!sent.ok()) return sent;
        if (++index == load_->size()) {
          index = 0;
          loop_ns += Load::kLoopNs;
        }
      }
      step();
      if (const std::string error = recorder_->snapshot().get()->error; !error.empty()) {
        return {Code::kFatal, error};
      }
      tell();
    }
    return {};
  }

  void tell() const {
    if (!options_.progress) return;
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "%.0f of %.0f MB, %.0f s of the cars' time",
                  static_cast<double>(counts().bytes_journaled) / 1e6,
                  static_cast<double>(options_.bytes) / 1e6, clock_->seconds());
    options_.progress(text.data());
  }

  Conservation counts() const { return recorder_->snapshot().get()->conservation; }

  Status end() {
    clock_->pass(kFlushNs);
    step();  // What waits for its commit.
    const Conservation journaled = counts();
    made_.bytes = journaled.bytes_journaled;
    made_.batches = journaled.batches_journaled;
    made_.samples = journaled.samples_journaled;
    made_.recorded_s = clock_->seconds();
    if (options_.ends_session) {
      if (Status ended = ask(EndSession{}); !ended.ok()) return ended;
    }
    return recorder_->stop(clock_->boot_now());
  }

  const JournalMakerOptions& options_;
  std::optional<Load> load_;
  std::optional<CarClock> clock_;
  std::unique_ptr<MessageRing> ring_;
  std::unique_ptr<Recorder> recorder_;
  MadeJournal made_;
};

}  // namespace

Result<MadeJournal> make_journal(const JournalMakerOptions& options) {
  return JournalMaker(options).run();
}

}  // namespace pitbox
