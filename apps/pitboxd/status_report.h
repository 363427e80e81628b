// The daemon's status as JSON: the recorder's and the link's latest snapshots and the sources'
// counts in one object, and what the control socket refused. docs/control.md says what every key
// means.

#pragma once

#include <string>
#include <vector>

#include "apps/control/control_server.h"
#include "buffer/clock.h"
#include "buffer/snapshot.h"
#include "ingest/source.h"
#include "sync/link_snapshot.h"

namespace pitbox {

struct SourceReport {
  SourceStatus status;
  std::string decoder;
};

// Either snapshot may be null while the daemon starts.
std::string status_report(const RecorderSnapshot* recorder, const LinkSnapshot* link,
                          const std::vector<SourceReport>& sources, const ControlCounters& control,
                          const Clock& clock);

}  // namespace pitbox
