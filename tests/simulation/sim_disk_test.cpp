// Goal: what a store called durable is there after a power cut, also when a sync failed before.
// Method: the simulated disk of the simulation, whose failed syncs lose what they should have
// written, under real stores; every operation of a change fails once, with and without a new
// process behind it, and power goes in each of its ways.

#include "tests/simulation/sim_disk.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/box_database.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "tests/buffer/journal_rig.h"
#include "tests/temporary_directory.h"

namespace pitbox::simulation {
namespace {

constexpr std::uint64_t kOperations = 40;  // More than a change to a box.db takes.

class SimDiskTest : public ::testing::Test {
 protected:
  void open() {
    auto opened = BoxDatabase::open(file_);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    box_.emplace(std::move(opened).take());
  }
  void die() {
    disk_.kill();
    box_.reset();
    disk_.revive();
  }
  // A session more; true if the box.db took it.
  bool put(bool is_durable) {
    SessionRecord session;
    session.info.id = Uuid::mint();
    const bool is_put =
        box_->put({.sessions = {session}, .files = {}, .positions = {}, .is_durable = is_durable})
            .ok();
    if (is_put && is_durable) durable_.insert(session.info.id);
    return is_put;
  }
  void expect_all_durable() {
    open();
    const auto contents = box_->load();
    ASSERT_TRUE(contents.ok()) << contents.status().message();
    for (const Uuid& id : durable_) EXPECT_TRUE(contents.value().sessions.contains(id));
  }
  // Everything from the start, on an empty disk.
  void begin() {
    box_.reset();
    durable_.clear();
    std::filesystem::remove_all(directory_.path());
    std::filesystem::create_directories(directory_.path());
    disk_.settle();
    open();
  }

  testing::TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "box.db";
  SimDisk::Machine disk_{directory_.path()};
  std::optional<BoxDatabase> box_;
  std::set<Uuid> durable_;
};

// The last reader of a WAL tries a checkpoint, and its handle of the database cannot write.
TEST_F(SimDiskTest, AWriteThatTheFileRefusesNeverHappened) {
  const std::string name = directory_.path() / "plain";
  const std::string content(4096, 'a');
  write_over(name, content);
  sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
  std::vector<std::uint64_t> memory(static_cast<std::size_t>(vfs->szOsFile) / 8 + 1);
  auto* const file = reinterpret_cast<sqlite3_file*>(memory.data());
  // As SQLite asks: with a second end to the name.
  const std::string padded = name + std::string(4, '\0');
  ASSERT_EQ(
      vfs->xOpen(vfs, padded.c_str(), file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, nullptr),
      SQLITE_OK);
  EXPECT_NE(file->pMethods->xWrite(file, std::string(4096, 'b').data(), 4096, 0), SQLITE_OK);
  EXPECT_NE(file->pMethods->xWrite(file, std::string(4096, 'b').data(), 4096, 8192), SQLITE_OK);
  sqlite3_int64 size = 0;
  ASSERT_EQ(file->pMethods->xFileSize(file, &size), SQLITE_OK);
  EXPECT_EQ(size, 4096);
  file->pMethods->xClose(file);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Dice dice(seed);
    disk_.cut_power(dice);
    ASSERT_EQ(content_of(name), content);
  }
}

TEST_F(SimDiskTest, APowerCutTakesWhatWasNotSyncedAndNothingElse) {
  std::size_t lost = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Dice dice(seed);
    begin();
    ASSERT_TRUE(put(true));
    ASSERT_TRUE(put(false));
    die();
    disk_.cut_power(dice);
    expect_all_durable();
    lost += box_->load().value().sessions.size() == 1 ? 1U : 0U;
  }
  EXPECT_GT(lost, 0U) << "what was not synced must be lost at times";
  EXPECT_LT(lost, 20U);
}

void fail_each_operation(bool dies_after_it, const std::function<void(std::uint64_t)>& run) {
  for (std::uint64_t operation = 0; operation < kOperations; ++operation) {
    SCOPED_TRACE("operation " + std::to_string(operation) + (dies_after_it ? ", then death" : ""));
    run(operation);
  }
}

