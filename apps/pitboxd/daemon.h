// Daemon: the parts of pitboxd wired together in the order of the data, and stopped in that order.
//
//   ingest thread     sources -> rings
//   recorder thread   rings -> journal           (the only writer of SQLite)
//   link thread       journal -> room
//   status thread     the control socket
//
// Threads: start() and stop() are the owner's.

#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "proto/status.h"

namespace pitbox {

class Daemon {
 public:
  // Opens everything and starts the threads. Fails, naming what and why, if a part cannot be had
  // at all; a journal that cannot be opened is not such a part (the recorder holds and retries).
  static Result<std::unique_ptr<Daemon>> start(const Config& config);
  // Stops as the data flows: receives no more, journals what is in the rings, sends what fits in
  // two seconds, says goodbye.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pitbox
