#include "apps/pitboxd/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "apps/control/control_server.h"
#include "apps/pitboxd/control_handler.h"
#include "apps/pitboxd/options.h"
#include "apps/pitboxd/status_report.h"
#include "buffer/recorder.h"
#include "buffer/runner.h"
#include "buffer/session_store.h"
#include "ingest/counter_lap_engine.h"
#include "ingest/decoders.h"
#include "ingest/gps_lap_engine.h"
#include "ingest/ingest_loop.h"
#include "ingest/inherited_sockets.h"
#include "ingest/lap_engines.h"
#include "sync/journal_entry_source.h"
#include "sync/link.h"

namespace pitbox {
namespace {

constexpr std::chrono::seconds kSendOnStop{2};

Status make_directory(const std::string& path, const char* key) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return {};
  return {Code::kRejected, path + " (" + key + "): " + error.message()};
}

}  // namespace

// In the order in which they are made; destroyed in the other one.
struct Daemon::Parts {
  Config config;
  std::unique_ptr<IngestLoop> ingest;
  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<Runner> recorder_runner;
  std::unique_ptr<JournalEntrySource> entries;
  std::unique_ptr<Link> link;
  std::thread link_thread;
  ControlCounters control_counters;
  std::unique_ptr<ControlServer> control;

  Status open_ingest();
  Status open_recorder();
  Status open_link();
  Status open_control();
  void start_threads();
  void stop();
  std::string status() const;
  // There is something for it, which can wait as long as a message in its ring.
  void call_recorder() { recorder_runner->wake_within(recorder->patience()); }
};

Status Daemon::Parts::open_ingest() {
  auto taken = take_inherited_sockets();
  if (!taken.ok()) return taken.status();
  std::map<std::string, int> inherited = std::move(taken).take();
  IngestLoop::Options options;
  for (const SourceConfig& source : config.sources) {
    const auto found = inherited.find(source.name);
    const int socket = found == inherited.end() ? -1 : found->second;
    if (found != inherited.end()) inherited.erase(found);
    options.sources.push_back(source_options(config, source, socket));
  }
  for (const auto& [name, descriptor] : inherited) {
    spdlog::warn("a socket named '{}' was handed over, but no source has that name", name);
  }
  options.on_published = [this](Source::Urgency urgency) {
    if (urgency == Source::Urgency::kNow) return recorder_runner->wake();
    call_recorder();
  };
  auto opened = IngestLoop::open(options);
  if (!opened.ok()) return opened.status();
  ingest = std::move(opened).take();
  return {};
}

Status Daemon::Parts::open_recorder() {
  auto store = SessionStore::open(config.state_dir, journal_options(config));
  if (!store.ok()) return store.status();
  Recorder::Parts parts;
  parts.store = std::move(store).take();
  for (std::size_t i = 0; i < ingest->source_count(); ++i) {
    const SourceConfig& source = config.sources[i];
    const DecoderOptions decoder{.is_stream = source.kind == "tcp", .car = source.car};
    // Tried once here, so that a bad option is refused at the start.
    const auto tried = make_decoder(source.decoder, decoder);
    if (!tried.ok()) return Status(tried.status()).within("source '" + source.name + "'");
    parts.sources.push_back({.name = source.name,
                             .ring = &ingest->ring(i),
                             .make_decoder = [name = source.decoder, decoder] {
                               return make_decoder(name, decoder).take();
                             }});
  }
  const auto lines = lap_options(config);
  if (lines) {
    const auto tried = GpsLapEngine::make(*lines);
    if (!tried.ok()) return Status(tried.status()).within("track");
  }
  parts.make_lap_engine = [lines] {
    std::vector<std::unique_ptr<TimedLaps>> engines;
    engines.push_back(std::make_unique<CounterLapEngine>());
    if (lines) engines.push_back(GpsLapEngine::make(*lines).take());
    return std::make_unique<LapEngines>(std::move(engines));
  };
  parts.clock = &system_clock();
  parts.on_published = [this] {
    if (link) link->wake();
  };
  recorder = Recorder::open(recorder_options(config), std::move(parts), system_clock().boot_now());
  recorder_runner = std::make_unique<Runner>(
      "recorder", system_clock(),
      Runner::Work{.step = [this](BootNs now) { return recorder->step(now); },
                   .next_deadline = [this] { return recorder->next_deadline(); }});
  return {};
}

