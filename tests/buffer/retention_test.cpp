// Goal: the ladder of retention: what the room has goes first, then the oldest behind tombstones,
// marked laps last, laps and events never; every loss is counted, told, and survives a restart.
// Method: a recorder with everything real but the size of its disk.

#include "buffer/retention.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "buffer/journal_removal.h"
#include "file_limit.h"
#include "proto/sqlite.h"
#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::Kept;
using rig::Rig;

constexpr std::uint64_t kRowsPerBatch = 1000;
constexpr std::uint64_t kKiB = 1024;

RangeSet all_of(std::uint64_t first, std::uint64_t last) {
  RangeSet ranges;
  ranges.add(Range{first, last});
  return ranges;
}

// What the databases of a folder take, without their WALs: those come and go.
std::uint64_t database_bytes(const std::filesystem::path& folder) {
  std::uint64_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    struct stat found {};
    const bool is_database = entry.path().extension() == ".db";
    if (is_database && ::stat(entry.path().c_str(), &found) == 0) {
      sum += static_cast<std::uint64_t>(found.st_blocks) * 512;
    }
  }
  return sum;
}

// The disk's size is `disk_bytes`; what the journals take on it is real.
struct SmallDisk : Rig {
  SmallDisk() {
    options.space.is_on = true;
    options.space.keep_free_bytes = 64 * kKiB;
    options.space.reserve_bytes = 0;
    options.wal_bytes_target = journal_options.wal_bytes_target = 256 * kKiB;
    options.space.probe = [this](const std::filesystem::path& directory) -> Result<DiskSpace> {
      const std::uint64_t used = database_bytes(directory / "sessions");
      return DiskSpace{.total = disk_bytes + others_bytes,
                       .free = disk_bytes - std::min(disk_bytes, used)};
    };
  }
  // A batch of about 4 KiB each.
  void given_batches(std::uint64_t count) {
    say("D");
    for (std::uint64_t i = 0; i < count; ++i) {
      say_rows(next, kRowsPerBatch);
      next += kRowsPerBatch;
      flush();
    }
  }
  void acknowledge(std::uint64_t first, std::uint64_t last, bool replaces = false) {
    const RecorderSnapshot now = snapshot();
    ASSERT_TRUE(recorder->link_reports().acknowledged.try_push({.session = now.session->id,
                                                                .incarnation = now.incarnation,
                                                                .replaces = replaces,
                                                                .ranges = all_of(first, last)}));
    flush();
  }
  // With what the next checkpoint will move.
  std::uint64_t used() {
    pass(2000);
    return database_bytes(folder / "state" / "sessions");
  }
  FileHead live_file() { return live_heads().files.back(); }
  std::uint64_t records_missing(const Kept& kept) const { return next - 1 - kept.numbers.size(); }

  std::uint64_t disk_bytes = std::uint64_t{1} << 40;
  std::uint64_t others_bytes = 0;  // Of the same disk, taken by other programs.
  std::uint64_t next = 1;
};

std::uint64_t answered_by_tombstones(const Kept& kept, std::uint64_t* records = nullptr) {
  std::uint64_t answered = 0;
  for (const words::Event& event : kept.events) {
    if (!event.has_tombstone()) continue;
    answered += event.tombstone().last() - event.tombstone().first() + 1;
    if (records != nullptr) *records += event.tombstone().records();
  }
  return answered;
}

TEST(Retention, DeletesWhatTheRoomHasBeforeAnythingIsLost) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(100);
  rig.acknowledge(1, 60);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(20);
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.entries.evicted_sum(), 0U);
  const FileHead file = rig.live_file();
  EXPECT_GT(file.removed.count(), 0U);
  EXPECT_TRUE(file.evicted.empty());
  for (const Range& range : file.removed.ranges()) EXPECT_LE(range.last, 60U);
  // All that the room does not have is there, once.
  const Kept kept = rig.kept();
  for (std::uint64_t n = 60 * kRowsPerBatch; n < rig.next; ++n) {
    ASSERT_EQ(kept.numbers.count(n), 1U);
  }
  EXPECT_EQ(rig.records_missing(kept), file.removed.count() * kRowsPerBatch);
}