TEST_F(SimDiskTest, BoxDbIsDurableAfterASyncThatFailed) {
  std::size_t refused = 0;
  for (const bool dies : {false, true}) {
    fail_each_operation(dies, [&](std::uint64_t operation) {
      Dice dice(operation);
      begin();
      ASSERT_TRUE(put(true));
      ASSERT_TRUE(put(false));
      disk_.fail(disk_.operations() + operation, 1, SQLITE_IOERR);
      refused += put(true) ? 0U : 1U;
      disk_.heal();
      if (dies) {
        die();
        open();
      }
      ASSERT_TRUE(put(true));
      ASSERT_TRUE(put(true));
      die();
      disk_.cut_power(dice);
      expect_all_durable();
    });
  }
  EXPECT_GT(refused, 4U) << "no operation that failed was one of the change's";
}

// A commit whose sync failed can still be seen by the next process. What that one tells the link of
// must be there after a power cut.
TEST_F(SimDiskTest, WhatAJournalShowsAfterAFailedCommitIsDurableBeforeItCounts) {
  std::size_t refused = 0;
  fail_each_operation(true, [&](std::uint64_t operation) {
    Dice dice(operation);
    begin();
    box_.reset();
    const std::filesystem::path root = directory_.path() / "state";
    std::unique_ptr<SessionStore> store;
    std::unique_ptr<Journal> journal;
    const auto start = [&] {
      auto opened = SessionStore::open(root, {});
      ASSERT_TRUE(opened.ok()) << opened.status().message();
      store = std::move(opened).take();
      auto resumed = store->resume();
      ASSERT_TRUE(resumed.ok()) << resumed.status().message();
      journal = std::move(resumed).take();
    };
    const auto end = [&] {
      disk_.kill();
      journal.reset();
      store.reset();
      disk_.revive();
    };
    start();
    SessionInfo info;
    info.name = "FP1";
    journal = store->begin(info).take();
    int value = 0;
    ASSERT_TRUE(journal->commit(commit_of({test_batch("7", ++value)})).ok());
    disk_.fail(disk_.operations() + operation, 1, SQLITE_IOERR);
    refused += journal->commit(commit_of({test_batch("7", ++value)})).ok() ? 0U : 1U;
    disk_.heal();
    end();
    start();
    const JournalHeads told = store->heads(journal.get()).take();
    end();
    disk_.cut_power(dice);
    for (const FileHead& file : told.sessions.at(0).files) {
      const auto reader = JournalReader::open(file.file);
      ASSERT_TRUE(reader.ok()) << reader.status().message();
      EXPECT_GE(reader.value()->last_sequence().value(), file.last);
    }
  });
  EXPECT_GT(refused, 1U) << "no operation that failed was one of the commit's";
}

// Its rollback journal may be what could not be deleted, and SQLite does not say so.
TEST_F(SimDiskTest, ASealedFileCanBeReadOnceTheDiskIsWell) {
  constexpr std::uint64_t kMostOperations = 120;  // More than a seal, or a removal, takes.
  std::size_t unreadable = 0;
  for (std::uint64_t run = 0; run < 4 * kMostOperations; ++run) {
    const std::uint64_t operation = run / 4;
    const std::uint64_t count = run % 4 == 3 ? 1'000'000 : run % 4 + 1;
    SCOPED_TRACE("operation " + std::to_string(operation) + ", " + std::to_string(count));
    begin();
    box_.reset();
    auto opened = SessionStore::open(directory_.path() / "state", {});
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    const std::unique_ptr<SessionStore> store = std::move(opened).take();
    SessionInfo info;
    info.name = "FP1";
    std::unique_ptr<Journal> journal = store->begin(info).take();
    for (int value = 1; value <= 3; ++value) {
      ASSERT_TRUE(journal->commit(commit_of({test_batch("7", value)})).ok());
    }
    const std::filesystem::path file = journal->file();
    const std::uint64_t incarnation = journal->incarnation();
    disk_.fail(disk_.operations() + operation, count, SQLITE_IOERR);
    const bool has_ended = store->end(std::move(journal)).ok();
    if (has_ended) static_cast<void>(store->remove(incarnation, {Range{1, 1}}).ok());
    disk_.heal();
    unreadable += JournalReader::open(file).ok() ? 0U : 1U;
    // As the recorder does when an end failed.
    if (!has_ended) {
      EXPECT_TRUE(store->resume().ok());
    }
    EXPECT_TRUE(store->undo_interrupted());
    const auto reader = JournalReader::open(file);
    EXPECT_TRUE(reader.ok()) << reader.status().message();
  }
  EXPECT_GT(unreadable, 0U) << "no operation that failed left a rollback journal";
}

}  // namespace
}  // namespace pitbox::simulation
