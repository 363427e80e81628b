// Which file may be appended to. Every accident that could make a box give a sequence twice is
// staged with real files: copies, restored backups, crashes between two writes; and each time a new
// incarnation takes over and nothing that was journaled is missing.

#include "buffer/session_store.h"

#include <gtest/gtest.h>

#include "tests/buffer/session_store_rig.h"

namespace pitbox {
namespace {

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
  const std::string backup = content_of(file);
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
  const std::string backup = content_of(file);  // While it is open: the token stays the same.
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
  const std::string before = content_of(file);
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
  const std::string box_before = content_of(std::filesystem::path(box));
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

}  // namespace
}  // namespace pitbox
