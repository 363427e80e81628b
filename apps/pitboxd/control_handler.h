// ControlHandler: what the daemon answers on its control socket. Requests and answers are JSON
// objects (docs/control.md): status, session_start, session_end, session_bind.
//
// Threads: handle() runs on the control server's thread. What it reads are published snapshots;
// what it changes goes to the recorder as a command, and it waits for the outcome at most
// kPatience.

#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <string_view>

#include "apps/control/control_server.h"
#include "buffer/recorder_commands.h"

namespace pitbox {

class ControlHandler {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  struct Parts {
    std::function<std::string()> status;  // The status as JSON text.
    std::function<std::future<CommandResult>(SessionCommand)> submit;
    ControlCounters* counters = nullptr;  // Not null.
  };
  explicit ControlHandler(Parts parts) : parts_(std::move(parts)) {}

  // Always one JSON object on one line: {"ok":false,"error":"..."} if the request is not
  // understood.
  std::string handle(std::string_view request);

 private:
  std::string carry_out(SessionCommand command);
  std::string refuse(const std::string& error);
  const Parts parts_;
};

}  // namespace pitbox
