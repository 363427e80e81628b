// Attacks a box with a hostile room: whatever frames it answers with, in whatever order, over
// several connections, the box says only valid frames, Hello first; never sends, reports as
// acknowledged or is made to forget what its journal did not issue; keeps its bytes in flight and
// its reports bounded; and finishes the session afterwards with a room that behaves.
//
// Input: steps. A byte 0..199 is followed by a little-endian u16 length and a frame from the room;
// 200..219 loses the connection and dials again; others let that many times 10 ms pass.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/check.h"
#include "proto/frames.h"
#include "sync/session_sync.h"
#include "tests/sync/fake_journal.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.
using pitbox::testing::FakeJournal;
using pitbox::testing::make_definition;

constexpr BootNs kTick = 10'000'000;
constexpr std::uint64_t kFile = 0x9f01;
constexpr std::uint64_t kEntries = 6;
constexpr int kFramesPerTurn = 64;

class Box {
 public:
  Box() {
    const auto definition = make_definition("engine");
    for (std::uint64_t i = 0; i < kEntries; ++i) {
      journal_.add(kFile, 100 + i * 20'000, i % 2 == 1 ? definition : nullptr);
    }
    journal_.info.id = Uuid::from_bytes("session-16-bytes").take();
    journal_.ended = true;
    SessionSync::Options options;
    options.box_id = Uuid::from_bytes("the-box-16-bytes").take();
    options.software = "fuzz";
    options.room_url = "ws://room";
    sync_.emplace(options, journal_, SyncReports{acknowledged_, completed_, seen_, refused_},
                  journal_.heads());
  }
  void dial() {
    if (sync_->is_open()) sync_->closed(now_);
    greeted_ = false;
    sync_->opened(now_);
    speak();
  }
  void hear(std::string_view frame) {
    note_shown(frame);
    // A room that broke the protocol is hung up on.
    if (!sync_->received(now_, frame).ok()) dial();
    speak();
  }
  void pass(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      now_ += kTick;
      if (sync_->step(now_)) dial();
      take_reports();
      speak();
    }
  }
  // Everything that was asked for is held by a room that says so.
  void finish_with_a_good_room() {
    dial();
    words::Frame welcome;
    welcome.mutable_welcome()->set_version(kRoomProtocolVersion);
    words::Held* held = welcome.mutable_welcome()->add_held();
    held->set_incarnation(kFile);
    words::Range* range = held->add_ranges();
    range->set_first(1);
    range->set_last(kEntries);
    words::HeldContent* content = held->add_contents();
    content->set_first(1);
    for (const StoredEntry& entry : journal_.file(kFile).entries) {
      content->add_hashes(short_hash(entry.hashes[0].raw()));
    }
    hear(serialise(welcome));
    pass(2);
    words::Frame complete;
    complete.mutable_session_complete();
    hear(serialise(complete));
    pass(2);
    CHECK(sync_->is_complete() || was_refused_);
  }

 private:
  void speak() {
    // A room may ask for the same again and again; each time once.
    for (int i = 0; i < kFramesPerTurn && sync_->is_open(); ++i) {
      std::string bytes;
      if (!sync_->next_frame(now_, bytes)) break;
      check_said(bytes);
    }
    CHECK(sync_->in_flight() <= kEntries * 200'000 * 2);
  }
  void check_said(std::string_view bytes) {
    const auto frame = parse_frame(bytes);
    CHECK(frame.ok());
    CHECK(frame.value().has_hello() != greeted_);
    greeted_ = true;
    if (!frame.value().has_part()) return;
    const words::Part& part = frame.value().part();
    CHECK(part.incarnation() == kFile && part.first() >= 1 && part.last() <= kEntries);
    const StoredEntry& entry = journal_.file(kFile).entries[part.first() - 1];
    CHECK(entry.bytes.compare(part.offset(), part.bytes().size(), part.bytes()) == 0);
    if (part.offset() + part.bytes().size() == part.total()) ours_.add(part.first());
  }
  // What a Welcome shows with our content.
  void note_shown(std::string_view bytes) {
    const auto frame = parse_frame(bytes);
    if (!frame.ok()) return;
    for (const words::Held& held : frame.value().welcome().held()) {
      if (held.incarnation() != kFile) continue;
      for (const words::HeldContent& content : held.contents()) {
        for (int i = 0; i < content.hashes_size(); ++i) {
          const std::uint64_t at = content.first() + static_cast<std::uint64_t>(i);
          if (at > kEntries) break;
          const StoredEntry& entry = journal_.file(kFile).entries[at - 1];
          if (short_hash(entry.hashes[0].raw()) == content.hashes(i)) ours_.add(at);
        }
      }
    }
  }
  void take_reports() {
    int reports = 0;
    while (auto report = acknowledged_.try_pop()) {
      ++reports;
      CHECK(report->incarnation == kFile);
      // Acknowledged is only what we sent, or what the room has with our content.
      for (const Range& range : report->ranges.ranges()) CHECK(ours_.contains(range));
    }
    if (seen_.take()) ++reports;
    while (completed_.try_pop()) ++reports;
    while (refused_.try_pop()) {
      ++reports;
      was_refused_ = true;
    }
    CHECK(reports <= 8);
  }

  FakeJournal journal_;
  RangeSet ours_;
  BoundedQueue<Acknowledged> acknowledged_{64};
  BoundedQueue<SessionCompleted> completed_{4};
  LatestSlot<RoomSeen> seen_;
  BoundedQueue<IncarnationRefused> refused_{4};
  std::optional<SessionSync> sync_;
  BootNs now_ = 1'000'000'000;
  bool greeted_ = false;
  bool was_refused_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Box box;
  box.dial();
  for (std::size_t at = 0; at < size;) {
    const std::uint8_t step = data[at++];
    if (step >= 220) {
      box.pass(step - 219);
    } else if (step >= 200) {
      box.dial();
    } else if (at + 2 <= size) {
      const auto length = static_cast<std::size_t>(data[at] | data[at + 1] << 8);
      const std::string_view frame = input.substr(at + 2, length);
      at += 2 + frame.size();
      box.hear(frame);
    }
  }
  box.finish_with_a_good_room();
  return 0;
}
