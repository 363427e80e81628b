// Which file may be appended to. Every accident that could make a box give a sequence twice is
// staged with real files: copies, restored backups, crashes between two writes, a lost box.db; and
// each time a new incarnation takes over and nothing that was journaled is missing.

#include "buffer/session_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "buffer/box_database.h"
#include "buffer/high_water.h"
#include "buffer/journal_reader.h"
#include "tests/buffer/journal_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class Store : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    journal_.reset();
    store_.reset();
    auto opened = SessionStore::open(root_, defaults_);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(opened).take();
  }
  void close() {
    journal_.reset();
    store_.reset();
  }
  void begin(std::int64_t started_at_ms = 1'700'000'000'000) {
    auto begun = store_->begin({.id = {},
                                .name = "Morning",
                                .type = "practice",
                                .platform_id = "",
                                .started_at_ms = started_at_ms});
    ASSERT_TRUE(begun.ok()) << begun.status().message();
    journal_ = std::move(begun).take();
  }
  void resume() {
    auto resumed = store_->resume();
    ASSERT_TRUE(resumed.ok()) << resumed.status().message();
    journal_ = std::move(resumed).take();
  }
  void restart() {
    open();
    resume();
  }
  // One batch a commit, with the position that belongs to it.
  void given_commits(int count) {
    for (int i = 0; i < count; ++i) {
      Commit commit = commit_of({test_batch("7", ++value_)});
      commit.positions["udp"] = {.ring_id = 5, .position = static_cast<std::uint64_t>(value_)};
      commit.decoder_states["udp"] = std::to_string(value_);
      commit.lap_state = "lap " + std::to_string(value_);
      commit.counters = Counters{{"records.decoded", static_cast<std::uint64_t>(value_)}};
      const auto done = journal_->commit(commit);
      ASSERT_TRUE(done.ok()) << done.status().message();
    }
  }
  // What the journal said at commit `value`, when it is gone or broken.
  static Commit carry_of(int value) {
    Commit commit;
    commit.positions["udp"] = {.ring_id = 5, .position = static_cast<std::uint64_t>(value)};
    commit.decoder_states["udp"] = std::to_string(value);
    commit.lap_state = "lap " + std::to_string(value);
    commit.counters = Counters{{"records.decoded", static_cast<std::uint64_t>(value)}};
    return commit;
  }
  // The session's entries over all its files; no sequence twice in an incarnation.
  std::uint64_t count_entries() {
    const auto session = find_session(root_, "latest");
    EXPECT_TRUE(session.ok()) << session.status().message();
    if (!session.ok()) return 0;
    std::uint64_t count = 0;
    std::set<std::uint64_t> incarnations;
    for (const fs::path& file : session.value().files) {
      auto reader = JournalReader::open(file);
      EXPECT_TRUE(reader.ok()) << reader.status().message();
      if (!reader.ok()) continue;
      EXPECT_TRUE(incarnations.insert(reader.value()->incarnation()).second);
      count += entries_of(*reader.value()).size();
    }
    return count;
  }
  std::size_t count_files() {
    const auto session = find_session(root_, "latest");
    return session.ok() ? session.value().files.size() : 0;
  }
  // After something was done to the live file: another one takes over where `position` says.
  void expect_takeover(std::uint64_t old_incarnation, std::uint64_t position) {
    ASSERT_NE(journal_, nullptr);
    EXPECT_NE(journal_->incarnation(), old_incarnation);
    EXPECT_EQ(journal_->last_sequence(), 0U);
    ASSERT_TRUE(journal_->positions().contains("udp"));
    EXPECT_EQ(journal_->positions().at("udp").position, position);
    EXPECT_EQ(journal_->decoder_states().at("udp"), std::to_string(position));
    EXPECT_EQ(journal_->lap_state(), "lap " + std::to_string(position));
    EXPECT_EQ(journal_->counters().at("records.decoded"), position);
  }

  TestFolder folder_;
  fs::path root_ = folder_ / "state";
  Journal::Options defaults_;
  std::unique_ptr<SessionStore> store_;
  std::unique_ptr<Journal> journal_;
  int value_ = 0;
};