TEST(Retention, BuriesTheOldestWhenTheRoomHasNothing) {
  SmallDisk rig;
  rig.with_laps = true;
  rig.open();
  rig.given_batches(100);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(100);
  const Conservation counted = rig.snapshot().conservation;
  const std::uint64_t evicted =
      counted.entries.evicted.at(static_cast<std::size_t>(EvictReason::kDiskFull));
  ASSERT_GT(evicted, 50U);
  EXPECT_EQ(counted.records_evicted, evicted * kRowsPerBatch);
  EXPECT_GT(counted.bytes_evicted, 0U);
  const FileHead file = rig.live_file();
  EXPECT_EQ(file.evicted.count(), evicted);
  const Kept kept = rig.kept();
  std::uint64_t records = 0;
  EXPECT_EQ(answered_by_tombstones(kept, &records), evicted);
  EXPECT_EQ(records, counted.records_evicted);
  EXPECT_EQ(rig.records_missing(kept), file.removed.count() * kRowsPerBatch);
  // The oldest: what is there begins where what is gone ends.
  EXPECT_EQ(kept.numbers.begin()->first, rig.records_missing(kept) + 1);
  // Every lap is there, also as a row; tombstones name those that lost data.
  EXPECT_EQ(kept.laps.size(), 200U);
  EXPECT_EQ(kept.count_kind("lap"), 200U);
  for (const words::Event& event : kept.events) {
    EXPECT_TRUE(!event.has_tombstone() || event.tombstone().laps_size() > 0);
  }
  // The file did not grow beyond its disk.
  EXPECT_LT(rig.used(), rig.disk_bytes);
}

// What others have goes early; what nobody has goes only where nothing could be written any more.
TEST(Retention, LosesNothingWhileThereIsRoomToWrite) {
  SmallDisk rig;
  rig.options.space.keep_free_bytes = 64U << 20U;
  rig.open();
  rig.given_batches(20);
  rig.acknowledge(1, 10);
  rig.disk_bytes = rig.used() + (32U << 20U);  // Less than is to be kept free, and plenty.
  rig.others_bytes = std::uint64_t{1} << 40;
  rig.given_batches(30);
  const RecorderSnapshot now = rig.snapshot();
  EXPECT_FALSE(now.is_starving);
  EXPECT_EQ(now.conservation.entries.evicted_sum(), 0U);
  EXPECT_EQ(now.conservation.records.rejected_sum(), 0U);
  const FileHead file = rig.live_file();
  EXPECT_GT(file.removed.count(), 0U);
  EXPECT_EQ(file.removed.ranges().back().last, 10U);
  const Kept kept = rig.kept();
  EXPECT_EQ(rig.records_missing(kept), file.removed.count() * kRowsPerBatch);
}

TEST(Retention, SurvivesARestartWithItsCountsAndTombstones) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(60);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(60);
  const Conservation before = rig.snapshot().conservation;
  const FileHead head = rig.live_file();
  ASSERT_GT(before.entries.evicted_sum(), 0U);
  rig.disk_bytes = std::uint64_t{1} << 40;
  rig.reopen();
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), before.entries.evicted_sum());
  EXPECT_EQ(rig.live_file().evicted, head.evicted);
  EXPECT_EQ(rig.live_file().removed, head.removed);
  // Also behind a new file of the session, and when box.db is lost.
  std::filesystem::copy_file(head.file, head.file.string() + ".copy");
  std::filesystem::rename(head.file.string() + ".copy", head.file);  // Another inode.
  rig.reopen();
  rig.flush();
  ASSERT_EQ(rig.live_heads().files.size(), 2U);
  EXPECT_EQ(rig.live_heads().files.front().evicted, head.evicted);
  EXPECT_EQ(rig.live_heads().files.front().removed, head.removed);
  rig.crash();
  for (const char* ending : {"", "-wal", "-shm"}) {
    std::filesystem::remove((rig.folder / "state" / "box.db").string() + ending);
  }
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.live_heads().files.front().evicted, head.evicted);
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), before.entries.evicted_sum());
}

