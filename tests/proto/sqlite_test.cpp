// Goal: what SQLite does in silence when a disk fails is not taken for what was asked. Method: real
// files, copied in the middle of a change as a kill leaves them.

#include "proto/sqlite.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/temporary_directory.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class Sqlite : public ::testing::Test {
 protected:
  Database open(const fs::path& file) {
    auto opened = Database::open(file, Database::Mode::kCreate);
    CHECK(opened.ok());
    return std::move(opened).take();
  }
  testing::TemporaryDirectory directory_;
  const fs::path file_ = directory_.path() / "a.db";
  const fs::path killed_ = directory_.path() / "b.db";
};

TEST_F(Sqlite, AChangeThatWasNotFinishedIsRolledBack) {
  Database database = open(file_);
  ASSERT_TRUE(database.exec("CREATE TABLE t(x); INSERT INTO t VALUES(1)").ok());
  // More than the cache holds: pages reach the file before the change is done.
  ASSERT_TRUE(
      database
          .exec("PRAGMA cache_size = 1; BEGIN; UPDATE t SET x = 2;"
                " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)"
                " INSERT INTO t SELECT randomblob(500) FROM n")
          .ok());
  ASSERT_GT(fs::file_size(file_.string() + "-journal"), 0U);
  fs::copy_file(file_, killed_);
  fs::copy_file(file_.string() + "-journal", killed_.string() + "-journal");
  ASSERT_TRUE(Database::roll_back(killed_).ok());
  EXPECT_FALSE(fs::exists(killed_.string() + "-journal"));
  auto after = Database::open(killed_, Database::Mode::kImmutable);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after.value().integer("SELECT count(*) FROM t").value(), 1);
  EXPECT_EQ(after.value().integer("SELECT x FROM t").value(), 1);
}

TEST_F(Sqlite, RollingBackNothingTouchesNothing) {
  open(file_);
  ASSERT_TRUE(Database::roll_back(file_).ok());
  ASSERT_TRUE(Database::roll_back(directory_.path() / "none.db").ok());
  EXPECT_FALSE(fs::exists(directory_.path() / "none.db"));
}

TEST_F(Sqlite, SaysSoWhenItCannotHaveAWal) {
  Database database = open(file_);
  ASSERT_TRUE(database.exec("CREATE TABLE t(x); INSERT INTO t VALUES(1)").ok());
  Database other = open(file_);
  ASSERT_TRUE(other.exec("BEGIN; INSERT INTO t VALUES(2)").ok());
  EXPECT_FALSE(database.use_wal().ok());
  ASSERT_TRUE(other.exec("COMMIT").ok());
  EXPECT_TRUE(database.use_wal().ok());
  EXPECT_TRUE(database.use_wal().ok()) << "again";
}

}  // namespace
}  // namespace pitbox
