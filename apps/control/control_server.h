// ControlServer: the daemon's Unix socket. A client sends one JSON object a line and gets one JSON
// object a line back; what the objects say is docs/control.md.
//
// Threads: its own, named `status`. The handler is called on it, one request at a time, and may
// take as long as the recorder needs to answer; other clients wait.
//
// Limits: kMaxClients connections (more are told so and closed), kMaxRequestBytes a line (a longer
// one closes the connection), kIdleSeconds without a request. The socket has mode 0660: the group
// may control the daemon.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

// What was refused. Written by the server's thread and its handler, read by anyone; relaxed: each
// is a number for people.
struct ControlCounters {
  std::atomic<std::uint64_t> clients_refused = 0;  // Beyond kMaxClients.
  std::atomic<std::uint64_t> lines_too_long = 0;   // Beyond kMaxRequestBytes.
  // Answered {"ok":false}: counted by the handler.
  std::atomic<std::uint64_t> requests_refused = 0;
};

class ControlServer {
 public:
  static constexpr std::size_t kMaxClients = 16;
  static constexpr std::size_t kMaxRequestBytes = std::size_t{64} << 10;
  static constexpr int kIdleSeconds = 60;

  // Takes one request line without its newline; gives the answer without one.
  using Handler = std::function<std::string(std::string_view request)>;

  // Replaces a socket file left behind by a dead process. kTryAgain if a living one answers there.
  // REQUIRES: `counters` outlives the server.
  static Result<std::unique_ptr<ControlServer>> start(const std::filesystem::path& socket,
                                                      Handler handler, ControlCounters& counters);
  // Stops the thread and removes the socket file.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
