// The life of sessions and their files: begun, ended, set aside, rebuilt; after every crash between
// two writes nothing that was journaled is missing. Real files.

#include "buffer/session_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "buffer/journal_reader.h"
#include "proto/sqlite.h"
#include "tests/buffer/session_store_rig.h"

namespace pitbox {
namespace {

const RoomIdentity kRoom{.url = "ws://room", .store = 1};

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
  end();
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
  end();
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
  end();
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

// As a kill amid a change of a sealed file leaves it: a rollback journal lies beside it, and who
// only reads may not use it.
void interrupt_a_change_of(const fs::path& file) {
  fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
  {
    auto opened = Database::open(file, Database::Mode::kReadWrite);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    for (const char* sql : {"PRAGMA cache_size = 1", "BEGIN",
                            "UPDATE batches SET blob = randomblob(length(blob) + 9000)"}) {
      ASSERT_TRUE(opened.value().exec(sql).ok()) << sql;
    }
    for (const char* ending : {"", "-journal"}) {
      fs::copy_file(file.string() + ending, file.string() + ".killed" + ending);
    }
  }
  for (const char* ending : {"", "-journal"}) {
    fs::rename(file.string() + ".killed" + ending, file.string() + ending);
  }
  ASSERT_FALSE(JournalReader::open(file).ok());
}

TEST_F(Store, SaysThatEarlierDecoderStatesCannotBeReadJustNow) {
  begin();
  given_commits(50);
  const fs::path file = journal_->file();
  end();
  EXPECT_TRUE(store_->earlier_decoder_states().unread.ok());
  interrupt_a_change_of(file);
  EXPECT_FALSE(store_->earlier_decoder_states().unread.ok());
  EXPECT_TRUE(store_->undo_interrupted(true));
  const SessionStore::EarlierStates earlier = store_->earlier_decoder_states();
  EXPECT_TRUE(earlier.unread.ok()) << earlier.unread.message();
  EXPECT_EQ(earlier.states.at("udp"), "50");
}

TEST_F(Store, UndoesWhatAKillLeftOfAChangeOfASealedFile) {
  begin();
  given_commits(50);
  const fs::path file = journal_->file();
  end();
  close();
  interrupt_a_change_of(file);
  open();
  EXPECT_TRUE(JournalReader::open(file).ok());
  EXPECT_EQ(count_entries(), 50U);
}

TEST_F(Store, RebuildsADamagedBoxDbFromTheFiles) {
  begin(1'000);
  given_commits(2);
  end();
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
  end();
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
  ASSERT_TRUE(store_->set_complete(session, kRoom).ok());
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.empty());
  EXPECT_TRUE(find_session(root_, "latest").value().complete);
  open();
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.empty());
  EXPECT_EQ(store_->set_complete(Uuid::mint(), kRoom).code(), Code::kRejected);
}

TEST_F(Store, ACompleteSessionIsAskedAboutAgainInARoomThatWasOpenedAnew) {
  begin();
  given_commits(2);
  const Uuid session = journal_->session().id;
  end();
  ASSERT_TRUE(store_->set_complete(session, kRoom).ok());
  const auto incomplete = [&] { return store_->heads(nullptr).value().sessions.size(); };
  EXPECT_EQ(store_->see_room(kRoom).value(), 0U) << "the same store";
  EXPECT_EQ(store_->see_room({kRoom.url, 0}).value(), 0U) << "a room that answers for ever";
  EXPECT_EQ(store_->see_room({"wss://another", 2}).value(), 0U) << "it never had that session";
  EXPECT_EQ(incomplete(), 0U);
  EXPECT_EQ(store_->see_room({kRoom.url, 2}).value(), 1U);
  EXPECT_EQ(incomplete(), 1U);
  ASSERT_TRUE(store_->set_complete(session, kRoom).ok());
  EXPECT_EQ(incomplete(), 1U) << "a word of the store before comes too late";
  open();
  EXPECT_EQ(incomplete(), 1U);
  ASSERT_TRUE(store_->set_complete(session, {kRoom.url, 2}).ok());
  open();
  EXPECT_EQ(incomplete(), 0U);
}

TEST_F(Store, SessionsAreInTheOrderOfTheirBeginningWhateverTheClockSaid) {
  begin(1'700'000'000'000);
  given_commits(2);
  end();
  begin(1'600'000'000'000);  // The clock went back.
  given_commits(2);
  const Uuid latest = journal_->session().id;
  end();
  const auto expect_order = [&] {
    EXPECT_EQ(find_session(root_, "latest").value().info.id, latest);
    EXPECT_EQ(store_->heads(nullptr).value().sessions.back().info.id, latest);
    EXPECT_EQ(store_->earlier_decoder_states().states.at("udp"), "4");
  };
  expect_order();
  close();
  fs::remove(root_ / "box.db");
  open();
  expect_order();
}

TEST_F(Store, ABoxDatabaseOfTheFirstFormIsMigrated) {
  begin();
  given_commits(2);
  const Uuid session = journal_->session().id;
  end();
  ASSERT_TRUE(store_->set_complete(session, kRoom).ok());
  close();
  run_sql(root_ / "box.db",
          "ALTER TABLE sessions DROP COLUMN ordinal; "
          "ALTER TABLE sessions DROP COLUMN complete_url; "
          "ALTER TABLE sessions DROP COLUMN complete_store; "
          "ALTER TABLE files DROP COLUMN acknowledged_by; "
          "DROP TABLE removed; DROP TABLE evicted; PRAGMA user_version = 1");
  EXPECT_TRUE(find_session(root_, "latest").value().complete) << "readers do not migrate";
  open();
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.empty());
  EXPECT_EQ(store_->see_room(kRoom).value(), 0U) << "nobody knows which room completed it";
}

TEST_F(Store, RemembersConsumedPositionsAcrossSessionsAndFiles) {
  begin();
  given_commits(6);
  end();
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
  end();
  EXPECT_EQ(count_entries(), 3U);
  EXPECT_FALSE(find_session(root_, "latest").value().open);
  EXPECT_TRUE(store_->heads(nullptr).value().sessions.at(0).ended);
  restart();
  EXPECT_EQ(journal_, nullptr);
}

}  // namespace
}  // namespace pitbox
