// Sockets that were opened by whoever started this process and outlive it, so that datagrams wait
// in the kernel while the daemon restarts. The protocol is systemd's socket activation, which other
// launchers speak as well: LISTEN_PID, LISTEN_FDS (descriptors from 3 on), LISTEN_FDNAMES
// (separated by colons; a name here is a source's name).
//
// Threads: call once, early, before there are others: it changes the environment.

#pragma once

#include <map>
#include <string>

#include "proto/status.h"

namespace pitbox {

// Descriptors by name, close-on-exec. Empty if there are none, or if they are meant for another
// process. kRejected if what is announced is not there, or a name is missing or stands twice. The
// variables are removed in any case, so that no child takes them for its own.
Result<std::map<std::string, int>> take_inherited_sockets();

}  // namespace pitbox
