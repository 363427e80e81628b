// Recorder: the heart of the daemon. Reads the rings, lets each source's decoder understand the
// messages, builds batches, and makes everything durable in the session's journal, in one
// transaction with the positions it read up to. README.md tells the whole path in order.
//
// What is true at every moment
//   A position is committed only with every record of every message before it, and the ring is
//   released only up to a committed position. So after a kill the messages that follow the
//   committed position are still in the ring, with the decoder and lap states that belong there:
//   every record is journaled exactly once.
//
// Threads
//   step(), next_deadline() and stop() belong to one thread, the recorder's (runner.h). submit(),
//   link_reports(), heads(), recent_entries(), snapshot() and live_view() may be called by any
//   thread; after submit() and after a report the caller wakes the runner.
//
// Limits
//   A step reads at most messages_per_step messages or bytes_per_step bytes of each source. Memory
//   is bounded by Intake::Options; a commit comes earlier rather than anything being dropped.
//
// When the journal fails
//   Nothing is retried on the file: it is set aside, a new one (a new incarnation) takes over, and
//   what the failed commit held is read again from the rings. While no new one can be made (disk
//   full), the state is kHolding: nothing is read, the rings fill, and it is tried again every
//   retry_interval. It never ends the process.

#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/clock.h"
#include "buffer/ended_rekeying.h"
#include "buffer/events.h"
#include "buffer/handover.h"
#include "buffer/intake.h"
#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "buffer/lap_merger.h"
#include "buffer/live_values.h"
#include "buffer/recent_entries.h"
#include "buffer/recorder_commands.h"
#include "buffer/rekeying.h"
#include "buffer/retention.h"
#include "buffer/runner.h"
#include "buffer/session_store.h"
#include "buffer/snapshot.h"
#include "buffer/source_reader.h"
#include "buffer/space_keeper.h"
#include "proto/log_limit.h"

namespace pitbox {

// Batches that are given up though nobody else has them.
struct Evicted {
  EvictReason reason = EvictReason::kDiskFull;
  std::vector<NewEvent> tombstones{};
  EvictedRanges ranges{};
  std::uint64_t entries = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;

  void count_in(Conservation& counts) const;
};

// What a commit does beside journaling what was read.
struct CommitExtras {
  std::vector<NewEvent> last_events{};
  std::optional<Evicted> evicted{};
  std::vector<Range> removed{};
};

class Recorder {
 public:
  struct Options {
    // How long a message may wait for a commit; most of the window of loss in a power cut.
    std::chrono::nanoseconds flush_interval = std::chrono::milliseconds(100);
    std::size_t messages_per_step = 2048;  // At 1400 bytes 2.9 MB: about 30 ms of decoding.
    std::size_t bytes_per_step = std::size_t{1} << 20;
    std::size_t wal_bytes_target = std::size_t{16} << 20;  // Checkpoint beyond this.
    std::chrono::nanoseconds idle_checkpoint = std::chrono::seconds(1);
    std::chrono::nanoseconds retry_interval = std::chrono::seconds(1);  // While holding.
    std::chrono::nanoseconds publish_interval = std::chrono::milliseconds(100);
    std::chrono::nanoseconds live_interval = std::chrono::milliseconds(100);
    std::size_t reports_per_step = 64;  // Of each kind.
    std::size_t commands_max = 16;
    bool merges_laps = true;  // Into blocks, once the room has them.
    Intake::Options intake;
    SpaceKeeper::Options space;
  };
  struct Parts {
    std::unique_ptr<SessionStore> store;
    std::vector<RecorderSource> sources;
    MakeLapEngine make_lap_engine;  // Empty: no laps.
    const Clock* clock = nullptr;   // Must outlive the recorder.
    std::function<void()>
        on_published;  // After new heads; on the recorder's thread, must not block.
  };

  // Carries on with the session left open, if there is one. A journal that cannot be opened is no
  // reason to refuse: the recorder then begins in kHolding.
  static std::unique_ptr<Recorder> open(Options options, Parts parts, BootNs now);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // A bounded amount of work; returns how much was done.
  std::size_t step(BootNs now);
  // When step() has something to do even if nobody wakes it; kNever if nothing is due.
  BootNs next_deadline() const;
  // How long a message may lie in its ring unread. While messages come, next_deadline() is no
  // further away, so nobody has to wake the thread for each.
  std::chrono::nanoseconds patience() const { return options_.flush_interval / 2; }
  // Reads and commits what is in the rings now; the session stays open. REQUIRES: no more steps.
  Status stop(BootNs now);