// Of a journal and its WAL.
class Copy {
 public:
  explicit Copy(std::filesystem::path file) : file_(std::move(file)) {
    for (const char* ending : {"", "-wal"}) {
      std::ifstream in(file_.string() + ending, std::ios::binary);
      bytes_[ending] = std::string(std::istreambuf_iterator<char>(in), {});
    }
  }
  // The file's inode stays.
  void put_back() const {
    std::filesystem::remove(file_.string() + "-shm");
    for (const auto& [ending, bytes] : bytes_) {
      std::ofstream(file_.string() + ending, std::ios::binary | std::ios::trunc) << bytes;
    }
  }

 private:
  std::filesystem::path file_;
  std::map<std::string, std::string> bytes_;
};

// The copy told of what another file lost; that is gone, and told again.
TEST(Retention, TombstonesThatWentWithAnOlderCopyAreWrittenAgain) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(100);
  const std::filesystem::path older = rig.live_file().file;
  rig.crash();
  std::filesystem::copy_file(older, older.string() + ".copy");
  std::filesystem::rename(older.string() + ".copy",
                          older);  // Another inode: a new file takes over.
  rig.open();
  rig.given_batches(2);
  const std::filesystem::path file = rig.live_file().file;
  ASSERT_NE(file, older);
  rig.crash();
  const Copy copy(file);
  rig.open();
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(40);
  const RangeSet evicted = rig.live_heads().files.front().evicted;
  ASSERT_GT(evicted.count(), 0U);
  rig.crash();
  copy.put_back();
  rig.disk_bytes = std::uint64_t{1} << 40;
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.live_heads().files.front().evicted, evicted);
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.entries.evicted.at(static_cast<std::size_t>(EvictReason::kRoomLost)),
            evicted.count());
  EXPECT_EQ(answered_by_tombstones(rig.kept()), evicted.count());
}

// Its tombstones went with what the copy does not have.
TEST(Retention, WhatAnOlderCopyHasAgainIsToBeSentAgain) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(60);
  const std::filesystem::path file = rig.live_file().file;
  const std::uint64_t last_of_copy = rig.live_file().last;
  const std::uint64_t rows_of_copy = rig.next - 1;
  rig.crash();
  const Copy copy(file);
  rig.open();
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(60);
  ASSERT_GT(rig.snapshot().conservation.entries.evicted_sum(), 0U);
  rig.crash();
  copy.put_back();
  rig.disk_bytes = std::uint64_t{1} << 40;
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), 0U);
  const std::vector<FileHead> files = rig.live_heads().files;
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files.front().last, last_of_copy);
  EXPECT_TRUE(files.front().evicted.empty());
  EXPECT_TRUE(files.front().removed.empty());
  const Kept kept = rig.kept();
  EXPECT_EQ(answered_by_tombstones(kept), 0U);
  for (std::uint64_t n = 1; n <= rows_of_copy; ++n) ASSERT_EQ(kept.numbers.count(n), 1U) << n;
}

// What a commit that failed shows of itself does not count: no tombstone that it shows, but what it
// deleted would be gone.
TEST(Retention, DeletesOnlyWhatEarlierCommitsAnswerFor) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(60);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  RangeSet told;
  for (int i = 0; i < 40; ++i) {
    rig.say_rows(rig.next, kRowsPerBatch);
    rig.next += kRowsPerBatch;
    for (int passed = 0; passed < 300; passed += 10) {
      rig.clock.boot += 10 * rig::kMillisecond;
      while (rig.recorder->step(rig.clock.boot) > 0) {
        const FileHead file = rig.live_file();
        for (const Range& range : file.removed.ranges()) {
          ASSERT_TRUE(told.contains(range)) << range.first << ".." << range.last;
        }
        told.add_all(file.evicted);
      }
    }
  }
  EXPECT_GT(rig.live_file().removed.count(), 0U);
}

