// The promise of a commit: all of it or nothing, in order, after a kill at any moment; and once a
// write failed, never another. With real SQLite files, a real SIGKILL, and a disk that fails.

#include "buffer/journal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <limits>
#include <random>
#include <thread>

#include "buffer/decoder.h"
#include "buffer/high_water.h"
#include "tests/buffer/journal_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class JournalFile : public testing::Test {
 protected:
  void SetUp() override { options_ = test_options(folder_ / "1-00000000000000aa.db"); }

  std::unique_ptr<Journal> create(const Commit& first = {}) {
    auto created = Journal::create(options_, 0xAA, first);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return created.ok() ? std::move(created).take() : nullptr;
  }
  std::unique_ptr<Journal> reopen() {
    auto opened = Journal::open(options_);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return opened.ok() ? std::move(opened).take() : nullptr;
  }
  std::unique_ptr<JournalReader> read() {
    auto opened = JournalReader::open(options_.file);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return opened.ok() ? std::move(opened).take() : nullptr;
  }

  TestFolder folder_;
  Journal::Options options_;
};

TEST_F(JournalFile, GivesEventsTheFirstSequencesThenBatchesInOrder) {
  auto journal = create();
  const auto done = journal->commit(
      commit_of({test_batch("7", 10), test_batch("44", 20)}, {test_event("clock_anchor")}));
  ASSERT_TRUE(done.ok()) << done.status().message();
  EXPECT_EQ(done.value().first, 1U);
  EXPECT_EQ(done.value().last, 3U);
  EXPECT_EQ(journal->last_sequence(), 3U);
  const auto entries = entries_of(*read());
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_TRUE(entries[0].is_event);
  EXPECT_EQ(entries[1].car, "7");
  EXPECT_EQ(entries[2].car, "44");
}

TEST_F(JournalFile, KnowsEverythingOfTheLastCommitWhenItIsOpenedAgain) {
  const ConsumedPosition at{.ring_id = std::numeric_limits<std::uint64_t>::max(),
                            .position = 4096,
                            .number = 17,
                            .connection = 0x8000000000000001,
                            .kernel_drops = 0xFFFFFFFF};
  {
    auto journal = create();
    Commit commit = commit_of({test_batch("7", 1)});
    commit.positions["udp"] = at;
    commit.decoder_states["udp"] = std::string("half a\0sentence", 15);
    commit.lap_state = "on lap 3";
    commit.counters = Counters{{"messages.heard", 17}};
    ASSERT_TRUE(journal->commit(commit).ok());
    Commit acknowledged;
    acknowledged.acknowledged = {{1, 1}};
    ASSERT_TRUE(journal->commit(acknowledged).ok());
  }
  auto journal = reopen();
  EXPECT_EQ(journal->incarnation(), 0xAAU);
  EXPECT_EQ(journal->session().name, "Morning");
  const ConsumedPosition& found = journal->positions().at("udp");
  EXPECT_EQ(found.ring_id, at.ring_id);
  EXPECT_EQ(found.connection, at.connection);
  EXPECT_EQ(found.kernel_drops, at.kernel_drops);
  EXPECT_EQ(journal->decoder_states().at("udp"), std::string("half a\0sentence", 15));
  EXPECT_EQ(journal->lap_state(), "on lap 3");
  EXPECT_EQ(journal->counters().at("messages.heard"), 17U);
  EXPECT_TRUE(journal->acknowledged().contains(1));
  EXPECT_EQ(journal->last_sequence(), 1U);
}

TEST_F(JournalFile, HasWhatItBeganWithUnderItsNameOrIsNotThere) {
  Commit first;
  first.events = {test_event("clock_anchor")};
  first.counters = Counters{{"unheard", 3}};
  auto journal = create(first);
  EXPECT_EQ(journal->last_sequence(), 1U);
  EXPECT_EQ(journal->counters().at("unheard"), 3U);
  EXPECT_FALSE(fs::exists(options_.file.string() + ".new"));
  const auto second = Journal::create(options_, 0xBB);
  EXPECT_EQ(second.status().code(), Code::kRejected) << "a name is used once";
}

TEST_F(JournalFile, KeepsADefinitionOnceAndBeforeItsFirstBatchIsVisible) {
  auto journal = create();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1), test_batch("8", 1)})).ok());
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 2)})).ok());
  auto reader = read();
  const auto definitions = reader->definitions();
  ASSERT_TRUE(definitions.ok());
  ASSERT_EQ(definitions.value().size(), 1U);
  EXPECT_EQ(definitions.value()[0]->bytes(), test_definition("engine")->bytes());
}