  // Any thread: carried out in step(); the future is ready when it is durable or refused.
  std::future<CommandResult> submit(SessionCommand command);
  LinkReports& link_reports() { return link_reports_; }
  const Published<JournalHeads>& heads() const { return heads_; }
  // What the heads tell of is here, or in the files.
  RecentEntries& recent_entries() { return recent_; }
  const Published<RecorderSnapshot>& snapshot() const { return snapshot_; }
  const Published<LiveSnapshot>& live_view() const { return live_view_; }

 private:
  Recorder(Options options, Parts parts);

  // recorder.cpp: reading and publishing.
  std::size_t look_at_sources(BootNs now);
  std::size_t read_sources(BootNs now);
  std::size_t read_source(SourceReader& source, std::uint64_t limit, BootNs now);
  void note_read(BootNs received, BootNs now);
  void note_due(BootNs when);
  std::size_t maintain(BootNs now);
  void publish(BootNs now);
  void publish_snapshot(BootNs now);
  Conservation conservation_now() const;
  RangeSet live_evicted() const;

  // recorder_commit.cpp: making durable, and what happens if that fails.
  struct Draft;  // A commit, and what is true once it is durable.
  bool commit(BootNs now, CommitExtras extras = {});
  bool commit_chunk(Rekeying::Chunk chunk, std::uint64_t from, const RangeSet& answered,
                    BootNs now);
  void add_anchor(Draft& draft, const ClockReading& reading) const;
  void add_intake(Draft& draft, const ClockReading& reading, BootNs now);
  void add_states(Draft& draft);
  void count(Draft& draft) const;
  void refuse_batches(Intake::Harvest& harvest, Draft& draft, BootNs now);
  void add_marks(Counters& counters, bool is_announced) const;
  bool write(Draft draft, BootNs now);
  void refuse_content(Draft& draft, BootNs now);
  void adopt(const Draft& draft, BootNs now);
  void check_law(const Conservation& conservation);
  void fail_journal(const Status& why, BootNs now);
  bool replace_journal(std::uint64_t rekeyed_from, std::string_view reason, BootNs now);
  void hold(const Status& why, BootNs now);
  void note_error(const std::string& what, const Status& why, BootNs now);

  // recorder_session.cpp: sessions and their boundaries.
  void attach(std::unique_ptr<Journal> journal, BootNs now);
  void reload(BootNs now);
  void reload_source(SourceReader& source, const Counters& counters, BootNs now);
  void note_journal_lost(const SourceReader& source, std::uint64_t journaled,
                         std::uint64_t released, std::uint64_t heard, BootNs now);
  void reload_absent_sources(const Counters& counters);
  void recover(BootNs now);
  bool remember_decoder_states(BootNs now);
  std::size_t take_command(BootNs now);
  void begin_command(BootNs now);
  void set_boundary();
  void begin_start(const StartSession& command, BootNs now);
  std::size_t finish_boundary(BootNs now);
  Status begin_session(const StartSession& command, bool automatic, BootNs now);
  bool begin_automatic_session(BootNs now);
  void bind_session(const BindSession& command, BootNs now);
  void mark_moment(const MarkMoment& command, BootNs now);
  void answer(Status status, std::optional<SessionInfo> session = std::nullopt);

  // recorder_link.cpp: what the link reports, and what it is told.
  std::size_t take_reports(BootNs now);
  std::size_t take_completions(BootNs now);
  void acknowledge_live(const Acknowledged& report, BootNs now);
  void acknowledge_sealed(const Acknowledged& report, BootNs now);
  struct EntryFile {
    std::uint64_t incarnation = 0;
    std::filesystem::path path;
  };
  std::uint64_t bytes_in(const EntryFile& file, const Range& range);
  std::int64_t bytes_change(const EntryFile& file, RangeSet before, RangeSet after,
                            const RangeSet& evicted);
  void publish_heads(BootNs now);
  std::optional<FileHead> find_head(std::uint64_t incarnation) const;

  // recorder_rekey.cpp: what the room refuses.
  void refuse(const IncarnationRefused& refused, BootNs now);
  void rekey_open(const FileHead& head, const RangeSet& spared, BootNs now);
  std::size_t rekey(BootNs now);
  void rekey_ended(const Uuid& session, const FileHead& head, const RangeSet& spared, BootNs now);
  std::size_t step_ended_rekeying(BootNs now);

  // recorder_retention.cpp: making room.
  std::size_t make_room(BootNs now);
  std::uint64_t chunk_of(const SpaceKeeper::Shortage& shortage) const;
  bool give_up(const Giving& giving, EvictReason reason, BootNs now);
  static Evicted evicted_of(const Giving& giving, EvictReason reason, BootNs now);
  bool bury(const RetainedFile& file, Evicted evicted, BootNs now);
  bool remove(const RetainedFile& file, const std::vector<Range>& ranges, BootNs now);
  bool bury_in_ended(const RetainedFile& file, const Evicted& evicted, BootNs now);
  bool bury_lost(BootNs now);
  bool bury_again(const RetainedFile& file, BootNs now);
  void make_room_to_journal(BootNs now);

