// RoomCore: one session's room: what it answers to a box and to viewers (ROOM.md), without sockets.
// It speaks through an Outbound and keeps everything in a RoomStore, so that a simulation can drive
// it with seeds and a faulty disk.
//
// Threads: one. Nothing blocks but the store's disk.
//
// An entry goes: parts -> whole entry -> compared with what is held -> decoded and its hash
// recomputed -> written into the open transaction -> commit -> acknowledgement -> viewers. A commit
// is due when the oldest waiting write is `commit_delay()` old or kCommitBytes wait; everything
// that waits shares it.
//
// When the store fails, all connections are closed and the room has_failed(); its owner drops it
// and opens it again from the file. Nothing was acknowledged that is not in the file.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/batch.h"
#include "proto/log_limit.h"
#include "proto/room.pb.h"
#include "room/outbound.h"
#include "room/part_assembler.h"
#include "room/room_store.h"
#include "room/viewers.h"

namespace pitbox {

inline constexpr std::size_t kCommitBytes = std::size_t{4} << 20;

struct RoomCounters {
  std::uint64_t entries_stored = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t conflicts = 0;  // Alarm: a journal was replaced, or two boxes share an identity.
  std::uint64_t refused = 0;    // Alarm: damaged bytes, or a peer that breaks the protocol.
  std::uint64_t commits = 0;
  std::uint64_t replaced = 0;
  std::uint64_t store_failures = 0;  // Alarm.
};

class RoomCore {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    // A commit waits at least this long for company, and at most the other; between them, as long
    // as the last one took, so that a slow disk spends half its time on commits, not all of it.
    std::chrono::microseconds commit_delay_min{2'000};
    std::chrono::microseconds commit_delay_max{10'000};
    std::chrono::seconds stall_limit{30};
    std::chrono::milliseconds state_interval{2'000};
    std::size_t viewers_max = 64;
    // Told in every Welcome (ROOM.md): of the store since it was opened. 0: none; Rooms makes one.
    std::uint64_t store_id = 0;
    // By which it measures how long a commit took; the system's if empty.
    std::function<Clock::time_point()> now;
  };

  RoomCore(std::unique_ptr<RoomStore> store, Outbound& outbound, const Options& options);

  // A connection's first frame, or a browser's connection. The room closes what it refuses.
  void hello(ConnectionId id, const words::Hello& hello, Clock::time_point now);
  void subscribe(ConnectionId id, const words::Subscribe& subscribe, Clock::time_point now);
  void add_page(ConnectionId id, Clock::time_point now);
  // Any later frame. `bytes` is the frame as it came, for passing it on.
  void receive(ConnectionId id, const words::Frame& frame, std::string_view bytes,
               Clock::time_point now);
  // The connection is gone, whoever closed it.
  void disconnected(ConnectionId id, Clock::time_point now);

  // Commits if that is due, feeds viewers. True if there is more to do right now.
  bool step(Clock::time_point now);
  // When step() has something to do even if nothing comes in.
  std::optional<Clock::time_point> next_due() const;
  // Commits now, whatever waits, and answers.
  void commit();
  // Commits, says Goodbye to all and closes them; empties the WAL.
  void shut_down(std::string_view reason, std::uint32_t retry_after_ms);

  // Requests to the box. kRejected if none is connected.
  Status pull(std::uint64_t incarnation, const RangeSet& ranges);
  Status slow(std::uint64_t bytes_per_second, std::uint32_t for_ms);

  bool has_failed() const { return has_failed_; }
  bool is_idle() const { return !box_.has_value() && viewers_.size() == 0; }
  bool is_box_connected() const { return box_.has_value(); }
  RoomState state() const;
  const RoomStore& store() const { return *store_; }
  const RoomCounters& counters() const { return counters_; }
  const Viewers::Counters& viewer_counters() const { return viewers_.counters(); }
  std::chrono::microseconds commit_delay() const;

 private:
  struct Box {
    Box(ConnectionId its_connection, const Uuid& its_id) : connection(its_connection), id(its_id) {}
    ConnectionId connection;
    Uuid id;
    PartAssembler assembler;
    bool awaits_complete = false;  // Said SessionFinished and was not yet answered.
  };
  // What decoding an entry told.
  struct Checked {
    std::string kind;
    std::vector<std::uint64_t> definitions;
    std::optional<words::Event> event;
  };

  using Known = std::map<std::uint64_t, RangeSet>;  // By incarnation.
  // `box`, `known`: null and empty for a viewer.
  void welcome(ConnectionId id, const Uuid* box, const Known& known);
  Status add_contents(const RoomFile& file, const RangeSet& known, int& hashes_left, int& runs_left,
                      words::Held& held);
  void replace_box();
  void receive_definition(const words::Definition& definition);
  void receive_part(const words::Part& part);
  void receive_finished(const words::SessionFinished& finished);
  void take(AssembledEntry entry);
  void store_entry(RoomEntry entry, const Checked& checked);
  Result<Checked> check(const AssembledEntry& entry);
  Result<Checked> check_event_entry(const AssembledEntry& entry) const;
  Status apply(const words::Event& event);
  void acknowledge(const std::map<std::int64_t, RangeSet>& touched);
  void send_ack(const RoomFile& file, const RangeSet& touched);
  void answer_complete();
  void refuse_box(CloseCode code, const std::string& reason);
  void refuse(ConnectionId id, CloseCode code, const std::string& reason,
              std::uint32_t retry_after_ms);
  void send(ConnectionId id, const words::Frame& frame);
  void say_goodbye(ConnectionId id, std::string_view reason, std::uint32_t retry_after_ms);
  void fail(const Status& status);
  void tell_pages(Clock::time_point now);
  bool has_waiting() const;
  void note_waiting(Clock::time_point now);

  // Constant after construction.
  Options options_;
  std::unique_ptr<RoomStore> store_;
  Outbound& outbound_;

  Viewers viewers_;
  std::optional<Box> box_;
  DecodedBatch decoded_;            // The memory of check().
  std::vector<RoomEntry> waiting_;  // In the open transaction, for the viewers.
  std::size_t waiting_bytes_ = 0;
  std::map<std::int64_t, RangeSet> found_again_;  // Duplicates, to be acknowledged again.
  std::optional<Clock::time_point> waiting_since_;
  std::chrono::microseconds last_commit_{0};
  Clock::time_point told_pages_at_{};
  bool has_failed_ = false;
  RoomCounters counters_;
  LogLimit refusals_;
};

}  // namespace pitbox