TEST(Retention, KeepsMarkedLapsUntilNothingElseIsLeft) {
  SmallDisk rig;
  rig.with_laps = true;
  rig.open();
  // Each batch is a lap.
  rig.given_batches(35);
  ASSERT_TRUE(rig.command(MarkMoment{.car = "7", .text = "here"}).status.ok());
  rig.given_batches(65);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(80);
  ASSERT_GT(rig.snapshot().conservation.entries.evicted_sum(), 50U);
  const Kept kept = rig.kept();
  EXPECT_EQ(kept.count_kind("mark"), 1U);
  EXPECT_EQ(kept.numbers.count(33'500), 0U);
  for (std::uint64_t n = 35'001; n <= 36'000; ++n) ASSERT_EQ(kept.numbers.count(n), 1U) << n;
  EXPECT_EQ(kept.numbers.count(37'500), 0U);
}

TEST(Retention, GivesTheSpaceOfAnOldSessionBack) {
  SmallDisk rig;
  rig.open();
  ASSERT_TRUE(rig.command(StartSession{.name = "old", .id = {}}).status.ok());
  rig.given_batches(100);
  const std::uint64_t last = rig.snapshot().last_sequence;
  const Uuid old = rig.snapshot().session->id;
  rig.acknowledge(1, last);
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  ASSERT_TRUE(rig.command(StartSession{.name = "new", .id = {}}).status.ok());
  const std::filesystem::path file = rig.sessions().front().files.front();
  struct stat before {};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(50);
  struct stat after {};
  ASSERT_EQ(::stat(file.c_str(), &after), 0);
  EXPECT_LT(after.st_blocks, before.st_blocks * 2 / 3);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-wal"));
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), 0U);
  // Its events are there; SQLite finds nothing wrong with the holes.
  const Kept kept = rig.kept(old);
  EXPECT_EQ(kept.count_kind("session_start"), 1U);
  EXPECT_LT(kept.numbers.size(), 100 * kRowsPerBatch);
  auto database = Database::open(file, Database::Mode::kReadOnly);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database.value().text("PRAGMA integrity_check").value(), "ok");
  const auto holes = free_stretches(file);
  ASSERT_TRUE(holes.ok()) << holes.status().message();
  EXPECT_FALSE(holes.value().empty());
}

// Held because nothing could be journaled, it journals again, but what could be deleted is in the
// way: it waits for that, and does not ask all the time (Rig::step() looks).
TEST(Retention, RestsWhileNoRoomCanBeMade) {
  SmallDisk rig;
  rig.open();
  ASSERT_TRUE(rig.command(StartSession{.name = "old", .id = {}}).status.ok());
  rig.given_batches(300);
  rig.acknowledge(1, rig.snapshot().last_sequence);
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  ASSERT_TRUE(rig.command(StartSession{.name = "new", .id = {}}).status.ok());
  rig.given_batches(2);
  rig.disk_bytes = rig.used();
  {
    const FileLimit nothing_grows(4096);
    for (int i = 0; i < 30; ++i) {
      rig.say_rows(rig.next++, 1);
      rig.pass(10);
    }
    ASSERT_EQ(rig.snapshot().state, RecorderState::kHolding);
  }
  {
    const FileLimit old_one_is_stuck(700 * kKiB);
    rig.pass(1500);
    EXPECT_EQ(rig.snapshot().state, RecorderState::kRecording);
  }
  rig.pass(3000);
  EXPECT_EQ(rig.snapshot().conservation.messages.in_ring, 0U);
}

// What waits in the rings is read as soon as it can be journaled, whatever the room says meanwhile.
TEST(Retention, ReadsAtOnceWhenThereIsRoomAgain) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(5);
  rig.disk_bytes = rig.used();
  const RecorderSnapshot before = rig.snapshot();
  {
    const FileLimit nothing_grows(4096);
    for (int i = 0; i < 30; ++i) {
      rig.say_rows(rig.next++, 1);
      rig.pass(10);
    }
    rig.pass(1500);  // It tried again, and there was no room.
    ASSERT_EQ(rig.snapshot().state, RecorderState::kHolding);
  }
  rig.disk_bytes = std::uint64_t{1} << 40;
  ASSERT_TRUE(rig.recorder->link_reports().acknowledged.try_push(
      {.session = before.session->id,
       .incarnation = before.incarnation,
       .replaces = true,
       .ranges = all_of(1, before.last_sequence)}));
  int waited = 0;
  for (; rig.snapshot().state == RecorderState::kHolding && waited < 2000; ++waited) rig.pass(1);
  rig.pass(100);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, rig.next - 1);
}

