// Finding a session by what a person would type: id, prefix, path, latest, a file on a USB stick.

#include "buffer/session_store.h"

#include <gtest/gtest.h>

#include "tests/buffer/session_store_rig.h"

namespace pitbox {
namespace {

TEST_F(Store, FindsSessionsByIdPrefixPathAndLatestWhileOneIsLive) {
  begin(2'000);
  given_commits(1);
  const SessionInfo first = journal_->session();
  const fs::path file = journal_->file();
  end();
  begin(1'000);
  given_commits(1);
  const SessionInfo second = journal_->session();
  const auto all = list_sessions(root_);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all.value().size(), 2U);
  EXPECT_EQ(all.value()[0].info.id, first.id) << "in the order of their beginning";
  EXPECT_FALSE(all.value()[0].open);
  EXPECT_TRUE(all.value()[1].open);
  EXPECT_EQ(find_session(root_, "latest").value().info.id, second.id);
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
  end();
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
  end();
  close();
  const fs::path here = std::exchange(root_, folder_ / "other");
  open();
  begin();
  given_commits(2);
  const fs::path file = journal_->file();
  end();
  close();
  root_ = here;
  fs::copy(file.parent_path(), root_ / "sessions" / file.parent_path().filename());
  open();
  EXPECT_EQ(store_->heads(nullptr).value().sessions.size(), 1U);
  EXPECT_EQ(list_sessions(root_).value().size(), 2U) << "but it can be read here";
}

}  // namespace
}  // namespace pitbox