Status Daemon::Parts::open_link() {
  auto options = link_options(config);
  if (!options.ok()) return options.status();
  LinkReports& reports = recorder->link_reports();
  entries = std::make_unique<JournalEntrySource>(&recorder->recent_entries());
  auto created = Link::create(
      options.value(), {.heads = recorder->heads(),
                        .live_values = config.live_view_hz > 0 ? &recorder->live_view() : nullptr,
                        .source = *entries,
                        .reports = {.acknowledged = reports.acknowledged,
                                    .completed = reports.completed,
                                    .seen = reports.seen,
                                    .refused = reports.refused,
                                    .on_report = [this] { call_recorder(); }},
                        .clock = system_clock()});
  if (!created.ok()) return created.status();
  link = std::move(created).take();
  return {};
}

Status Daemon::Parts::open_control() {
  auto handler = std::make_shared<ControlHandler>(
      ControlHandler::Parts{.status = [this] { return status(); },
                            .submit =
                                [this](SessionCommand command) {
                                  auto outcome = recorder->submit(std::move(command));
                                  recorder_runner->wake();
                                  return outcome;
                                },
                            .counters = &control_counters});
  auto started = ControlServer::start(
      std::filesystem::path(config.runtime_dir) / "control.sock",
      [handler](std::string_view request) { return handler->handle(request); }, control_counters);
  if (!started.ok()) return started.status();
  control = std::move(started).take();
  return {};
}

void Daemon::Parts::start_threads() {
  ingest->start();
  recorder_runner->start();
  link_thread = std::thread([this] { link->run(); });
}

// With the data: no more is received, then what is in the rings is journaled, then sent.
void Daemon::Parts::stop() {
  control.reset();
  if (ingest) ingest->stop();
  if (recorder_runner) recorder_runner->stop();
  if (recorder) {
    const Status stopped = recorder->stop(system_clock().boot_now());
    if (!stopped.ok()) spdlog::error("the last commit failed: {}", stopped.message());
  }
  if (link_thread.joinable()) {
    link->stop(kSendOnStop);
    link_thread.join();
  }
}

std::string Daemon::Parts::status() const {
  const auto recorder_now = recorder->snapshot().get();
  const auto link_now = link->snapshot();
  std::vector<SourceReport> sources;
  const auto statuses = ingest->statuses();
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    sources.push_back({.status = statuses[i], .decoder = config.sources[i].decoder});
  }
  return status_report(recorder_now.get(), link_now.get(), sources, control_counters,
                       system_clock());
}

Result<std::unique_ptr<Daemon>> Daemon::start(const Config& config) {
  if (Status made = make_directory(config.state_dir, "state_dir"); !made.ok()) return made;
  if (Status made = make_directory(config.runtime_dir + "/rings", "runtime_dir"); !made.ok()) {
    return made;
  }
  auto parts = std::make_unique<Parts>();
  parts->config = config;
  for (const auto& open :
       {&Parts::open_ingest, &Parts::open_recorder, &Parts::open_link, &Parts::open_control}) {
    if (Status opened = (parts.get()->*open)(); !opened.ok()) return opened;
  }
  parts->start_threads();
  for (const SourceStatus& source : parts->ingest->statuses()) {
    if (!source.ring_set_aside.empty()) spdlog::warn("{}", source.ring_set_aside);
  }
  spdlog::info("journals in {}, room {}", config.state_dir,
               config.room_url.empty() ? "not configured" : config.room_url);
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() {
  parts_->stop();
}

}  // namespace pitbox