TEST_F(JournalFile, RefusesASecondDefinitionWithTheSamePrefixAndIsNoneTheWorse) {
  auto journal = create();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  journal.reset();
  run_sql(options_.file, "UPDATE definitions SET name = zeroblob(32)");
  journal = reopen();
  const auto refused = journal->commit(commit_of({test_batch("7", 2)}));
  EXPECT_EQ(refused.status().code(), Code::kRejected);
  EXPECT_FALSE(journal->is_broken());
  EXPECT_TRUE(journal->commit(commit_of({test_batch("7", 2, 3, "gearbox")})).ok());
}

TEST_F(JournalFile, RefusesWhatBreaksALimitWithoutWritingAnything) {
  auto journal = create();
  const auto refused = [&](const Commit& commit) {
    return journal->commit(commit).status().code() == Code::kRejected;
  };
  NewBatch batch = test_batch("7", 1);
  batch.car = std::string(kMaxNameBytes + 1, 'x');
  EXPECT_TRUE(refused(commit_of({batch})));
  batch.car = "bell\a";
  EXPECT_TRUE(refused(commit_of({batch})));
  batch = test_batch("7", 1);
  batch.batch.blob.assign(kMaxBatchBytes + 1, 'x');
  EXPECT_TRUE(refused(commit_of({batch})));
  batch = test_batch("7", 1);
  batch.batch.definitions = {nullptr};
  EXPECT_TRUE(refused(commit_of({batch})));
  EXPECT_TRUE(refused(commit_of({}, {test_event("")})));
  EXPECT_TRUE(refused(commit_of({}, {test_event("mark", "")})));
  EXPECT_TRUE(refused(commit_of({}, {test_event("mark", std::string(kMaxEventBytes + 1, 'x'))})));
  Commit lap;
  lap.laps = {NewLap{
      .event_index = 0, .car = "7", .kind = "timed", .sector_time_ms = {}, .evidence = "gps-line"}};
  EXPECT_TRUE(refused(lap)) << "a lap without its event";
  Commit state;
  state.decoder_states["udp"] = std::string(kMaxDecoderStateBytes + 1, 'x');
  EXPECT_TRUE(refused(state));
  Commit range;
  range.acknowledged = {{0, 1}};
  EXPECT_TRUE(refused(range));
  EXPECT_FALSE(journal->is_broken());
  EXPECT_EQ(journal->last_sequence(), 0U);
  EXPECT_TRUE(entries_of(*read()).empty());
}

TEST_F(JournalFile, StoresAcknowledgedRangesCompactlyAndClipsWhatWasNeverIssued) {
  auto journal = create();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(journal->commit(commit_of({test_batch("7", i)})).ok());
  }
  const auto acknowledge = [&](std::vector<Range> ranges, bool replaces = false) {
    Commit commit;
    commit.acknowledged = std::move(ranges);
    commit.acknowledged_replaces = replaces;
    ASSERT_TRUE(journal->commit(commit).ok());
  };
  acknowledge({{2, 3}, {7, 7}});
  acknowledge({{4, 6}});
  acknowledge({{9, 1'000'000}});
  const std::vector<Range> want{{2, 7}, {9, 10}};
  EXPECT_EQ(journal->acknowledged().ranges(), want);
  EXPECT_EQ(read()->acknowledged().value().ranges(), want);
  journal.reset();
  journal = reopen();
  EXPECT_EQ(journal->acknowledged().ranges(), want);
  acknowledge({{1, 4}}, true);
  EXPECT_EQ(read()->acknowledged().value().ranges(), (std::vector<Range>{{1, 4}}))
      << "Welcome wins: what is missing is pending again";
}

TEST_F(JournalFile, RefusesEverythingAfterACommitWhoseSyncFailed) {
  FailingDisk::install();
  options_.vfs = FailingDisk::kName;
  options_.high_water = folder_ / "high_water";
  auto journal = create();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  FailingDisk::fail_sync = true;
  Commit commit = commit_of({test_batch("7", 2)});
  commit.positions["udp"] = {.ring_id = 1, .position = 99};
  EXPECT_FALSE(journal->commit(commit).ok());
  FailingDisk::fail_sync = false;
  EXPECT_TRUE(journal->is_broken());
  EXPECT_EQ(journal->last_sequence(), 1U) << "the last good commit's";
  EXPECT_TRUE(journal->positions().empty());
  EXPECT_FALSE(journal->commit(commit_of({test_batch("7", 3)})).ok());
  EXPECT_FALSE(journal->bind("platform-1").ok());
  EXPECT_FALSE(journal->checkpoint().ok());
  const auto mark = HighWater::read(options_.high_water);
  ASSERT_TRUE(mark);
  EXPECT_TRUE(mark->failed);
  EXPECT_EQ(mark->last, 1U);
  const auto wal = content_of(options_.file.string() + "-wal");
  EXPECT_FALSE(journal->seal(true).ok());
  journal.reset();
  EXPECT_EQ(content_of(options_.file.string() + "-wal"), wal) << "closing wrote to a broken file";
}