TEST(Retention, BuriesWhatAnOldSessionStillHadToSend) {
  SmallDisk rig;
  rig.open();
  ASSERT_TRUE(rig.command(StartSession{.name = "old", .id = {}}).status.ok());
  rig.given_batches(100);
  const Uuid old = rig.snapshot().session->id;
  const std::uint64_t old_records = rig.next - 1;
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  ASSERT_TRUE(rig.command(StartSession{.name = "new", .id = {}}).status.ok());
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(60);
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), 0U) << "of the new session";
  const Kept kept = rig.kept(old);
  ASSERT_GT(kept.files, 1U);
  std::uint64_t records = 0;
  const std::uint64_t answered = answered_by_tombstones(kept, &records);
  ASSERT_GT(answered, 0U);
  EXPECT_GE(records, old_records - kept.numbers.size());
  const Conservation counted = Conservation::load(kept.counters);
  EXPECT_EQ(counted.entries.evicted_sum(), answered);
  EXPECT_TRUE(counted.violations().empty());
  // The link is told of the file with the tombstones.
  for (const SessionHeads& session : rig.recorder->heads().get()->sessions) {
    EXPECT_TRUE(session.info.id != old || session.files.size() == kept.files);
  }
}

TEST(Retention, AnswersForWhatTheRoomLostAndNobodyHas) {
  SmallDisk rig;
  rig.open();
  rig.given_batches(60);
  const std::uint64_t last = rig.snapshot().last_sequence;
  rig.acknowledge(1, last);
  rig.disk_bytes = rig.used() + 32 * kKiB;
  rig.given_batches(30);
  const RangeSet removed = rig.live_file().removed;
  ASSERT_GT(removed.count(), 0U);
  EXPECT_EQ(rig.snapshot().conservation.entries.evicted_sum(), 0U);
  rig.disk_bytes = std::uint64_t{1} << 40;
  rig.acknowledge(1, 2, true);  // The room came back from an older copy.
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.entries.evicted.at(static_cast<std::size_t>(EvictReason::kRoomLost)),
            removed.count());
  EXPECT_EQ(answered_by_tombstones(rig.kept()), removed.count());
}

TEST(Retention, RefusesBatchesAndKeepsLapsWhenNothingIsLeft) {
  SmallDisk rig;
  rig.with_laps = true;
  rig.options.space.keep_free_bytes = 1024 * kKiB;
  rig.open();
  rig.given_batches(10);
  rig.disk_bytes = 0;  // Others have filled it.
  rig.given_batches(20);
  const RecorderSnapshot full = rig.snapshot();
  EXPECT_TRUE(full.is_starving);
  EXPECT_EQ(full.state, RecorderState::kRecording);
  rig.disk_bytes = std::uint64_t{1} << 40;
  rig.given_batches(10);
  EXPECT_FALSE(rig.snapshot().is_starving);
  const Kept kept = rig.kept();
  EXPECT_EQ(kept.laps.size(), 40U);
  std::uint64_t told = 0;
  for (const words::Gap& gap : kept.gaps()) {
    if (gap.reason() == "no_space") told += gap.count();
  }
  const std::uint64_t refused = rig.snapshot().conservation.records.rejected.at(
      static_cast<std::size_t>(RejectReason::kNoSpace));
  EXPECT_GT(refused, 10 * kRowsPerBatch);
  EXPECT_EQ(told, refused);
  EXPECT_EQ(kept.numbers.count(rig.next - 1), 1U);
}

}  // namespace
}  // namespace pitbox
