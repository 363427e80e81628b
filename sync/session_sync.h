// SessionSync: one session's conversation with its room: what to say next, and what an answer
// means. Plain code: no socket, no thread, no clock of its own.
//
//   opened() -> Hello -> Welcome -> definitions, parts of entries on two lanes -> Ack ...
//            -> SessionFinished once the session has ended and all is acknowledged
//            -> SessionComplete
//
// The owner of the socket asks next_frame() each time the socket takes one more frame, so the
// decision what goes first is made at the last moment: control frames, then live parts, then the
// live view, then backfill, each only while its window (pacing.h) has room. A definition the room
// does not have goes right before the first entry that uses it.
//
// Exactly once: an entry is offered on a connection only if Welcome or an Ack does not hold it and
// it was not sent on this connection; a new connection begins from its Welcome. A Welcome is
// believed for what we already knew to be held, and for what it shows the content of; the rest may
// be somebody else's under our name (a box that was cloned, a disk that went back in time) and is
// sent. What the room holds is reported to the recorder: all of it after a Welcome (which wins over
// what we thought), then what is new.
//
// Where the room has another content under one of our keys, that entry is not sent again under it;
// sequences beyond the last that we issued show the same to come. Both are reported as
// IncarnationRefused, again and again until the recorder has acted; a file that is still appended
// to is not sent from until it is sealed.
//
// Threads: one (the link's). Limits: bytes in flight by pacing.h; two open entries; reports are
// kept and coalesced per file while a hand-over queue is full; a file that cannot be read is tried
// again every second, an entry that cannot be read is left out of this connection and counted.

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/clock.h"
#include "buffer/handover.h"
#include "proto/status.h"
#include "sync/entry_source.h"
#include "sync/lanes.h"
#include "sync/link_state.h"
#include "sync/live_view.h"
#include "sync/pacing.h"

namespace pitbox::words {
class Ack;
class Conflict;
class Goodbye;
class Held;
class HeldContent;
class Pull;
class Welcome;
}  // namespace pitbox::words

namespace pitbox {

// Where the recorder takes what the room said. Must outlive the SessionSync.
struct SyncReports {
  BoundedQueue<Acknowledged>& acknowledged;
  BoundedQueue<SessionCompleted>& completed;
  LatestSlot<RoomSeen>& seen;
  BoundedQueue<IncarnationRefused>& refused;
  // After something was put into a queue: wakes the recorder, which may be asleep. On the link's
  // thread; must not block. May be empty.
  std::function<void()> on_report{};
};

struct SyncCounters {
  std::uint64_t live_bytes = 0;  // Of entries, without frame headers.
  std::uint64_t backfill_bytes = 0;
  std::uint64_t entries = 0;  // Completely sent.
  std::uint64_t live_views = 0;
  std::uint64_t live_views_shed = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t refused_files = 0;  // Taken out of use: an alarm.
  std::uint64_t unreadable = 0;     // Entries given up on a connection.
};

class SessionSync {
 public:
  struct Options {
    Uuid box_id;
    std::string software;
    std::string room_url;  // For reports.
    std::chrono::nanoseconds welcome_within = std::chrono::seconds(5);
    // Found and closed within 10 s of the cut, the look every second included.
    std::chrono::nanoseconds no_ack_after = std::chrono::seconds(8);
    std::chrono::nanoseconds read_again_after = std::chrono::seconds(1);
    std::chrono::nanoseconds compare_again_after = std::chrono::seconds(1);
    // The recorder may have been unable to act.
    std::chrono::nanoseconds refuse_again_after = std::chrono::seconds(30);
    FileLanes::Options lanes;
  };
  // Why the connection must be closed from our side. kNone: nothing is wrong, dial again at once.
  struct Verdict {
    LinkReason reason = LinkReason::kNone;
    std::string text;
  };
  struct Farewell {  // The room's Goodbye.
    std::string reason;
    std::chrono::milliseconds retry_after{0};
  };

  SessionSync(const Options& options, EntrySource& source, SyncReports reports,
              const SessionHeads& heads);
  ~SessionSync();
  SessionSync(const SessionSync&) = delete;
  SessionSync& operator=(const SessionSync&) = delete;

  // What there is to send, at every publication of the recorder.
  void update(BootNs now, const SessionHeads& heads);

  void opened(BootNs now);
  // kCorrupt: the room broke the protocol; close the connection.
  Status received(BootNs now, std::string_view frame);
  void closed(BootNs now);

  // Appends the next frame to `out`; false if there is none now.
  bool next_frame(BootNs now, std::string& out);
  bool wants_to_send(BootNs now);
  // Newer values replace those that could not be sent: they are shed, not queued.
  void offer_live_view(std::vector<LiveViewCar> cars);
  // Time-outs, SessionFinished, reports. Call at least every 100 ms; a verdict closes.
  std::optional<Verdict> step(BootNs now);

