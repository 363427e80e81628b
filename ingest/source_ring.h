// What every source does with its ring and its counters, in one place.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ingest/source.h"
#include "proto/status.h"

namespace pitbox {

// The ring of a source: options.ring as the kind needs it.
Result<std::unique_ptr<MessageRing>> open_source_ring(const SourceOptions& options);

// Tells whoever reads the ring that there is something to read. The ingest thread's.
class RingBell {
 public:
  // `ring` must outlive it. `on_published` may be empty.
  RingBell(const MessageRing& ring, Source::OnPublished on_published);

  void published();   // Soon, or at once if an eighth of the ring came since that was last said.
  void needs_room();  // At once.

 private:
  const MessageRing& ring_;
  const Source::OnPublished on_published_;
  std::uint64_t called_at_;  // The ring's head when it was last "at once".
};

// The part of a status that ring and counters know.
SourceStatus status_of(const SourceOptions& options, const MessageRing& ring,
                       const SourceCounters& counters);

// Ingest thread: a receive call got something, or failed.
void count_received(SourceCounters& counters, const MessageRing::Received& received);
void count_error(SourceCounters& counters, int error);

}  // namespace pitbox