TEST_F(JournalFile, IsBrokenByAFullDiskAndByAFailedCheckpoint) {
  FailingDisk::install();
  options_.vfs = FailingDisk::kName;
  auto journal = create();
  FailingDisk::fail_write = true;
  EXPECT_EQ(journal->commit(commit_of({test_batch("7", 1)})).status().code(), Code::kFull);
  FailingDisk::fail_write = false;
  EXPECT_TRUE(journal->is_broken());
  journal.reset();
  journal = reopen();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  FailingDisk::fail_sync = true;
  EXPECT_FALSE(journal->checkpoint().ok());
  FailingDisk::fail_sync = false;
  EXPECT_TRUE(journal->is_broken());
}

TEST_F(JournalFile, LeavesOnePlainReadOnlyFileWhenSealed) {
  auto journal = create();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  ASSERT_TRUE(journal->bind("platform-1").ok());
  const Status sealed = journal->seal(true);
  ASSERT_TRUE(sealed.ok()) << sealed.message();
  EXPECT_FALSE(journal->commit(commit_of({test_batch("7", 2)})).ok());
  EXPECT_EQ(journal->last_sequence(), 1U);
  journal.reset();
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    ++files;
    EXPECT_EQ(entry.path(), options_.file);
  }
  EXPECT_EQ(files, 1U);
  struct stat found {};
  ASSERT_EQ(stat(options_.file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0440U);
  EXPECT_EQ(Journal::open(options_).status().code(), Code::kRejected) << "sealed for good";
  auto reader = read();
  EXPECT_TRUE(reader->sealed().value());
  EXPECT_TRUE(reader->session_ended().value());
  EXPECT_EQ(reader->session().value().platform_id, "platform-1");
  EXPECT_EQ(entries_of(*reader).size(), 1U);
  EXPECT_TRUE(Journal::make_plain(options_.file).ok()) << "is plain already";
}

TEST_F(JournalFile, IsSealedButNotYetPlainWhileAReaderHasItOpen) {
  options_.busy = std::chrono::milliseconds(10);
  auto journal = create();
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  auto reader = read();
  EXPECT_EQ(entries_of(*reader).size(), 1U);
  EXPECT_EQ(journal->seal(true).code(), Code::kTryAgain);
  EXPECT_FALSE(journal->is_broken());
  EXPECT_TRUE(reader->sealed().value());
  EXPECT_EQ(entries_of(*reader).size(), 1U);
  reader.reset();
  journal.reset();
  ASSERT_TRUE(Journal::make_plain(options_.file).ok());
  EXPECT_FALSE(fs::exists(options_.file.string() + "-wal"));
}

