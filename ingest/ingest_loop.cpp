#include "ingest/ingest_loop.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <set>
#include <thread>
#include <utility>

#include "ingest/asio.h"
#include "ingest/tcp_source.h"
#include "ingest/udp_source.h"
#include "proto/check.h"

namespace pitbox {

struct IngestLoop::State {
  boost::asio::io_context io{1};  // One thread runs it: Asio wakes no others.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work =
      boost::asio::make_work_guard(io);
  std::vector<std::unique_ptr<Source>> sources;  // After io: they must go first.
  std::thread thread;
};

namespace {

Result<std::unique_ptr<Source>> open_source(boost::asio::io_context& io,
                                            const SourceOptions& options,
                                            const Source::OnPublished& on_published) {
  if (options.kind == SourceKind::kTcp) {
    auto source = TcpSource::open(io, options, on_published);
    if (!source.ok()) return source.status();
    return std::unique_ptr<Source>(std::move(source).take());
  }
  auto source = UdpSource::open(io, options, on_published);
  if (!source.ok()) return source.status();
  return std::unique_ptr<Source>(std::move(source).take());
}

void tell_what_was_found(Source& source) {
  const SourceStatus status = source.status();
  if (!status.ring_set_aside.empty()) {
    spdlog::warn("source {}: ring set aside as {}", status.name, status.ring_set_aside);
  }
  spdlog::info("source {}: {} {}, {} heard, {} recovered, receive buffer {} KiB", status.name,
               to_string(status.kind), status.endpoint, status.heard, status.recovered,
               status.receive_buffer_bytes / 1024);
}

}  // namespace

Result<std::unique_ptr<IngestLoop>> IngestLoop::open(const Options& options) {
  auto state = std::make_unique<State>();
  std::set<std::string> names;
  for (const SourceOptions& source_options : options.sources) {
    if (source_options.name.empty() || !names.insert(source_options.name).second) {
      return Status(Code::kRejected, "every source needs a name of its own");
    }
    auto source = open_source(state->io, source_options, options.on_published);
    if (!source.ok()) return Status(source.status()).within("source " + source_options.name);
    tell_what_was_found(*source.value());
    state->sources.push_back(std::move(source).take());
  }
  return std::unique_ptr<IngestLoop>(new IngestLoop(std::move(state)));
}

IngestLoop::IngestLoop(std::unique_ptr<State> state) : state_(std::move(state)) {}

IngestLoop::~IngestLoop() {
  stop();
}

void IngestLoop::start() {
  CHECK(!state_->thread.joinable() && !state_->io.stopped());
  for (const auto& source : state_->sources) source->start();
  state_->thread = std::thread([this] {
    pthread_setname_np(pthread_self(), "ingest");
    state_->io.run();
  });
}

void IngestLoop::stop() {
  state_->io.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

std::size_t IngestLoop::source_count() const {
  return state_->sources.size();
}
const std::string& IngestLoop::source_name(std::size_t index) const {
  return state_->sources.at(index)->name();
}
MessageRing& IngestLoop::ring(std::size_t index) {
  return state_->sources.at(index)->ring();
}
std::uint16_t IngestLoop::port(std::size_t index) const {
  return state_->sources.at(index)->port();
}

std::vector<SourceStatus> IngestLoop::statuses() const {
  std::vector<SourceStatus> statuses;
  for (const auto& source : state_->sources) statuses.push_back(source->status());
  return statuses;
}

}  // namespace pitbox
