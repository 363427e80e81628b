#include "ingest/source_ring.h"

#include <system_error>
#include <utility>

#include "buffer/clock.h"

namespace pitbox {

Result<std::unique_ptr<MessageRing>> open_source_ring(const SourceOptions& options) {
  MessageRing::Options ring = options.ring;
  ring.is_stream = options.kind == SourceKind::kTcp;
  return MessageRing::open(ring);
}

RingBell::RingBell(const MessageRing& ring, Source::OnPublished on_published)
    : ring_(ring), on_published_(std::move(on_published)), called_at_(ring.head()) {}

void RingBell::published() {
  if (!on_published_) return;
  if (ring_.head() - called_at_ >= ring_.capacity() / 8) return needs_room();
  on_published_(Source::Urgency::kSoon);
}

void RingBell::needs_room() {
  called_at_ = ring_.head();
  if (on_published_) on_published_(Source::Urgency::kNow);
}

SourceStatus status_of(const SourceOptions& options, const MessageRing& ring,
                       const SourceCounters& counters) {
  constexpr auto kRelaxed = std::memory_order_relaxed;  // See SourceCounters.
  SourceStatus status;
  status.name = options.name;
  status.kind = options.kind;
  status.heard = ring.last_number();
  status.recovered = ring.recovered();
  status.connections = counters.connections.load(kRelaxed);
  status.refused = counters.refused.load(kRelaxed);
  status.truncated = counters.truncated.load(kRelaxed);
  status.ring_full = counters.ring_full.load(kRelaxed);
  status.last_receive_ns = counters.last_receive_ns.load(kRelaxed);
  status.errors = counters.errors.load(kRelaxed);
  const int error = counters.last_errno.load(kRelaxed);
  if (error != 0) status.error = std::generic_category().message(error);
  if (!ring.set_aside().empty()) {
    status.ring_set_aside = ring.set_aside().string() + ": " + ring.set_aside_reason();
  }
  return status;
}

void count_received(SourceCounters& counters, const MessageRing::Received& received) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (received.truncated != 0) counters.truncated.fetch_add(received.truncated, kRelaxed);
  if (received.messages != 0) counters.last_receive_ns.store(system_clock().boot_now(), kRelaxed);
}

void count_error(SourceCounters& counters, int error) {
  counters.errors.fetch_add(1, std::memory_order_relaxed);
  counters.last_errno.store(error, std::memory_order_relaxed);
}

}  // namespace pitbox
