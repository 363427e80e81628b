// What the tests of a session's conversation share: a fake clock, a fake journal, and a room that
// checks the protocol to the letter (fake_room.h), in a loop instead of a transport.

#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sync/session_sync.h"
#include "tests/sync/fake_journal.h"
#include "tests/sync/fake_room.h"

namespace pitbox::testing {

inline constexpr BootNs kMs = 1'000'000;
inline constexpr std::uint64_t kFile = 0x9f01;
inline constexpr std::uint64_t kOtherFile = 0x9f02;
inline constexpr char kRoomUrl[] = "ws://room";

class SessionSyncRig : public ::testing::Test {
 protected:
  void given_entries(int count, std::size_t bytes = 500, std::uint64_t file = kFile) {
    const bool is_batch = bytes > 10'000;
    for (int i = 0; i < count; ++i) journal_.add(file, bytes, is_batch ? definition_ : nullptr);
  }
  SessionSync& sync() {
    if (!sync_) {
      SessionSync::Options options;
      options.box_id = Uuid::mint();
      options.software = "test";
      options.room_url = kRoomUrl;
      sync_.emplace(options, journal_, SyncReports{acknowledged_, completed_, seen_, refused_},
                    journal_.heads());
    }
    return *sync_;
  }
  void commit_more(int count, std::size_t bytes = 500, std::uint64_t file = kFile) {
    given_entries(count, bytes, file);
    sync().update(now_, journal_.heads());
  }
  void connect() {
    room_.connect();
    sync().opened(now_);
    exchange();
  }
  // Everything that goes now goes, in both directions; the room commits nothing.
  int exchange() {
    int frames = 0;
    for (;;) {
      std::string frame;
      const bool wanted = sync().wants_to_send(now_);
      if (sync().next_frame(now_, frame)) {
        EXPECT_TRUE(wanted) << "a frame that nobody would have asked for";
        room_.take(frame);
        ++frames;
      } else if (const auto reply = room_.next_reply()) {
        const Status status = sync().received(now_, *reply);
        EXPECT_TRUE(status.ok()) << status.message();
      } else {
        return frames;
      }
    }
  }
  // Rounds of 10 ms with a commit of the room in each.
  void run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      now_ += 10 * kMs;
      verdict_ = sync().step(now_);
      if (verdict_) return;
      exchange();
      room_.commit();
      exchange();
    }
  }
  std::vector<std::uint64_t> arrived() const {
    std::vector<std::uint64_t> sequences;
    for (const auto& arrival : room_.arrivals) sequences.push_back(arrival.key.second);
    return sequences;
  }
  template <typename T>
  std::vector<T> taken(BoundedQueue<T>& queue) {
    std::vector<T> all;
    while (auto one = queue.try_pop()) all.push_back(std::move(*one));
    return all;
  }

  const DefinitionPtr definition_ = make_definition("engine");
  FakeJournal journal_;
  FakeRoom room_;
  BoundedQueue<Acknowledged> acknowledged_{64};
  BoundedQueue<SessionCompleted> completed_{4};
  LatestSlot<RoomSeen> seen_;
  BoundedQueue<IncarnationRefused> refused_{4};
  std::optional<SessionSync> sync_;
  std::optional<SessionSync::Verdict> verdict_;
  BootNs now_ = 1000 * kMs;
};

}  // namespace pitbox::testing
