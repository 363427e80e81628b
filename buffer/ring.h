// MessageRing: a receive area and a single-producer, single-consumer ring of variable-length
// messages, in one file mapping (tmpfs) that outlives the process. What the kernel handed over is
// in it after `kill -9` at any moment; the next process attaches and carries on. Layout, and what
// is true after a stop at each store: docs/ring.md.
//
// Threads
//   One producer (ingest) calls receive(), publish() and publish_control(); one consumer (recorder)
//   calls read() and release(). The const questions may be asked by anyone in the process. The file
//   is flocked: a second process that opens it is refused with kTryAgain.
//
// Full ring
//   Nothing more is received: receive() says kFull until the consumer releases. Nothing is dropped
//   here.
//
// Positions are byte counts that only grow. The consumer reads ahead of tail(); it moves the tail
// by release() once what it read is durable, so that an uncommitted message is still here after a
// kill.

#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "buffer/message.h"
#include "proto/status.h"

namespace pitbox {

class MessageRing {
 public:
  struct Options {
    std::filesystem::path file;  // In the runtime directory; created with mode 0600.
    std::size_t ring_bytes = std::size_t{8} << 20;  // Power of two, >= 1 MiB.
    std::size_t slot_count = 64;                    // Of the receive area: datagrams per recvmmsg.
    std::size_t slot_bytes = 2048;                  // Longer datagrams are truncated (and counted).
    bool is_stream = false;  // One slot of 64 KiB, whatever is said above; its messages are pieces
                             // of a stream.
  };

  // Attaches to the file if it holds a ring of this layout and kind (publishing what was received
  // but not yet published when its process died), else sets a damaged or different one aside as
  // `*.stale-<id>` and makes a new ring with a new id. A ring of other sizes keeps them while it
  // holds unread messages, and is replaced once it does not. An attached ring, and every stream's,
  // begins with kSourceStarted. kTryAgain if another process has it; kFull if there is no room for
  // the file; kRejected for bad options.
  static Result<std::unique_ptr<MessageRing>> open(const Options& options);
  ~MessageRing();
  MessageRing(const MessageRing&) = delete;
  MessageRing& operator=(const MessageRing&) = delete;

  // Random id made with the file; a position means something only together with it.
  std::uint64_t id() const;
  std::uint64_t head() const;         // After the last published message.
  std::uint64_t tail() const;         // After the last released one.
  std::size_t capacity() const;       // Bytes.
  std::uint64_t last_number() const;  // Number of the last published data message; 0 if none.
  // Number of the last released data message. Who subtracts the two reads this one first.
  std::uint64_t tail_number() const;
  // Slots are large enough for runs of datagrams (UDP_GRO), each of which becomes a message.
  bool takes_runs() const;
  bool was_attached() const;  // open() found a live ring rather than making one.
  // Messages that open() found received but unpublished, and published.
  std::uint64_t recovered() const;
  // The file that open() set aside and why; empty if none. Somebody should be told: what it held
  // unread is not in this ring.
  const std::filesystem::path& set_aside() const;
  const std::string& set_aside_reason() const;

  // Producer: one receive call. Fills the area by recvmmsg(2) on `socket` (at most slot_count
  // messages; a stream socket gets one) and publishes what came. `connection` is the socket's
  // cookie. Refuses with kFull before receiving anything if the ring might not take a full area.
  // kTryAgain if the socket reported an error (it is consumed by that); kFatal if it is none.
  struct Received {
    std::size_t messages = 0;
    bool would_block = false;  // Nothing more to read now.
    bool closed = false;       // Stream: the other end closed, or the connection failed.
    std::uint64_t truncated = 0;
    std::uint32_t kernel_drops = 0;  // Latest cumulative SO_RXQ_OVFL; 0 if never reported.
  };
  Result<Received> receive(int socket, std::uint64_t connection);

  // Producer: a control message. kFull if there is no room; try again later.
  Status publish_control(MessageKind kind, std::uint64_t connection);
  // Producer: a message that came by other means than recvmmsg (a file, a test).
  Status publish(std::uint64_t connection, std::int64_t receive_ns,
                 std::span<const std::byte> bytes);

  // Consumer: the message at `position`, which must be tail() or a value that read() left there
  // (or a position committed for this ring's id); moves `position` past it. Nothing if all
  // published messages were read. kCorrupt if the mapping holds no message there.
  Result<std::optional<Message>> read(std::uint64_t& position) const;
  // Consumer: everything before `position` is durable; `number` is the last data message before it.
  void release(std::uint64_t position, std::uint64_t number);

 private:
  struct Mapping;
  explicit MessageRing(std::unique_ptr<Mapping> mapping);
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace pitbox
