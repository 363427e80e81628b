// NativeStreams: finds packets of the native format in pieces of byte streams (NATIVE.md): each
// connection's begun packet is kept until the rest of it comes, and a stream that lost its place is
// searched for the next packet. How the bytes were cut into pieces makes no difference.
//
// A packet that lies whole in a piece is handed over where it lies; one that was cut is put
// together in memory that is used again.
//
// Limits: kConnectionsMax connections with something begun; kHeldBytesMax bytes of begun packets
// beyond their headers, so that save() stays within kStateBytesMax. What finds no room is refused
// (kLimit) and skipped to its end.
//
// Threads: the decoder's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "buffer/decoder.h"
#include "ingest/native_format.h"
#include "ingest/state_bytes.h"
#include "proto/status.h"

namespace pitbox {

// What the bytes at some place are.
struct NativeFrame {
  enum class Kind : std::uint8_t {
    kPacket,  // A whole packet of `size` bytes.
    kNeed,    // The start of one; `size` bytes would tell more.
    kJunk,    // No packet; the next one may begin `size` bytes from here.
  };
  Kind kind = Kind::kJunk;
  std::size_t size = 0;
};
// REQUIRES: at least one byte.
NativeFrame native_frame(std::span<const std::byte> bytes, std::size_t packet_bytes_max);

class NativeStreams {
 public:
  static constexpr std::size_t kConnectionsMax = 64;
  static constexpr std::size_t kHeldBytesMax = 16 * 1024;
  static constexpr std::size_t kStateBytesMax = 20 * 1024;

  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void packet(std::span<const std::byte> bytes) = 0;
    virtual void refuse(RejectReason reason, std::uint64_t records) = 0;
  };

  // The next piece of a connection. True if save() would give other bytes now.
  bool data(std::uint64_t connection, std::span<const std::byte> bytes, Listener& listener);
  // Its end, or the end of all: what was begun is torn. True as above.
  bool closed(std::uint64_t connection, Listener& listener);
  bool all_closed(Listener& listener);

  void save(StateWriter& out) const;
  // REQUIRES: no data yet. kCorrupt if the bytes are not from save().
  Status load(StateReader& in);

 private:
  struct Connection {
    std::uint64_t id = 0;
    std::uint32_t skip = 0;  // Bytes to go of a packet that was refused.
    bool in_junk = false;    // The run of junk was counted already.
    std::string begun;       // Empty, or the start of a packet.
    bool is_idle() const { return skip == 0 && !in_junk && begun.empty(); }
  };
  Connection& connection(std::uint64_t id);
  std::size_t held_bytes() const;
  bool has_room(const Connection& connection, std::size_t size) const;
  void read(Connection& connection, std::span<const std::byte> bytes, Listener& listener);
  // Both drop what they used from `bytes`.
  static void skip(Connection& connection, std::span<const std::byte>& bytes);
  void finish_begun(Connection& connection, std::span<const std::byte>& bytes, Listener& listener);
  void begin(Connection& connection, std::span<const std::byte> bytes, Listener& listener);
  static void junk(Connection& connection, Listener& listener);
  static void tear(const Connection& connection, Listener& listener);

  std::vector<Connection> connections_;
  Connection homeless_;  // For a connection beyond the limit; idle between calls.
};

}  // namespace pitbox
