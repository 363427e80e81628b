// RoomLine: one session's way to its room: SessionSync, the connection it speaks over, and when to
// dial again. The link has one for the live session and at most one for the oldest incomplete one.
//
// Threads: one (the link's).

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "buffer/clock.h"
#include "sync/backoff.h"
#include "sync/endpoint.h"
#include "sync/pacing.h"
#include "sync/resolver.h"
#include "sync/room_transport.h"
#include "sync/session_sync.h"

namespace pitbox {

class RoomLine final : public RoomHandler {
 public:
  struct Options {
    Endpoint room;                    // Without the session's path.
    bool credential_expires = false;  // A bearer token, not a key.
    SessionSync::Options sync;
    DialBackoff::Options backoff;
    std::chrono::nanoseconds connect_within = std::chrono::seconds(1);
    std::chrono::nanoseconds connect_within_max = std::chrono::seconds(10);
    std::chrono::nanoseconds ping_answer_within = std::chrono::seconds(9);
    std::uint64_t seed = 0;
  };
  // What all lines share. Must outlive them.
  struct Shared {
    const Clock& clock;
    RoomTransport& transport;
    Resolver& resolver;
    TokenBucket& budget;
    // A line was welcomed, or lost a connection that had been.
    std::function<void(RoomLine&)> changed;
    std::function<void(RoomLine&)> heard;  // A frame or a pong.
    std::function<void(RoomLine&)> pong;
  };

  RoomLine(const Options& options, const Shared& shared, EntrySource& source, SyncReports reports,
           const SessionHeads& heads);

  void update(BootNs now, const SessionHeads& heads) { sync_.update(now, heads); }
  // Only while nobody else needs the link may it send: the old session waits for the live one.
  void give_way(bool give_way) { gives_way_ = give_way; }
  void step(BootNs now, std::chrono::nanoseconds round_trip);
  void hurry(BootNs now) { backoff_.hurry(now); }
  // Answered by any frame or pong; a socket that leaves one unanswered for ping_answer_within is
  // closed, so that a half-open link is found also while there is nothing to send.
  void ping();
  // Ends for good: Goodbye, close. Gone when is_closed().
  void finish(const std::string& reason);
  bool is_closed() const { return connection_ == 0; }
  // Latest time of the next step().
  BootNs next_at(BootNs now);

  SessionSync& sync() { return sync_; }
  const SessionSync& sync() const { return sync_; }
  bool is_welcomed() const { return connection_ != 0 && sync_.is_welcomed(); }
  // Why there is no connection; kNone if there is, or none was tried yet.
  LinkReason reason() const { return reason_; }
  const std::string& error() const { return error_; }
  std::uint64_t dials() const { return dials_; }
  std::chrono::nanoseconds kernel_round_trip() const {
    return shared_.transport.round_trip(connection_);
  }

  // RoomHandler
  void on_open() override;
  Status on_frame(std::string_view frame) override;
  void on_pong() override;
  bool next_frame(std::string& out) override;
  void on_closed(const RoomClosed& closed) override;

 private:
  void try_dial(BootNs now, std::chrono::nanoseconds round_trip);
  void explain(LinkReason reason, std::string error);
  void raise_alarm();

  const Options options_;
  const Shared& shared_;
  SessionSync sync_;
  DialBackoff backoff_;
  RoomTransport::Id connection_ = 0;
  bool gives_way_ = false;
  bool finishing_ = false;
  bool was_welcomed_ = false;  // Of this connection.
  bool was_ever_welcomed_ = false;
  std::uint64_t progress_ = 0;       // Of sync_, when last looked at.
  std::uint64_t refused_files_ = 0;  // Of sync_, when last looked at.
  BootNs pinged_at_ = 0;             // The oldest unanswered ping; 0: none.
  std::uint64_t dials_ = 0;
  std::string goodbye_;  // To be sent before the close.
  LinkReason reason_ = LinkReason::kNone;
  std::string error_;
};

}  // namespace pitbox
