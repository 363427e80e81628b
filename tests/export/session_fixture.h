// A box's state directory with a session that a test fills, for tests of what reads sessions.

#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "buffer/events.h"
#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "proto/batch.h"
#include "proto/definition.h"

namespace pitbox {

inline constexpr std::int64_t kSecond = 1'000'000'000;
// Receive times are this much behind the wall clock.
inline constexpr std::int64_t kWallMinusBoot = 1'700'000'000 * kSecond;

inline DefinitionPtr define(std::string group, TimeBase base, std::vector<Channel> channels) {
  ChannelGroup content;
  content.group = std::move(group);
  content.time_base = base;
  content.channels = std::move(channels);
  auto made = Definition::make(std::move(content));
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).take();
}

// Rows of one group, built value by value.
class RowsBuilder {
 public:
  explicit RowsBuilder(DefinitionPtr definition) { rows_.definition = std::move(definition); }

  // REQUIRES: the values have exactly the channels' types, in order.
  template <typename... T>
  RowsBuilder& row(std::int64_t source_ns, std::int64_t receive_ns, T... values) {
    if (rows_.definition->has_source_time()) rows_.source_ns.push_back(source_ns);
    rows_.receive_ns.push_back(receive_ns);
    (append(values), ...);
    EXPECT_EQ(rows_.rows.size(), rows_.row_count() * rows_.definition->row_bytes());
    return *this;
  }
  const GroupRows& rows() const { return rows_; }

 private:
  template <typename T>
  void append(T value) {
    std::byte bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    rows_.rows.insert(rows_.rows.end(), bytes, bytes + sizeof(T));
  }
  GroupRows rows_;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto store = SessionStore::open(state(), Journal::Options{});
    EXPECT_TRUE(store.ok()) << store.status().message();
    store_ = std::move(store).take();
    SessionInfo info;
    info.id = Uuid::mint();
    info.name = "FP1";
    info.type = "practice";
    info.started_at_ms = 1'700'000'000'000;
    auto journal = store_->begin(info);
    EXPECT_TRUE(journal.ok()) << journal.status().message();
    journal_ = std::move(journal).take();
    commit_anchor();
  }
  ~SessionTest() override {
    journal_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::filesystem::path state() const { return folder_ / "state"; }

  void commit_anchor() {
    Commit commit;
    commit.events.push_back(clock_anchor_event({.boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                                                .boot_ns = 1,
                                                .wall_ns = kWallMinusBoot + 1}));
    commit_all(commit);
  }
  void commit_rows(const std::string& car, const std::vector<GroupRows>& groups) {
    Commit commit;
    commit.batches.push_back({.car = car, .batch = encode_batch(car, groups)});
    commit_all(commit);
  }
  void commit_all(const Commit& commit) {
    const auto committed = journal_->commit(commit);
    ASSERT_TRUE(committed.ok()) << committed.status().message();
  }
  // Another file takes over; `rekeyed`: it will carry again what the old one has.
  void continue_in_a_new_file(bool rekeyed) {
    const std::uint64_t from = rekeyed ? journal_->incarnation() : 0;
    auto next = store_->replace(std::move(journal_), Commit{}, from, "test");
    ASSERT_TRUE(next.ok()) << next.status().message();
    journal_ = std::move(next).take();
    commit_anchor();
  }
  SessionFiles session() const {
    auto found = find_session(state(), "latest");
    EXPECT_TRUE(found.ok()) << found.status().message();
    return found.ok() ? std::move(found).take() : SessionFiles{};
  }
  static std::string text_of(const std::filesystem::path& file) {
    std::ifstream input(file, std::ios::binary);
    EXPECT_TRUE(input) << file;
    std::stringstream text;
    text << input.rdbuf();
    return text.str();
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      ("pitbox_export_" + std::to_string(::getpid()) + "_" +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::unique_ptr<SessionStore> store_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace pitbox
