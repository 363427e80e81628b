// What the room core's tests share: the real store in a temporary directory, a fake Outbound, time
// passed in. A crash is the object's end without a commit.

#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>

#include "conversation.h"
#include "room/room_core.h"

namespace pitbox::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr ConnectionId kBox = 1;
inline constexpr ConnectionId kViewer = 100;
inline constexpr std::uint64_t kIncarnation = 0x9F00'0000'0000'0001;

class RoomCoreRig : public ::testing::Test {
 protected:
  RoomCoreRig() { open(); }

  void open() {
    RoomStore::Options options;
    options.file = directory_.path() / (session_.text() + ".db");
    options.session = session_;
    options.create = true;
    auto store = RoomStore::open(options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    room_ = std::make_unique<RoomCore>(std::move(store).take(), out_, options_);
  }
  // As after SIGKILL: what was not committed is gone, with every connection.
  void crash() {
    room_.reset();
    out_ = FakeOutbound();
    open();
  }

  void give(ConnectionId id, const words::Frame& frame) {
    room_->receive(id, frame, serialise(frame), now_);
  }
  void give(const Entry& entry, std::size_t part_bytes = 1 << 16) {
    for (const DefinitionPtr& used : entry.definitions) give(kBox, define(used));
    for (const words::Frame& part : parts(entry, part_bytes)) give(kBox, part);
  }
  void greet(ConnectionId id = kBox) { room_->hello(id, hello(box_, session_).hello(), now_); }
  void view(ConnectionId id, bool live, bool history) {
    room_->subscribe(id, subscribe(session_, live, history).subscribe(), now_);
  }
  // Lets enough time pass for a commit.
  void settle() {
    now_ += milliseconds(20);
    while (room_->step(now_)) {
    }
  }
  RangeSet acknowledged(ConnectionId id = kBox) {
    return out_.received[id].acknowledged[kIncarnation];
  }
  RangeSet held(std::uint64_t incarnation = kIncarnation) {
    for (const auto& [id, file] : room_->store().files()) {
      if (file.incarnation == incarnation) return file.held;
    }
    return {};
  }
  // What another process sees in the room's file right now.
  std::int64_t rows_on_disk() {
    auto database =
        Database::open(directory_.path() / (session_.text() + ".db"), Database::Mode::kReadOnly);
    EXPECT_TRUE(database.ok());
    return database.value().integer("SELECT count(*) FROM entries").value();
  }

  TemporaryDirectory directory_;
  Uuid session_ = Uuid::mint();
  Uuid box_ = Uuid::mint();
  RoomCore::Options options_;
  RoomCore::Clock::time_point now_{seconds(1000)};
  FakeOutbound out_;
  std::unique_ptr<RoomCore> room_;
};

inline RangeSet set_of(std::initializer_list<Range> ranges) {
  RangeSet set;
  for (const Range& range : ranges) set.add(range);
  return set;
}

}  // namespace pitbox::testing