TEST_F(Store, GoesOnInTheSameFileAfterAStopAndAfterAKill) {
  begin();
  given_commits(3);
  const std::uint64_t incarnation = journal_->incarnation();
  restart();
  ASSERT_NE(journal_, nullptr);
  EXPECT_EQ(journal_->incarnation(), incarnation);
  EXPECT_EQ(journal_->last_sequence(), 3U);
  close();
  const pid_t child = fork();
  if (child == 0) {
    auto store = SessionStore::open(root_, defaults_);
    auto journal = store.value()->resume();
    if (!journal.value()->commit(commit_of({test_batch("7", 99)})).ok()) _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  restart();
  ASSERT_NE(journal_, nullptr);
  EXPECT_EQ(journal_->incarnation(), incarnation);
  EXPECT_EQ(journal_->last_sequence(), 4U);
  EXPECT_EQ(count_files(), 1U);
}

TEST_F(Store, IsHeldByOneProcessAtATime) {
  const auto second = SessionStore::open(root_, defaults_);
  EXPECT_EQ(second.status().code(), Code::kTryAgain);
  EXPECT_TRUE(list_sessions(root_).ok()) << "readers need no lock";
}

TEST_F(Store, ResumesNothingWhenNoSessionIsOpen) {
  resume();
  EXPECT_EQ(journal_, nullptr);
  begin();
  given_commits(1);
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  resume();
  EXPECT_EQ(journal_, nullptr);
  restart();
  EXPECT_EQ(journal_, nullptr);
}

TEST_F(Store, RefusesASecondSessionAnUsedIdAndABadName) {
  begin();
  const SessionInfo first = journal_->session();
  SessionInfo other = first;
  other.id = Uuid::mint();
  EXPECT_EQ(store_->begin(other).status().code(), Code::kRejected) << "one is open";
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  EXPECT_EQ(store_->begin(first).status().code(), Code::kRejected) << "the id exists";
  other.type = "party";
  EXPECT_EQ(store_->begin(other).status().code(), Code::kRejected);
  other.type = "race";
  other.name = "a\nb";
  EXPECT_EQ(store_->begin(other).status().code(), Code::kRejected);
  other.name = "Race";
  EXPECT_TRUE(store_->begin(other).ok());
}

TEST_F(Store, SetsAFileAsideInMidSessionAndGoesOnInAnother) {
  FailingDisk::install();
  defaults_.vfs = FailingDisk::kName;
  open();
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  FailingDisk::fail_sync = true;
  // The failed commit reaches the disk all the same: it must not count.
  Commit failed = commit_of({test_batch("7", 1000)});
  failed.positions["udp"] = {.ring_id = 5, .position = 1000};
  ASSERT_FALSE(journal_->commit(failed).ok());
  FailingDisk::fail_sync = false;
  auto next = store_->replace(std::move(journal_), carry_of(3), 0, "commit failed");
  ASSERT_TRUE(next.ok()) << next.status().message();
  journal_ = std::move(next).take();
  expect_takeover(first, 3);
  given_commits(2);
  EXPECT_EQ(count_files(), 2U);
  EXPECT_EQ(count_entries(), 5U) << "the failed commit is cut off";
  auto heads = store_->heads(journal_.get());
  ASSERT_TRUE(heads.ok());
  ASSERT_EQ(heads.value().sessions.size(), 1U);
  const SessionHeads& session = heads.value().sessions[0];
  EXPECT_TRUE(session.is_live);
  EXPECT_FALSE(session.ended);
  ASSERT_EQ(session.files.size(), 1U) << "the live file's head is its owner's";
  EXPECT_EQ(session.files[0].incarnation, first);
  EXPECT_EQ(session.files[0].last, 3U);
  EXPECT_TRUE(session.files[0].sealed);
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  heads = store_->heads(nullptr);
  EXPECT_TRUE(heads.value().sessions[0].ended);
  EXPECT_EQ(heads.value().sessions[0].files.size(), 2U);
  restart();
  EXPECT_EQ(journal_, nullptr);
  EXPECT_EQ(store_->heads(nullptr).value().sessions[0].files[0].last, 3U);
}

TEST_F(Store, TriesTheSameReplacementAgainWhenTheDiskWasFull) {
  FailingDisk::install();
  defaults_.vfs = FailingDisk::kName;
  open();
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  FailingDisk::fail_write = true;
  ASSERT_FALSE(journal_->commit(commit_of({test_batch("7", 4)})).ok());
  EXPECT_FALSE(store_->replace(std::move(journal_), carry_of(3), 0, "full").ok());
  EXPECT_FALSE(store_->resume().ok()) << "still full";
  FailingDisk::fail_write = false;
  resume();
  expect_takeover(first, 3);
  EXPECT_EQ(count_files(), 2U) << "attempts that failed leave nothing";
}

TEST_F(Store, NeverAppendsToAFileWhoseLastCommitFailedInAProcessThatDied) {
  FailingDisk::install();
  defaults_.vfs = FailingDisk::kName;
  open();
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  FailingDisk::fail_sync = true;
  ASSERT_FALSE(journal_->commit(commit_of({test_batch("7", 4)})).ok());
  FailingDisk::fail_sync = false;
  restart();
  // What the next process finds in the file is whole, positions included: it is kept.
  expect_takeover(first, 3);
  EXPECT_EQ(count_entries(), 4U);
}

TEST_F(Store, KeepsRekeyedFromAndTheFilesOfARefusedIncarnation) {
  begin();
  given_commits(2);
  const std::uint64_t first = journal_->incarnation();
  auto next = store_->replace(std::move(journal_), carry_of(2), first, "conflict");
  ASSERT_TRUE(next.ok()) << next.status().message();
  journal_ = std::move(next).take();
  EXPECT_EQ(journal_->rekeyed_from(), first);
  EXPECT_EQ(JournalReader::open(journal_->file()).value()->rekeyed_from(), first);
  restart();
  EXPECT_EQ(journal_->rekeyed_from(), first);
}

TEST_F(Store, LeavesACopyInAnotherPlaceAlone) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const fs::path file = journal_->file();
  close();
  fs::copy_file(file, folder_ / "copy.db");
  fs::rename(folder_ / "copy.db", file);  // The same name and bytes, another inode.
  restart();
  expect_takeover(first, 3);
  EXPECT_EQ(count_entries(), 3U);
}

