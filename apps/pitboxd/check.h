// What only the modules can say of a configuration whose file is in order: whether an address is
// one, a ring has room for its slots, a line is on earth, a key file holds a key. The daemon asks
// before it opens anything, `--check-config` asks and does nothing else.

#pragma once

#include "config/config.h"
#include "proto/status.h"

namespace pitbox {

// kRejected with the place and the key that is wrong. Reads the files that the configuration names;
// binds and makes nothing, so a port that another process has is not found here.
Status check_options(const Config& config);

}  // namespace pitbox
