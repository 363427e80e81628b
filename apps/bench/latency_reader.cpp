#include "apps/bench/latency_reader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "buffer/clock.h"
#include "proto/check.h"

namespace pitbox {
namespace {

constexpr std::chrono::milliseconds kDialAgain{20};

}  // namespace

Latencies::Latencies(std::vector<std::int64_t> ages_us) : ages_us_(std::move(ages_us)) {
  std::sort(ages_us_.begin(), ages_us_.end());
}

double Latencies::at_ms(double share) const {
  CHECK(!ages_us_.empty());
  const auto last = static_cast<double>(ages_us_.size() - 1);
  return static_cast<double>(ages_us_[static_cast<std::size_t>(share * last)]) / 1000;
}

LatencyReader::LatencyReader(std::string url, const Uuid& session, std::int64_t since_ns)
    : since_ns_(since_ns),
      thread_([this, url = std::move(url), session] { follow(url, session); }) {}

LatencyReader::~LatencyReader() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

Latencies LatencyReader::stop() {
  is_stopping_ = true;
  thread_.join();
  return Latencies(std::move(ages_us_));
}

void LatencyReader::follow(const std::string& url, const Uuid& session) {
  RoomReaderOptions options;
  options.url = url;
  options.session = session;
  options.live = true;
  options.idle_timeout = std::chrono::milliseconds(500);  // To look whether it is to stop.
  while (!is_stopping_) {
    static_cast<void>(read_room(options, [this](const DownloadedEntry& entry) {
                        if (!entry.is_event) note(entry);
                        return is_stopping_ ? Status(Code::kRejected, "stopping") : Status();
                      }).ok());
    if (!is_stopping_) std::this_thread::sleep_for(kDialAgain);
  }
}

void LatencyReader::note(const DownloadedEntry& entry) {
  const auto batch = entry.decode();
  const std::int64_t now = system_clock().boot_now();
  if (!batch.ok()) return;
  for (const GroupColumns& group : batch.value().groups) {
    for (const std::int64_t received : group.receive_ns) {
      if (received >= since_ns_) ages_us_.push_back((now - received) / 1000);
    }
  }
}

}  // namespace pitbox
