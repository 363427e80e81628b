#include "apps/demo/live_edge.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "buffer/clock.h"
#include "sync/room_reader.h"

namespace pitbox {
namespace {

// How long one connection may stay silent before the follower looks whether it is to stop.
constexpr std::chrono::milliseconds kSilence{500};

std::optional<std::int64_t> newest_row(const DownloadedEntry& entry) {
  if (entry.is_event) return std::nullopt;
  const auto batch = entry.decode();
  if (!batch.ok()) return std::nullopt;
  std::int64_t newest = 0;
  for (const GroupColumns& group : batch.value().groups) {
    if (!group.receive_ns.empty()) newest = std::max(newest, group.receive_ns.back());
  }
  return newest;
}

}  // namespace

LiveEdge::LiveEdge(std::string room_url, Uuid session)
    : room_url_(std::move(room_url)), session_(session), thread_([this] { follow(); }) {}

LiveEdge::~LiveEdge() {
  is_stopping_ = true;
  thread_.join();
}

void LiveEdge::expect_after(std::int64_t moment_ns) {
  arrived_ns_ = 0;
  expected_after_ns_ = moment_ns;
}

std::optional<std::int64_t> LiveEdge::arrived_ns() const {
  const std::int64_t at = arrived_ns_.load();
  return at == 0 ? std::nullopt : std::optional(at);
}

void LiveEdge::note(std::int64_t row_ns) {
  newest_row_ns_ = std::max(newest_row_ns_.load(), row_ns);
  if (row_ns <= expected_after_ns_.load()) return;
  std::int64_t none = 0;
  arrived_ns_.compare_exchange_strong(none, system_clock().boot_now());
}

void LiveEdge::follow() {
  RoomReaderOptions options;
  options.url = room_url_;
  options.session = session_;
  options.live = true;
  options.idle_timeout = kSilence;
  while (!is_stopping_) {
    // Ends when the room goes away, stays silent, or we are to stop; then it is tried again.
    static_cast<void>(read_room(options, [this](const DownloadedEntry& entry) {
                        if (is_stopping_) return Status(Code::kRejected, "stopping");
                        if (const auto row_ns = newest_row(entry)) note(*row_ns);
                        return Status();
                      }).ok());
    if (!is_stopping_) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace pitbox
