// The reader against a room that breaks the protocol: whatever comes, the answer is a Status and no
// entry that was not whole. Threaded. (The reader blocks, so the room is in the test's thread.)

#include "sync/room_reader.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <vector>

#include "proto/frames.h"
#include "tests/sync/fake_journal.h"
#include "tests/sync/raw_server.h"

namespace pitbox {
namespace {

using testing::RawServer;

words::Frame welcome() {
  words::Frame frame;
  frame.mutable_welcome()->set_version(1);
  return frame;
}
words::Frame part(std::uint64_t sequence, const std::string& bytes, std::size_t offset = 0,
                  std::size_t total = 0) {
  words::Frame frame;
  words::Part& made = *frame.mutable_part();
  made.set_incarnation(7);
  made.set_first(sequence);
  made.set_last(sequence);
  made.set_kind(words::EVENT);
  made.set_lane(words::LIVE);
  made.set_offset(offset);
  made.set_total(total == 0 ? bytes.size() : total);
  made.set_bytes(bytes);
  if (offset == 0) made.add_hashes(std::string(16, 'h'));
  return frame;
}
words::Frame history_end(std::uint64_t entries) {
  words::Frame frame;
  frame.mutable_history_end()->set_entries(entries);
  return frame;
}

class RoomReaderTest : public ::testing::Test {
 protected:
  // The room sends these after the upgrade, then hangs up if it is told to.
  Status read(const std::vector<words::Frame>& frames, bool hangs_up = false) {
    RoomReaderOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(server_.port());
    options.session = Uuid::mint();
    options.connect_timeout = std::chrono::milliseconds(5000);
    options.idle_timeout = std::chrono::milliseconds(300);
    auto result = std::async(std::launch::async, [&] {
      return read_room(options, [&](const DownloadedEntry& entry) {
        entries_.push_back(entry);
        return Status();
      });
    });
    bool answered = false;
    while (result.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      server_.poll();
      if (answered || !server_.has_request()) continue;
      answered = true;
      server_.upgrade();
      for (const words::Frame& frame : frames) {
        server_.say_some(RawServer::frame(2, frame.SerializeAsString()));
      }
      if (hangs_up) server_.say_no_more();
    }
    server_.hang_up();
    return result.get();
  }

  RawServer server_;
  std::vector<DownloadedEntry> entries_;
};

TEST_F(RoomReaderTest, GivesEntriesWholeHoweverTheyWereParted) {
  const Status status =
      read({welcome(), part(1, "one"), part(2, "tw", 0, 3), part(2, "o", 2, 3), history_end(2)});
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(entries_.size(), 2U);
  EXPECT_EQ(entries_[1].bytes, "two");
  EXPECT_EQ(entries_[1].first, 2U);
  EXPECT_TRUE(entries_[1].is_event);
  ASSERT_EQ(entries_[1].hashes.size(), 1U);
}

TEST_F(RoomReaderTest, ARoomThatBreaksTheProtocolIsCorrupt) {
  EXPECT_EQ(read({part(1, "one")}).code(), Code::kCorrupt) << "before Welcome";
  EXPECT_EQ(read({welcome(), part(1, "x", 0, 3), part(2, "two")}).code(), Code::kCorrupt)
      << "an entry that was not whole";
  EXPECT_EQ(read({welcome(), part(1, "x", 0, 3), part(1, "x", 2, 3)}).code(), Code::kCorrupt)
      << "a hole";
  EXPECT_EQ(read({welcome(), part(1, "one"), history_end(2)}).code(), Code::kCorrupt)
      << "fewer than it says";
  const DefinitionPtr definition = testing::make_definition("engine");
  words::Frame misnamed;
  misnamed.mutable_definition()->set_name(std::string(32, 'n'));
  misnamed.mutable_definition()->set_content(std::string(definition->bytes()));
  EXPECT_EQ(read({welcome(), misnamed}).code(), Code::kCorrupt);
  words::Frame batch = part(1, "one");
  batch.mutable_part()->set_kind(words::BATCH);
  batch.mutable_part()->set_car("7");
  batch.mutable_part()->add_definitions(std::string(32, 'n'));
  EXPECT_EQ(read({welcome(), batch}).code(), Code::kCorrupt) << "a batch before its definition";
}

TEST_F(RoomReaderTest, AnEarlyEndOrSilenceIsNotEverything) {
  EXPECT_EQ(read({welcome(), part(1, "one")}, true).code(), Code::kTryAgain);
  EXPECT_EQ(read({welcome(), part(1, "one")}).code(), Code::kTryAgain) << "silence";
  words::Frame goodbye;
  goodbye.mutable_goodbye()->set_reason("server_closing");
  const Status closing = read({welcome(), goodbye}, true);
  EXPECT_EQ(closing.code(), Code::kTryAgain);
  EXPECT_NE(closing.message().find("server_closing"), std::string::npos);
}

TEST_F(RoomReaderTest, AnAddressThatIsNoneIsRejected) {
  RoomReaderOptions options;
  options.url = "room.example";
  EXPECT_EQ(read_room(options, [](const DownloadedEntry&) { return Status(); }).code(),
            Code::kRejected);
  options.url = "ws://no-such-name.invalid";
  EXPECT_EQ(read_room(options, [](const DownloadedEntry&) { return Status(); }).code(),
            Code::kTryAgain);
}

}  // namespace
}  // namespace pitbox
