// Link: the whole way from the journal to the rooms, composed: which sessions are connected, the
// polls, the state people see. The logic is in the parts (session_sync, lanes, pacing, backoff,
// link_state, poll_rounds); this joins them to the sockets.
//
//   recorder --JournalHeads--> RoomLine (live session)            --WebSocket--> room
//                              RoomLine (oldest incomplete one)   --WebSocket--> room
//            <--Acknowledged, SessionCompleted, IncarnationRefused--
//   PollClient --/health, /auth/me--> API;   Resolver: names;   LinkSnapshot --> status
//
// Threads: the link's thread creates nothing and owns everything: it calls run(). wake(), stop()
// and snapshot() are for any thread. create() and the destructor are the owner's, with no run()
// going.
//
// Without a room (empty room_url) nothing is dialled or polled; state offline, reason paused.
//
// The old session gives way: it sends only while the live one has nothing to send, and both share
// one byte budget if there is one. Limits: two connections; one poll of a kind; the queues to the
// recorder are bounded, and what does not fit is kept and coalesced.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "buffer/clock.h"
#include "buffer/handover.h"
#include "buffer/live_values.h"
#include "proto/status.h"
#include "sync/entry_source.h"
#include "sync/link_snapshot.h"
#include "sync/live_view.h"
#include "sync/poll_rounds.h"
#include "sync/room_line.h"

namespace pitbox {

class Link {
 public:
  struct Options {
    std::string driver = "ws";  // "ws" or "cf-do"; both speak proto/ROOM.md.
    std::string room_url;       // ws:// or wss://; empty: record only.
    std::string api_url;        // http:// or https://; empty: not polled.
    std::string api_key;
    std::string bearer;  // Used if there is no api_key.
    std::string ca_file;
    std::string software = "pitbox";
    std::uint64_t bytes_per_second_max = 0;  // 0: no limit of ours.
    std::uint64_t seed = 0;                  // Of the jitter; 0: random.
    SessionSync::Options sync;               // box_id and software are filled in.
    DialBackoff::Options backoff;
    PollRounds::Options rounds;
    LiveViewFeed::Options live_view;
    std::chrono::nanoseconds connect_within = std::chrono::seconds(1);
  };
  // All must outlive the Link.
  struct Wiring {
    const Published<JournalHeads>& heads;
    const Published<LiveSnapshot>* live_values = nullptr;  // Null: no live view.
    EntrySource& source;
    SyncReports reports;
    const Clock& clock;
  };

  // `transport`: what to reach rooms by; null: WebSockets. kRejected for an address, driver or CA
  // file that cannot be used; kFatal if a library fails.
  static Result<std::unique_ptr<Link>> create(const Options& options, const Wiring& wiring,
                                              std::unique_ptr<RoomTransport> transport = nullptr);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The thread's body: until stop(). Names the thread `link`.
  void run();
  // One turn without waiting: everything that is due. run() waits between two of them.
  void step(BootNs now);

  // Any thread. New heads or live values were published.
  void wake();
  // Any thread. run() sends for at most `grace` what the live session still has, says goodbye and
  // returns. Call it after the recorder's last heads were published.
  void stop(std::chrono::nanoseconds grace);
  // Any thread.
  std::shared_ptr<const LinkSnapshot> snapshot() const;

 private:
  struct State;
  explicit Link(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
