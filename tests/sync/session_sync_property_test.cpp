// Exactly once, whatever the link does: under a seed, connections open and break at random moments,
// frames in flight are lost in both directions, the room dies between taking and committing,
// forgets and remembers, the journal grows, sessions end. When the faults stop, the room holds
// every entry, each once and under its own hash, and the recorder was told so. A failure prints its
// seed.

#include <gtest/gtest.h>

#include <random>

#include "sync/session_sync.h"
#include "tests/sync/fake_journal.h"
#include "tests/sync/fake_room.h"

namespace pitbox {
namespace {

using testing::FakeJournal;
using testing::FakeRoom;

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (int file = 1; file <= 2; ++file) {
      for (std::uint64_t i = 0; i < random_() % 60; ++i) grow(static_cast<std::uint64_t>(file));
    }
    grow(2);
    SessionSync::Options options;
    options.box_id = Uuid::mint();
    sync.emplace(options, journal, SyncReports{acknowledged, completed, seen, refused},
                 journal.heads());
  }

  void run_with_faults(int turns) {
    for (int i = 0; i < turns; ++i) {
      turn();
      if (chance(40)) disconnect();
      if (chance(200)) room.crash();
      if (chance(300)) forget_some();
      if (chance(5)) grow(2);
      sync->update(now_, journal.heads());
    }
  }
  void end_and_settle() {
    journal.ended = true;
    sync->update(now_, journal.heads());
    disconnect();
    for (int i = 0; i < 4000 && !sync->is_complete(); ++i) turn();
    for (int i = 0; i < 5; ++i) turn();
  }

  FakeJournal journal;
  FakeRoom room;
  std::optional<SessionSync> sync;
  std::map<std::uint64_t, RangeSet> told;  // What the recorder knows.
  BoundedQueue<Acknowledged> acknowledged{4};
  BoundedQueue<SessionCompleted> completed{4};
  LatestSlot<RoomSeen> seen;
  BoundedQueue<IncarnationRefused> refused{4};

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  void grow(std::uint64_t file) {
    const std::size_t bytes = chance(8) ? 1 + random_() % 90'000 : 1 + random_() % 900;
    if (chance(12)) {
      journal.add_lap(file);
    } else {
      journal.add(file, bytes, definitions_.at(random_() % definitions_.size()));
    }
  }
  void disconnect() {
    if (!sync->is_open()) return;
    to_room_.clear();
    room.replies.clear();
    sync->closed(now_);
  }
  // The room is restored from an older state: it knows less than it once acknowledged.
  void forget_some() {
    disconnect();
    for (auto it = room.held.begin(); it != room.held.end();) {
      it = chance(3) ? room.held.erase(it) : std::next(it);
    }
  }
  void turn() {
    now_ += static_cast<BootNs>(random_() % 20) * kNsPerMs;
    if (!sync->is_open()) {
      room.connect();
      sync->opened(now_);
    }
    if (sync->step(now_)) return disconnect();
    for (std::uint64_t i = 0; i < random_() % 12; ++i) {
      std::string frame;
      if (!sync->next_frame(now_, frame)) break;
      to_room_.push_back(std::move(frame));
    }
    // The path delays: what was sent in this turn may arrive in a later one, in order.
    while (!to_room_.empty() && !chance(6)) {
      room.take(to_room_.front());
      to_room_.pop_front();
    }
    if (chance(3)) room.commit();
    while (!room.replies.empty() && !chance(6)) {
      const Status status = sync->received(now_, *room.next_reply());
      ASSERT_TRUE(status.ok()) << status.message();
    }
    while (auto report = acknowledged.try_pop()) {
      RangeSet& known = told[report->incarnation];
      if (report->replaces) known.clear();
      known.add_all(report->ranges);
    }
  }

  std::mt19937_64 random_;
  BootNs now_ = 1000 * kNsPerMs;
  std::deque<std::string> to_room_;
  std::vector<DefinitionPtr> definitions_ = {
      testing::make_definition("a"), testing::make_definition("b"), testing::make_definition("c")};
};

TEST(SessionSyncProperty, TheRoomHoldsEverythingExactlyOnceWhenTheFaultsStop) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    world.run_with_faults(600);
    world.end_and_settle();
    ASSERT_FALSE(::testing::Test::HasFailure());
    ASSERT_TRUE(world.sync->is_complete());
    EXPECT_EQ(world.sync->pending(), 0U);
    std::size_t total = 0;
    for (const FileHead& head : world.journal.heads().files) {
      total += head.last;
      for (std::uint64_t sequence = 1; sequence <= head.last; ++sequence) {
        const auto held = world.room.held.find({head.incarnation, sequence});
        ASSERT_NE(held, world.room.held.end()) << head.incarnation << "/" << sequence;
        EXPECT_EQ(held->second,
                  world.journal.entry(head.incarnation, sequence).value().hashes[0].raw());
      }
      if (head.last > 0) {
        EXPECT_TRUE(world.told[head.incarnation].contains(Range{1, head.last}));
      }
    }
    EXPECT_EQ(world.room.held.size(), total);
    EXPECT_EQ(world.room.resent_held, 0);
    EXPECT_TRUE(world.completed.try_pop().has_value());
    EXPECT_FALSE(world.refused.try_pop().has_value());
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace pitbox
