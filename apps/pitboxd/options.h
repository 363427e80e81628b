// From the configuration to each module's Options. Pure functions; any thread.

#pragma once

#include <optional>

#include "buffer/journal.h"
#include "buffer/recorder.h"
#include "config/config.h"
#include "ingest/gps_lap_engine.h"
#include "ingest/source.h"
#include "proto/status.h"
#include "sync/link.h"

namespace pitbox {

// `inherited`: a socket of that name that was handed over, or -1.
SourceOptions source_options(const Config& config, const SourceConfig& source, int inherited);
Journal::Options journal_options(const Config& config);
Recorder::Options recorder_options(const Config& config);
// Nothing without a start/finish line: then no laps are found.
std::optional<GpsLapEngine::Options> lap_options(const Config& config);
// Reads the API key from its file if one is named: kRejected if that cannot be read.
Result<Link::Options> link_options(const Config& config);

}  // namespace pitbox