  bool is_open() const { return open_; }
  bool is_welcomed() const { return welcomed_; }
  // The room holds everything of the ended session...
  bool is_complete() const { return complete_; }
  // ...and the recorder was told so, after all else that it is to know of it.
  bool is_completion_told() const { return completion_reported_; }
  // Nothing to send now, whatever may be in flight: others may use the link.
  bool is_idle(BootNs now);
  // Something could go if a rate limit of the room did not hold it back.
  bool is_limited(BootNs now) { return welcomed_ && !may_send_bulk(now); }
  // Grows with every acknowledgement that advanced: the link was useful.
  std::uint64_t progress() const { return progress_; }
  // Of the latest Welcome; 0 before the first, or if the room has none.
  std::uint64_t room_store() const { return room_store_; }
  // Why a file was last taken out of use; empty if none was.
  const std::string& refusal() const { return refusal_; }
  const std::optional<Farewell>& farewell() const { return farewell_; }
  const SessionInfo& info() const { return info_; }
  std::uint64_t pending() const;
  std::uint64_t in_flight() const { return pacing_.in_flight(); }
  const Pacing& pacing() const { return pacing_; }
  const SyncCounters& counters() const { return counters_; }

 private:
  enum Lane { kLive = 0, kBackfill = 1 };
  enum class Choice : std::uint8_t { kNone, kControl, kLive, kLiveView, kBackfill };
  struct File {
    FileHead head;
    FileLanes lanes;
    bool announced = false;    // In this connection's Hello.
    bool welcomed = false;     // On this connection: may be sent from.
    bool awaits_seal = false;  // It must not grow: see conflicts and beyond.
    std::string refusal{};     // Why it is refused; empty if it is not.
    BootNs report_refusal_at = 0;
    RangeSet conflicts{};      // The room has another content.
    std::uint64_t beyond = 0;  // Greatest sequence that the room holds, if we never issued it.
    // Held by that store of the room, with our content.
    RangeSet known{};
    std::uint64_t known_store = 0;
    RangeSet doubtful{};  // Held by the room, and not compared yet.
    // Held by the room without a content: a tombstone answers for it, and we have it. Of what was
    // sent of it on this connection (resent) an Ack may be the tombstone's; the next Welcome tells.
    RangeSet answered{};
    RangeSet resent{};
    bool held_unreported = false;  // All of it, after a Welcome.
    RangeSet unreported{};         // Since then.
    BootNs readable_at = 0;
  };
  struct OpenEntry {
    std::uint64_t incarnation = 0;
    StoredEntry entry;
    std::vector<std::string> definitions;  // Names.
    std::uint64_t offset = 0;
  };
  using EntryKey = std::pair<std::uint64_t, std::uint64_t>;  // Incarnation, first.
  struct InFlight {
    std::uint64_t last = 0;
    std::uint64_t bytes = 0;
    bool complete = false;
    Pacing::Mark mark;
  };
  struct Completed {
    EntryKey key;
    BootNs at = 0;
  };

  // Sending (session_sync.cpp).
  void say_hello();
  static RangeSet gone_of(const File& file);
  static RangeSet unresolved_of(const File& file);
  bool may_send_bulk(BootNs now);
  bool has_room(Lane lane) const;
  std::optional<std::uint64_t> next_sequence(File& file, Lane lane, BootNs now) const;
  bool has_entry(Lane lane, BootNs now);
  Choice choose(BootNs now);
  bool open_entry(Lane lane, BootNs now);
  void set_aside(File& file, std::uint64_t sequence, const Status& why, BootNs now);
  bool announce_definitions(OpenEntry& open);
  void write_part(Lane lane, BootNs now, std::string& out);
  void write_live_view(std::string& out);
  void finish_if_done();
  bool everything_sent() const;
  bool wants_to_compare(BootNs now);

  // Receiving (session_sync_receive.cpp).
  Status on_welcome(BootNs now, const words::Welcome& welcome);
  void begin_file(File& file, const words::Held& told, std::uint64_t store);
  void compare(File& file, const words::HeldContent& content, RangeSet& proven);
  Status on_ack(BootNs now, const words::Ack& ack);
  Status on_pull(const words::Pull& pull);
  Status on_conflict(const words::Conflict& conflict);
  void on_held(BootNs now, File& file, Range range);
  void on_goodbye(const words::Goodbye& goodbye);
  void find_conflict(File& file, Range range);
  void refuse(File& file, std::string reason);
  void forget_in_flight(std::uint64_t incarnation);
  void report(BootNs now);
  bool report_refusal(BootNs now, File& file);

  const Options options_;
  EntrySource& source_;
  SyncReports reports_;
  SessionInfo info_;
  bool ended_ = false;
  std::map<std::uint64_t, File> files_;
  std::vector<std::uint64_t> order_;  // Incarnations, oldest first.
  SyncCounters counters_;
  std::string refusal_;
  std::map<EntryKey, int> found_damaged_;  // By the room; how often.
  bool complete_ = false;
  std::uint64_t room_store_ = 0;
  bool room_unreported_ = false;  // on_report is still to be called for it.
  bool completion_reported_ = false;
  std::uint64_t progress_ = 0;

  // Of this connection:
  bool open_ = false;
  bool welcomed_ = false;
  bool finished_sent_ = false;
  BootNs opened_at_ = 0;
  BootNs last_ack_ = 0;
  BootNs last_part_ = 0;
  std::deque<std::string> control_;
  std::set<std::string> known_definitions_;  // Names.
  std::array<std::optional<OpenEntry>, 2> open_entries_;
  std::map<EntryKey, InFlight> in_flight_;
  std::deque<Completed> completed_;  // In order of sending; those acknowledged are skipped.
  Pacing pacing_;
  TokenBucket slow_;
  BootNs slow_until_ = 0;
  std::map<std::string, LiveViewCar> live_view_;  // By car: not yet sent.
  std::optional<Farewell> farewell_;
};

}  // namespace pitbox
