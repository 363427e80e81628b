// Source: where bytes come from. It owns a socket and a ring, and does one thing: what the kernel
// has heard goes into the ring, unread. What it means is somebody else's work (decoders), what
// becomes of it, too (recorder).
//
// Threads
//   open() and start() before the ingest thread runs; from then on a source is the ingest thread's.
//   status(), name() and port() may be asked by anyone; ring() is the recorder's to read.
//
// Full ring
//   Nothing is received until the recorder releases: datagrams wait in the kernel's buffer, whose
//   overflow the kernel counts; a stream's sender is held up by TCP.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "buffer/ring.h"

namespace pitbox {

enum class SourceKind : std::uint8_t { kUdp, kTcp };
std::string_view to_string(SourceKind kind);

struct SourceOptions {
  std::string name;
  SourceKind kind = SourceKind::kUdp;
  std::string address = "127.0.0.1";  // IPv4 or IPv6 literal; "::" hears both.
  std::uint16_t port = 0;             // 0: any free one; see Source::port().
  // A bound UDP or listening TCP socket from whoever outlives us; -1: make one. Owned from open()
  // on, whatever its result. Address and port are then the socket's own.
  int inherited_socket = -1;
  // UDP only (TCP holds its sender up): 58,000 datagrams of 1400 B, 0.9 s of a full grid. The
  // kernel grants less without CAP_NET_ADMIN; SourceStatus says what it granted.
  std::size_t receive_buffer_bytes = std::size_t{64} << 20;
  std::size_t connections_max = 64;  // TCP only.
  // file; sizes; is_stream follows from the kind.
  MessageRing::Options ring;
};

struct SourceStatus {
  std::string name;
  SourceKind kind = SourceKind::kUdp;
  std::string endpoint;                    // "127.0.0.1:9600", "[::]:9600"
  std::uint64_t heard = 0;                 // Data messages, over the life of the ring.
  std::uint64_t recovered = 0;             // Of these, published at this start.
  std::uint64_t connections = 0;           // TCP: open now.
  std::uint64_t refused = 0;               // TCP: connections beyond connections_max.
  std::uint64_t receive_buffer_bytes = 0;  // Granted.
  std::uint32_t kernel_drops = 0;          // The socket's own count; cumulative, wraps.
  std::uint64_t truncated = 0;             // Datagrams longer than a slot.
  std::uint64_t ring_full = 0;             // Turns that found no room.
  std::int64_t last_receive_ns = 0;        // CLOCK_BOOTTIME of the last call that got something; 0.
  std::uint64_t errors = 0;
  std::string error;           // The last one; empty if none.
  std::string ring_set_aside;  // A ring file that could not be used: path and reason; empty.
};

// Written by the ingest thread, read by anyone. Relaxed: each is a number for people, and none
// says anything about another.
struct SourceCounters {
  std::atomic<std::uint64_t> connections = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::uint64_t> truncated = 0;
  std::atomic<std::uint64_t> ring_full = 0;
  std::atomic<std::int64_t> last_receive_ns = 0;
  std::atomic<std::uint64_t> errors = 0;
  std::atomic<int> last_errno = 0;
};

class Source {
 public:
  // How soon the recorder is to look at a ring: when it would, or within its patience; or at once.
  enum class Urgency : std::uint8_t { kSoon, kNow };
  // Called on the ingest thread after a turn that published something, or found no room.
  using OnPublished = std::function<void(Urgency)>;

  Source() = default;
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // Begins to listen. The loop must run for anything to happen.
  virtual void start() = 0;

  virtual const std::string& name() const = 0;
  virtual std::uint16_t port() const = 0;
  virtual MessageRing& ring() = 0;
  virtual SourceStatus status() const = 0;
};

}  // namespace pitbox