TEST_F(JournalFile, KeepsTheWalNearItsBoundAlthoughAReaderComesAndGoes) {
  options_.wal_bytes_target = std::size_t{1} << 20;
  auto journal = create();
  auto reader = read();
  std::uint64_t greatest = 0;
  for (int i = 0; i < 150; ++i) {
    ASSERT_TRUE(journal->commit(commit_of({noisy_batch("7", 30'000)})).ok());
    EXPECT_TRUE(reader->entry(journal->last_sequence()).ok());
    if (journal->wal_bytes() > options_.wal_bytes_target) {
      ASSERT_TRUE(journal->checkpoint().ok());
    }
    greatest = std::max<std::uint64_t>(greatest, fs::file_size(options_.file.string() + "-wal"));
  }
  EXPECT_LT(greatest, 3U << 20) << "readers hold no transaction open between calls";
  EXPECT_GT(fs::file_size(options_.file), greatest);
}

TEST_F(JournalFile, OpensOneFormNewerAndRefusesTwo) {
  create().reset();
  run_sql(options_.file,
          "ALTER TABLE batches ADD COLUMN extra INTEGER NOT NULL DEFAULT 0;"
          "CREATE TABLE outbox(id INTEGER PRIMARY KEY); PRAGMA user_version = 4");
  auto journal = reopen();
  ASSERT_NE(journal, nullptr);
  EXPECT_TRUE(journal->commit(commit_of({test_batch("7", 1)})).ok());
  EXPECT_EQ(entries_of(*read()).size(), 1U);
  journal.reset();
  run_sql(options_.file, "PRAGMA user_version = 5");
  EXPECT_EQ(Journal::open(options_).status().code(), Code::kCorrupt);
  EXPECT_EQ(JournalReader::open(options_.file).status().code(), Code::kCorrupt);
}

TEST_F(JournalFile, BringsAFileOfTheFirstFormUpWhenItIsWritten) {
  create().reset();
  run_sql(options_.file,
          "DROP TABLE removed; DROP TABLE evicted; DROP TABLE blocks; PRAGMA user_version = 1");
  EXPECT_TRUE(read()->removed().value().empty()) << "readers do not migrate";
  EXPECT_TRUE(read()->evicted().value().empty());
  options_.token = 7;
  auto journal = reopen();
  ASSERT_NE(journal, nullptr);
  ASSERT_TRUE(journal->commit(commit_of({test_batch("7", 1), test_batch("7", 2)})).ok());
  Commit commit;
  commit.evicted[5].add(Range{2, 3});
  commit.removed = {{1, 2}};
  ASSERT_TRUE(journal->commit(commit).ok());
  const auto reader = read();
  EXPECT_EQ(entries_of(*reader).size(), 1U) << "the newest batch stays";
  EXPECT_EQ(reader->removed().value().count(), 2U);
  EXPECT_EQ(reader->evicted().value()[5].count(), 2U);
}

TEST_F(JournalFile, RefusesAFileWhoseTokenIsAnother) {
  options_.token = 0x1111;
  create().reset();
  options_.expected_token = 0x2222;
  EXPECT_EQ(Journal::open(options_).status().code(), Code::kRejected);
  options_.expected_token = 0x1111;
  options_.token = 0x3333;
  reopen().reset();
  EXPECT_EQ(Journal::open(options_).status().code(), Code::kRejected)
      << "a new one at each opening";
}

// The child commits batch after batch, each with the position that belongs to it, until it is
// killed; the parent then finds a gap-free prefix that ends where the position says.
void commit_until_killed(const Journal::Options& options, int ready) {
  auto opened = Journal::open(options);
  if (!opened.ok() || write(ready, "!", 1) != 1) _exit(1);
  Journal& journal = *opened.value();
  for (;;) {
    const std::uint64_t next = journal.last_sequence() + 1;
    Commit commit = commit_of({test_batch("7", static_cast<std::int32_t>(next), 200),
                               test_batch("8", static_cast<std::int32_t>(next), 5)},
                              {test_event("mark")});
    commit.positions["udp"] = {.ring_id = 9, .position = next + 2, .number = next + 2};
    commit.decoder_states["udp"] = std::to_string(next + 2);
    commit.counters = Counters{{"entries.journaled", next + 2}};
    if (!journal.commit(commit).ok()) _exit(2);
    if (journal.wal_bytes() > options.wal_bytes_target && !journal.checkpoint().ok()) _exit(3);
  }
}

TEST_F(JournalFile, IsWholeAfterAKillAtAnyMoment) {
  options_.wal_bytes_target = 256 * 1024;
  create().reset();
  std::minstd_rand random(7);
  std::uint64_t last = 0;
  for (int round = 0; round < 25; ++round) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_until_killed(options_, ready[1]);
    close(ready[1]);
    char opened = 0;
    ASSERT_EQ(::read(ready[0], &opened, 1), 1) << "the child could not open the journal";
    close(ready[0]);
    // A while of its life, not a wait for a condition: the moment is to be any.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed with " << WEXITSTATUS(status);
    auto journal = reopen();
    ASSERT_NE(journal, nullptr);
    ASSERT_GE(journal->last_sequence(), last);
    last = journal->last_sequence();
    ASSERT_EQ(last % 3, 0U) << "half a commit";
    if (last == 0) continue;
    ASSERT_EQ(journal->positions().at("udp").position, last);
    ASSERT_EQ(journal->decoder_states().at("udp"), std::to_string(last));
    ASSERT_EQ(journal->counters().at("entries.journaled"), last);
    journal.reset();
    std::uint64_t expected = 1;
    for (const StoredEntry& entry : entries_of(*read())) {
      ASSERT_EQ(entry.first, expected++);
      ASSERT_EQ(entry.is_event, entry.first % 3 == 1);
    }
    ASSERT_EQ(expected, last + 1);
  }
  EXPECT_GT(last, 0U) << "no child ever committed";
}

}  // namespace
}  // namespace pitbox