  // recorder_merge.cpp: laps into blocks.
  bool wants_to_merge() const;
  std::size_t merge_laps(BootNs now);

  // Constant after construction.
  const Options options_;
  const Clock& clock_;
  const std::function<void()> on_published_;

  // Written by this thread only.
  std::unique_ptr<SessionStore> store_;
  // Null: no session is open, or kHolding. While holding it may be there, broken.
  std::unique_ptr<Journal> journal_;
  RecorderState state_ = RecorderState::kIdle;
  std::vector<SourceReader> sources_;
  Intake intake_;

  // The open session, beyond what the journal knows.
  bool session_is_automatic_ = false;
  bool session_is_announced_ = false;  // A session_start event is journaled.
  Counters absent_;                    // Marks of sources that are not configured now...
  std::uint64_t absent_in_ring_ = 0;   // ...and what was in their rings.
  // Decoder states as of the last commit of whatever session: schemas announced once stay known.
  std::map<std::string, std::string> decoder_states_;
  std::vector<NewEvent> events_;  // For the next commit.

  // Clock anchor in force in the journal file; none: the next commit writes one.
  std::optional<ClockReading> anchor_;
  std::optional<std::uint64_t> lap_version_;  // Of the lap engine's state in the file.

  // Duty.
  BootNs due_ns_ = kNever;        // When the next commit is due; kNever if nothing waits.
  BootNs oldest_message_ns_ = 0;  // Receive time of the oldest uncommitted message; 0 if none.
  BootNs last_commit_ns_ = 0;
  BootNs look_ns_ = kNever;  // When the rings are looked at again; kNever: when woken.
  BootNs retry_ns_ = 0;
  BootNs merge_due_ = 0;
  // Reports of the link that box.db could not take yet, and when to try again.
  std::optional<RoomSeen> seen_due_;
  std::optional<SessionCompleted> completed_due_;
  BootNs completions_at_ = 0;
  BootNs replaced_ns_ = 0;  // When a journal was last replaced; 0: never.
  BootNs published_ns_ = 0;
  BootNs live_published_ns_ = 0;
  bool changed_ = true;       // Since the last snapshot.
  bool live_due_ = false;     // Values changed since the last live view.
  bool checkpointed_ = true;  // Since the last commit.
  std::size_t next_source_ = 0;

  // The command being carried out, and where each source's old session ends.
  struct Waiting {
    SessionCommand command;
    std::promise<CommandResult> reply;
  };
  BoundedQueue<std::shared_ptr<Waiting>> commands_;
  std::shared_ptr<Waiting> current_;
  std::optional<std::vector<std::uint64_t>> boundary_;

  // Acknowledgements on their way into the journal.
  LinkReports link_reports_;
  RangeSet acknowledged_;  // For the next commit.
  bool acknowledged_replaces_ = false;
  std::uint64_t acknowledged_by_ = 0;  // Of the live file: FileHead::acknowledged_by.
  std::int64_t acknowledged_bytes_ = 0;
  std::unique_ptr<JournalReader> sizes_;  // For bytes_change().
  LapMerger merger_;
  EntryTerms sealed_;                              // Of the session's other files.
  std::unique_ptr<Rekeying> rekeying_;             // Of the open session; null: none.
  std::unique_ptr<EndedRekeying> ended_rekeying_;  // Of another session; null: none.

  // Making room.
  SpaceKeeper space_;
  Retention retention_;
  BootNs space_due_ = 0;
  // The disk was so full that nothing could be journaled: nothing is read until there is room
  // again, or nothing left to make it with. The rings hold meanwhile.
  bool is_making_room_ = false;
  bool is_short_ = false;                  // Something is to be given up.
  bool is_starving_ = false;               // The disk is full and there is nothing left to give up.
  static constexpr int kMemoryTries = 10;  // A second apart.
  int memory_tries_ = 0;
  bool look_for_interrupted_ = true;  // A sealed file may wait to be rolled back.
  bool look_for_lost_ = true;         // The room may have lost what was deleted here.
  LogLimit giving_up_{std::chrono::seconds(10)};

  // For the snapshot.
  std::uint64_t commits_ = 0;
  BootNs last_commit_took_ns_ = 0;
  DurationCounts commit_took_;
  std::array<std::uint64_t, 16> commit_age_ms_log2_{};
  std::uint64_t law_violations_ = 0;
  std::string last_violation_;
  std::string error_;
  BootNs error_ns_ = 0;

  Published<JournalHeads> heads_;
  RecentEntries recent_;
  Published<RecorderSnapshot> snapshot_;
  Published<LiveSnapshot> live_view_;
};

}  // namespace pitbox