TEST_F(Store, LeavesAnOlderCopyThatWasRestoredInPlaceAlone) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const fs::path file = journal_->file();
  close();
  const std::string backup = bytes_of(file);
  restart();
  given_commits(4);
  ASSERT_EQ(journal_->incarnation(), first);
  close();
  // Even with nothing to say how far it got: the token is an older one.
  fs::remove(root_ / "high_water");
  write_over(file, backup);
  restart();
  expect_takeover(first, 3);
}

TEST_F(Store, LeavesAnOlderCopyOfTheSameOpeningAlone) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const fs::path file = journal_->file();
  ASSERT_TRUE(journal_->checkpoint().ok());
  const std::string backup = bytes_of(file);  // While it is open: the token stays the same.
  given_commits(4);
  close();
  write_over(file, backup);
  restart();
  expect_takeover(first, 3);
}

TEST_F(Store, LeavesAFileAloneWhoseWalWasRemoved) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const fs::path file = journal_->file();
  ASSERT_TRUE(journal_->checkpoint().ok());
  const std::string before = bytes_of(file);
  given_commits(2);
  close();
  write_over(file, before);
  fs::remove(file.string() + "-wal");
  restart();
  expect_takeover(first, 3);
}

TEST_F(Store, GoesOnWhenTheWholeDirectoryWasMoved) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  close();
  fs::rename(root_, folder_ / "elsewhere");
  root_ = folder_ / "elsewhere";
  restart();
  EXPECT_EQ(journal_->incarnation(), first);
  EXPECT_EQ(journal_->last_sequence(), 3U);
}

TEST_F(Store, TakesNewIncarnationsInACopyOfTheWholeDirectory) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  close();
  fs::copy(root_, folder_ / "clone", fs::copy_options::recursive);
  root_ = folder_ / "clone";
  restart();
  expect_takeover(first, 3);
}

TEST_F(Store, TakesOverWhenTheFileIsGone) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const fs::path file = journal_->file();
  close();
  fs::remove(file);
  restart();
  ASSERT_NE(journal_, nullptr);
  EXPECT_NE(journal_->incarnation(), first);
  EXPECT_EQ(fs::path(journal_->file()).filename().string().substr(0, 2), "2-");
}

