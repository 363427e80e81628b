// Goal: a journal that fails costs neither a record nor the process. Method: real SQLite files and
// a real limit: RLIMIT_FSIZE makes every write beyond it fail, as a disk that is full or broken.

#include "buffer/recorder.h"
#include "file_limit.h"
#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::expect_exactly;
using rig::Kept;
using rig::kMillisecond;
using rig::Rig;

TEST(RecorderFailure, ReplacesAJournalWhoseCommitFailedAndReadsTheRecordsAgain) {
  Rig rig;
  rig.with_laps = true;
  rig.options.wal_bytes_target = std::size_t{1} << 30;  // The write-ahead log only grows.
  rig.options.idle_checkpoint = std::chrono::hours(1);
  rig.open();
  rig.say("D");
  std::uint64_t next = 1;
  {
    const FileLimit limit(std::uint64_t{1} << 20);
    for (int i = 0; i < 200; ++i) {
      rig.say_rows(next, 10);
      next += 10;
      rig.flush();
      ASSERT_NE(rig.snapshot().state, RecorderState::kIdle);
      if (rig.snapshot().conservation.journals_replaced > 0) break;
    }
  }
  EXPECT_GE(rig.snapshot().conservation.journals_replaced, 1U);
  EXPECT_FALSE(rig.snapshot().error.empty());
  rig.say_rows(next, 10);
  rig.flush();
  rig.pass(2000);
  EXPECT_EQ(rig.snapshot().state, RecorderState::kRecording);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, next + 9);
  EXPECT_GE(rig.live_heads().files.size(), 2U);
  rig.crash();
  const Kept kept = rig.kept();
  EXPECT_GE(kept.files, 2U);
  expect_exactly(kept, 1, next + 9);
  EXPECT_EQ(kept.count_kind("session_start"), 1U);
  EXPECT_EQ(kept.counters.at("entries.journaled"), kept.entries);
}

// The room says it once; a full disk must not make the box forget it.
TEST(RecorderFailure, ASessionIsMarkedCompleteOnceTheDiskTakesIt) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  rig.flush();
  const Uuid session = rig.snapshot().session->id;
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  {
    const FileLimit limit(4096);
    const RoomIdentity room{.url = "ws://room", .store = 1};
    ASSERT_TRUE(
        rig.recorder->link_reports().completed.try_push({.session = session, .room = room}));
    rig.step();
    EXPECT_FALSE(rig.snapshot().error.empty());
    EXPECT_EQ(rig.recorder->heads().get()->sessions.size(), 1U);
  }
  rig.pass(2000);
  EXPECT_TRUE(rig.recorder->heads().get()->sessions.empty());
}

TEST(RecorderFailure, HoldsWhileNothingCanBeWrittenAndCarriesOnAfterwards) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  rig.flush();
  {
    const FileLimit limit(4096);
    rig.say_rows(101, 100);
    rig.flush();
    EXPECT_EQ(rig.snapshot().state, RecorderState::kHolding);
    EXPECT_FALSE(rig.snapshot().error.empty());
    EXPECT_EQ(rig.command(EndSession{}).status.code(), Code::kTryAgain);
    rig.say_rows(201, 100);
    rig.pass(5000);
    EXPECT_EQ(rig.snapshot().state, RecorderState::kHolding);
    EXPECT_EQ(rig.snapshot().conservation.messages.in_ring, 20U) << "the ring holds";
    EXPECT_LE(rig.recorder->next_deadline(), rig.clock.boot + 1000 * kMillisecond);
  }
  rig.pass(2000);
  EXPECT_EQ(rig.snapshot().state, RecorderState::kRecording);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 300U);
  rig.crash();
  expect_exactly(rig.kept(), 1, 300);
}

TEST(RecorderFailure, KeepsWhatWaitsWhenEvenTheFirstSessionCannotBegin) {
  Rig rig;
  rig.open();
  {
    const FileLimit limit(4096);
    rig.say("D");
    rig.say_rows(1, 100);
    rig.pass(3000);
    EXPECT_EQ(rig.snapshot().state, RecorderState::kHolding);
  }
  rig.pass(2000);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 100U);
  rig.crash();
  expect_exactly(rig.kept(), 1, 100);
}

TEST(RecorderFailure, SurvivesAKillWhileItHolds) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  rig.flush();
  {
    const FileLimit limit(4096);
    rig.say_rows(101, 100);
    rig.flush();
    ASSERT_EQ(rig.snapshot().state, RecorderState::kHolding);
    rig.crash();
  }
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 200U);
  rig.crash();
  expect_exactly(rig.kept(), 1, 200);
}

// If the journal went back in time before the next commit, they would be journaled a second time.
TEST(RecorderFailure, ReleasesAtTheStartWhatADeadProcessHadJournaled) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  const std::filesystem::path ring = rig.folder / "udp.ring";
  std::filesystem::copy_file(ring, ring.string() + ".copy");
  rig.flush();
  const std::uint64_t journaled = rig.rings["udp"]->tail();
  rig.crash();
  std::filesystem::rename(ring.string() + ".copy", ring);  // Died behind its commit.
  rig.open();
  EXPECT_EQ(rig.rings["udp"]->tail(), journaled);
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 100U);
}

TEST(RecorderFailure, SaysWhatWentWithAnOlderCopyThatWasPutBack) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  rig.flush();
  const std::filesystem::path file = rig.live_heads().files.back().file;
  rig.crash();
  const std::filesystem::path copy = rig.folder / "copy.db";
  std::filesystem::copy_file(file, copy);
  rig.open();
  rig.say_rows(101, 50);
  rig.flush();
  rig.say_rows(151, 20);  // In the ring still.
  rig.crash();
  std::filesystem::rename(copy, file);
  rig.open();
  rig.flush();
  const Kept kept = rig.kept();
  EXPECT_EQ(kept.numbers.size(), 120U);
  ASSERT_EQ(kept.gaps().size(), 1U);
  EXPECT_EQ(kept.gaps()[0].reason(), "journal_lost");
  EXPECT_TRUE(kept.gaps()[0].count_known());
  EXPECT_EQ(kept.gaps()[0].count(), 5U) << "messages of ten rows";
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.messages.dropped.at(static_cast<std::size_t>(DropReason::kJournalLost)), 5U);
  EXPECT_EQ(counted.messages.heard, 18U);
}

TEST(RecorderFailure, EndsTheSessionAfterTheFailureThatMetItsLastCommit) {
  Rig rig;
  rig.with_laps = true;
  rig.open();
  const CommandResult race = rig.command(StartSession{.name = "R", .type = "race", .id = {}});
  rig.say("D");
  rig.say_rows(1, 100);
  rig.flush();
  rig.say_rows(101, 100);
  auto ending = rig.recorder->submit(EndSession{});
  {
    const FileLimit limit(4096);
    rig.flush();
    EXPECT_EQ(rig.snapshot().state, RecorderState::kHolding);
    rig.say_rows(201, 10);
  }
  rig.pass(3000);
  ASSERT_EQ(ending.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_TRUE(ending.get().status.ok());
  rig.crash();
  const Kept kept = rig.kept(race.session->id);
  expect_exactly(kept, 1, 200);
  EXPECT_EQ(kept.count_kind("session_end"), 1U);
  EXPECT_EQ(kept.count_kind("lap"), 1U);
}

}  // namespace
}  // namespace pitbox
