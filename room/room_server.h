// RoomServer: Rooms behind WebSockets and HTTP, on libwebsockets. This module's one door to it.
//
// Threads: open() and run() on one thread, which does everything: sockets, decoding, the store's
// commits. stop() may be called from any thread and from a signal handler.
//
// Why commit on the loop: while it waits for the disk, the boxes' bytes wait in the kernel, TCP
// slows the boxes down, and no queue of ours needs a bound or a lock. A second thread would hide
// the disk's 0.1-5 ms behind more memory and more orders of events to test. What would change our
// mind: a disk whose commits take longer than the live edge can wait (100 ms).
//
// Limits: `connections_max` WebSockets, beyond which the handshake is answered 503; a message of
// kMaxFrameBytes, beyond which the connection is closed as frame_too_big; `queue_bytes_max` waiting
// per connection, beyond which it is closed as too_slow.

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "proto/status.h"
#include "room/rooms.h"

namespace pitbox {

class RoomServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1";  // An IPv4 address.
    int port = 6162;                   // 0: one that is free.
    // Either a keys file or none at all, and the latter on a loopback address only.
    std::filesystem::path keys_file;
    bool no_auth = false;
    std::vector<std::string> allowed_hosts;
    Rooms::Options rooms;
    std::size_t connections_max = 256;
    // A paused viewer has 1 MiB, one entry (8 MiB) and its definitions in its queue.
    std::size_t queue_bytes_max = std::size_t{16} << 20;
  };
  // kRejected if the options contradict each other, the keys file is of no use, or the port is
  // taken.
  static Result<std::unique_ptr<RoomServer>> open(const Options& options);
  ~RoomServer();
  RoomServer(const RoomServer&) = delete;
  RoomServer& operator=(const RoomServer&) = delete;

  int port() const;
  std::size_t known_rooms() const;
  // Serves until stop(). Then commits what waits, says Goodbye{server_closing} to all, and returns
  // when they are gone or after 2 s.
  void run();
  void stop();

  class State;

 private:
  explicit RoomServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
