// IngestLoop: the thread that hears. One event loop over the sockets of all sources; it only
// receives, into one ring per source.
//
// Threads
//   open(), start() and stop() by the thread that owns the loop. Between start() and stop() the
//   sources belong to the thread named `ingest`. ring(i) is for one consumer; statuses() and ports
//   for anyone.
//
// Order of shutdown: stop(), let the consumer empty the rings, destroy the consumer, destroy this.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "buffer/ring.h"
#include "ingest/source.h"
#include "proto/status.h"

namespace pitbox {

class IngestLoop {
 public:
  struct Options {
    std::vector<SourceOptions> sources;
    // Wakes the consumer. Must not block.
    Source::OnPublished on_published;
  };
  // Binds every socket and opens every ring; from then on the kernel queues datagrams. The error
  // names the source.
  static Result<std::unique_ptr<IngestLoop>> open(const Options& options);
  // Stops.
  ~IngestLoop();
  IngestLoop(const IngestLoop&) = delete;
  IngestLoop& operator=(const IngestLoop&) = delete;

  // REQUIRES: not started before.
  void start();
  // Ends the thread. What is heard from now on waits in the kernel. Idempotent.
  void stop();

  std::size_t source_count() const;
  const std::string& source_name(std::size_t index) const;
  MessageRing& ring(std::size_t index);
  std::uint16_t port(std::size_t index) const;
  std::vector<SourceStatus> statuses() const;

 private:
  struct State;
  explicit IngestLoop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
