// What the session store's tests share: a state directory, the store and the live journal in it,
// and a language for what happens to them.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "tests/buffer/journal_rig.h"

namespace pitbox {

namespace fs = std::filesystem;

class SessionStoreRig : public testing::Test {
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
  void end() { ASSERT_TRUE(store_->end(std::move(journal_)).ok()); }
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
    ASSERT_NE(journal_, nullptr);
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

using Store = SessionStoreRig;  // As the tests are named.

}  // namespace pitbox
