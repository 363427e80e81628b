// What every source does with its ring and its counters, in one place.

#pragma once

#include <memory>
#include <string>

#include "ingest/source.h"
#include "proto/status.h"

namespace pitbox {

// The ring of a source: options.ring as the kind needs it.
Result<std::unique_ptr<MessageRing>> open_source_ring(const SourceOptions& options);

// The part of a status that ring and counters know.
SourceStatus status_of(const SourceOptions& options, const MessageRing& ring,
                       const SourceCounters& counters);

// Ingest thread: a receive call got something, or failed.
void count_received(SourceCounters& counters, const MessageRing::Received& received);
void count_error(SourceCounters& counters, int error);

}  // namespace pitbox
