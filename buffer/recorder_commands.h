// What the recorder can be asked from other threads: session commands (with an answer), and what
// the link reports (without one). All cross by bounded queues and are carried out in step().

#pragma once

#include <future>
#include <optional>
#include <string>
#include <variant>

#include "buffer/handover.h"
#include "buffer/journal.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

inline constexpr std::size_t kMaxSessionNameBytes = 128;

// Starts a session. A session that data opened by itself (see README, "Sessions") is ended first;
// with any other session open the command is refused.
struct StartSession {
  std::string name;           // Empty: made from type and time.
  std::string type = "test";  // practice, qualifying, race, warmup or test; else refused.
  std::optional<Uuid> id;     // Minted if absent.
};
// Ends the open session. What was heard before the recorder took this command belongs to it.
struct EndSession {};
// The open session's id on the platform became known.
struct BindSession {
  std::string platform_id;
};
// This moment's lap is to be kept when space runs out (retention.h).
struct MarkMoment {
  std::string car;   // Empty: of all cars.
  std::string text;  // For people.
};
using SessionCommand = std::variant<StartSession, EndSession, BindSession, MarkMoment>;

// The answer comes after it is durable. kRejected says why it can never succeed as given;
// kTryAgain: too many commands wait.
struct CommandResult {
  Status status;
  std::optional<SessionInfo> session;  // That was started, ended, bound or marked in.
};

// Link -> recorder. A full queue refuses: the link keeps the report and offers it again.
struct LinkReports {
  BoundedQueue<Acknowledged> acknowledged{1024};
  BoundedQueue<SessionCompleted> completed{64};
  LatestSlot<RoomSeen> seen;
  BoundedQueue<IncarnationRefused> refused{16};
};

}  // namespace pitbox