TEST_F(Store, QuarantinesAFileThatDoesNotOpenAndGoesOn) {
  begin();
  given_commits(3);
  const fs::path file = journal_->file();
  close();
  write_over(file, std::string(50'000, 'x'));
  restart();
  ASSERT_NE(journal_, nullptr);
  EXPECT_FALSE(fs::exists(file));
  std::size_t quarantined = 0;
  for (const auto& entry : fs::directory_iterator(file.parent_path())) {
    quarantined += entry.path().string().find(".quarantine-") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(quarantined, 1U);
  given_commits(2);
  EXPECT_EQ(count_entries(), 2U);
  restart();
  EXPECT_EQ(journal_->last_sequence(), 2U);
}

TEST_F(Store, TakesOverWhenACrashCameBetweenTheTwoTokens) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  close();
  run_sql(root_ / "box.db", "UPDATE files SET token = '00000000000000ff'");
  restart();
  expect_takeover(first, 3);
  const std::uint64_t second = journal_->incarnation();
  given_commits(1);
  restart();
  EXPECT_EQ(journal_->incarnation(), second);
}

TEST_F(Store, TakesOverWhenACrashCameBetweenANewFileAndBoxDb) {
  begin();
  given_commits(3);
  const std::uint64_t first = journal_->incarnation();
  const std::string box = (root_ / "box.db").string();
  close();
  const std::string box_before = bytes_of(box);
  restart();
  auto next = store_->replace(std::move(journal_), carry_of(3), 0, "test");
  ASSERT_TRUE(next.ok()) << next.status().message();
  journal_ = std::move(next).take();
  const std::uint64_t orphan = journal_->incarnation();
  close();
  write_over(box, box_before);
  fs::remove(box + "-wal");
  fs::remove(box + "-shm");
  restart();
  expect_takeover(first, 3);
  EXPECT_NE(journal_->incarnation(), orphan);
  EXPECT_EQ(count_files(), 3U);
  EXPECT_EQ(count_entries(), 3U);
}

TEST_F(Store, FinishesAnEndThatACrashInterrupted) {
  begin();
  given_commits(3);
  ASSERT_TRUE(journal_->seal(true).ok());  // And box.db was not told.
  restart();
  EXPECT_EQ(journal_, nullptr);
  const auto heads = store_->heads(nullptr);
  ASSERT_EQ(heads.value().sessions.size(), 1U);
  EXPECT_TRUE(heads.value().sessions[0].ended);
  EXPECT_EQ(heads.value().sessions[0].files.at(0).last, 3U);
  EXPECT_FALSE(find_session(root_, "latest").value().open);
}

TEST_F(Store, RemovesWhatACrashLeftOfAFileBeingMade) {
  begin();
  const fs::path unnamed = journal_->file().parent_path() / "2-00000000000000cc.db.new";
  write_over(unnamed, "half a file");
  write_over(unnamed.string() + "-journal", "half a journal");
  restart();
  EXPECT_FALSE(fs::exists(unnamed));
  EXPECT_FALSE(fs::exists(unnamed.string() + "-journal"));
}

TEST_F(Store, RebuildsADamagedBoxDbFromTheFiles) {
  begin(1'000);
  given_commits(2);
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  begin(2'000);
  given_commits(3);
  const std::uint64_t live = journal_->incarnation();
  const Uuid box = store_->box_id();
  const Uuid session = journal_->session().id;
  Commit acknowledged;
  acknowledged.acknowledged = {{1, 2}};
  ASSERT_TRUE(journal_->commit(acknowledged).ok());
  close();
  for (const std::string& damage : {std::string("not a database"), std::string(40'000, '\x5A')}) {
    write_over(root_ / "box.db", damage);
    fs::remove(root_ / "box.db-wal");
    open();
    EXPECT_EQ(store_->box_id(), box);
    resume();
    ASSERT_NE(journal_, nullptr);
    EXPECT_EQ(journal_->session().id, session) << "the session not ended is open";
    EXPECT_NE(journal_->incarnation(), live);
    EXPECT_EQ(journal_->positions().at("udp").position, 5U);
    const auto heads = store_->heads(journal_.get());
    ASSERT_EQ(heads.value().sessions.size(), 2U);
    EXPECT_TRUE(heads.value().sessions[0].ended);
    EXPECT_EQ(heads.value().sessions[0].files.at(0).last, 2U);
    EXPECT_EQ(heads.value().sessions[1].files.at(0).last, 3U);
    EXPECT_EQ(heads.value().sessions[1].files.at(0).acknowledged.through(), 2U);
    close();
  }
}

TEST_F(Store, KeepsAcknowledgementsOfFilesThatAreNotLive) {
  begin();
  given_commits(4);
  const Uuid session = journal_->session().id;
  const std::uint64_t incarnation = journal_->incarnation();
  RangeSet some;
  some.add(Range{1, 2});
  some.add(Range{4, 900});
  EXPECT_EQ(
      store_->acknowledge({.session = session, .incarnation = incarnation, .ranges = some}).code(),
      Code::kRejected)
      << "the live file is the journal's";
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  ASSERT_TRUE(
      store_->acknowledge({.session = session, .incarnation = incarnation, .ranges = some}).ok());
  const auto held = [&] {
    return store_->heads(nullptr).value().sessions.at(0).files.at(0).acknowledged.ranges();
  };
  EXPECT_EQ(held(), (std::vector<Range>{{1, 2}, {4, 4}}));
  open();
  EXPECT_EQ(held(), (std::vector<Range>{{1, 2}, {4, 4}}));
  RangeSet fewer;
  fewer.add(1);
  ASSERT_TRUE(
      store_
          ->acknowledge(
              {.session = session, .incarnation = incarnation, .replaces = true, .ranges = fewer})
          .ok());
  open();
  EXPECT_EQ(held(), (std::vector<Range>{{1, 1}}));
  ASSERT_TRUE(store_->set_complete(session, true).ok());
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.empty());
  EXPECT_TRUE(find_session(root_, "latest").value().complete);
  open();
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.empty());
  EXPECT_EQ(store_->set_complete(Uuid::mint(), true).code(), Code::kRejected);
}

TEST_F(Store, RemembersConsumedPositionsAcrossSessionsAndFiles) {
  begin();
  given_commits(6);
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  begin(1'800'000'000'000);
  EXPECT_EQ(store_->consumed("udp", 5).value()->position, 6U);
  EXPECT_FALSE(store_->consumed("udp", 6).value()) << "another ring";
  EXPECT_FALSE(store_->consumed("tcp", 5).value());
  restart();
  EXPECT_EQ(store_->consumed("udp", 5).value()->position, 6U);
  given_commits(1);
  restart();
  EXPECT_EQ(store_->consumed("udp", 5).value()->position, 7U);
}

TEST_F(Store, TakesAFileBackThatWasAwayButNotItsWordBeyondTheCut) {
  FailingDisk::install();
  defaults_.vfs = FailingDisk::kName;
  open();
  begin();
  given_commits(3);
  const fs::path file = journal_->file();
  Commit failed = commit_of({test_batch("7", 1000)});
  failed.positions["udp"] = {.ring_id = 5, .position = 1000};
  FailingDisk::fail_sync = true;
  ASSERT_FALSE(journal_->commit(failed).ok());
  FailingDisk::fail_sync = false;
  auto next = store_->replace(std::move(journal_), carry_of(3), 0, "commit failed");
  ASSERT_TRUE(next.ok()) << next.status().message();
  journal_ = std::move(next).take();
  given_commits(1);
  close();
  for (const char* ending : {"", "-wal"}) {
    fs::rename(file.string() + ending, (folder_ / "away.db").string() + ending);
  }
  restart();
  EXPECT_TRUE(store_->heads(journal_.get()).value().sessions.at(0).files.empty());
  close();
  for (const char* ending : {"", "-wal"}) {
    fs::rename((folder_ / "away.db").string() + ending, file.string() + ending);
  }
  open();
  EXPECT_EQ(store_->consumed("udp", 5).value()->position, 3U);
  resume();
  EXPECT_EQ(store_->consumed("udp", 5).value()->position, 4U);
  const auto heads = store_->heads(journal_.get());
  ASSERT_EQ(heads.value().sessions.at(0).files.size(), 1U);
  EXPECT_EQ(heads.value().sessions[0].files[0].last, 3U);
}

TEST_F(Store, EndsASessionWhoseJournalIsBroken) {
  FailingDisk::install();
  defaults_.vfs = FailingDisk::kName;
  open();
  begin();
  given_commits(3);
  FailingDisk::fail_sync = true;
  ASSERT_FALSE(journal_->commit(commit_of({test_batch("7", 4)})).ok());
  FailingDisk::fail_sync = false;
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  EXPECT_EQ(count_entries(), 3U);
  EXPECT_FALSE(find_session(root_, "latest").value().open);
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.at(0).ended);
  restart();
  EXPECT_EQ(journal_, nullptr);
}

TEST_F(Store, FindsSessionsByIdPrefixPathAndLatestWhileOneIsLive) {
  begin(2'000);
  given_commits(1);
  const SessionInfo first = journal_->session();
  const fs::path file = journal_->file();
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  begin(1'000);
  given_commits(1);
  const SessionInfo second = journal_->session();
  const auto all = list_sessions(root_);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all.value().size(), 2U);
  EXPECT_EQ(all.value()[0].info.id, second.id) << "oldest first";
  EXPECT_TRUE(all.value()[0].open);
  EXPECT_FALSE(all.value()[1].open);
  EXPECT_EQ(find_session(root_, "latest").value().info.id, first.id);
  EXPECT_EQ(find_session(root_, first.id.text()).value().info.name, "Morning");
  EXPECT_EQ(find_session(root_, second.id.text().substr(0, 12)).value().info.id, second.id);
  EXPECT_EQ(find_session(root_, file.string()).value().info.id, first.id);
  EXPECT_EQ(find_session(root_, file.parent_path().string() + "/").value().files.size(), 1U);
  for (const char* none : {"", "ffffffff-ffff", "nothing", "./nothing", "/none.db"}) {
    EXPECT_EQ(find_session(root_, none).status().code(), Code::kRejected) << none;
  }
  EXPECT_EQ(list_sessions(folder_ / "none").status().code(), Code::kRejected);
}

TEST_F(Store, NamesTheSessionsThatAPrefixCouldMean) {
  for (const char* id :
       {"aaaa0000-0000-4000-8000-000000000001", "aaaa0000-0000-4000-8000-000000000002"}) {
    auto begun = store_->begin({.id = Uuid::parse(id).value(),
                                .name = "",
                                .type = "test",
                                .platform_id = "",
                                .started_at_ms = 1});
    ASSERT_TRUE(begun.ok());
    ASSERT_TRUE(store_->end(std::move(begun).take()).ok());
  }
  const auto found = find_session(root_, "AAAA");
  EXPECT_EQ(found.status().code(), Code::kRejected);
  EXPECT_NE(found.status().message().find("000000000001"), std::string::npos);
  EXPECT_NE(found.status().message().find("000000000002"), std::string::npos);
}

TEST_F(Store, FindsASessionOnAUsbStick) {
  begin();
  given_commits(2);
  const fs::path file = journal_->file();
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  fs::create_directory(folder_ / "stick");
  fs::copy_file(file, folder_ / "stick/friday.db");
  const auto by_file = find_session("/nowhere", (folder_ / "stick/friday.db").string());
  ASSERT_TRUE(by_file.ok()) << by_file.status().message();
  EXPECT_EQ(by_file.value().info.name, "Morning");
  EXPECT_FALSE(by_file.value().open);
  const auto by_folder = find_session("/nowhere", (folder_ / "stick").string());
  ASSERT_TRUE(by_folder.ok()) << by_folder.status().message();
  EXPECT_EQ(by_folder.value().files.size(), 1U);
}

TEST_F(Store, DoesNotSendAnotherBoxsSessionThatWasPutInItsFolder) {
  begin();
  given_commits(1);
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  close();
  const fs::path here = std::exchange(root_, folder_ / "other");
  open();
  begin();
  given_commits(2);
  const fs::path file = journal_->file();
  ASSERT_TRUE(store_->end(std::move(journal_)).ok());
  close();
  root_ = here;
  fs::copy(file.parent_path(), root_ / "sessions" / file.parent_path().filename());
  open();
  EXPECT_EQ(store_->heads(nullptr).value().sessions.size(), 1U);
  EXPECT_EQ(list_sessions(root_).value().size(), 2U) << "but it can be read here";
}

}  // namespace
}  // namespace pitbox
