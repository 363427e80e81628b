// Goal: what the link reports is stored with the commits, and a refused incarnation is journaled
// again without loss. Method: reports put into the queues by hand, with the rig of
// recorder_test.cpp.

#include "buffer/recorder.h"
#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::Kept;
using rig::Rig;

RangeSet ranges(const std::vector<Range>& parts) {
  RangeSet result;
  for (const Range& part : parts) result.add(part);
  return result;
}

struct LinkRig : Rig {
  LinkRig() { open(); }
  void given_batches(std::uint64_t count) {
    say("D");
    for (std::uint64_t i = 0; i < count; ++i) {
      say_rows(next, 10);
      next += 10;
      flush();
    }
  }
  void acknowledge(RangeSet held, bool replaces = false, std::uint64_t incarnation = 0) {
    const RecorderSnapshot now = snapshot();
    ASSERT_TRUE(recorder->link_reports().acknowledged.try_push(
        {.session = now.session->id,
         .incarnation = incarnation == 0 ? now.incarnation : incarnation,
         .replaces = replaces,
         .ranges = std::move(held)}));
  }
  void refuse(std::uint64_t incarnation) {
    ASSERT_TRUE(recorder->link_reports().refused.try_push({.session = snapshot().session->id,
                                                           .incarnation = incarnation,
                                                           .reason = "conflict",
                                                           .conflicts = ranges({{1, 1000}})}));
  }
  FileHead live_file() { return live_heads().files.back(); }
  std::uint64_t next = 1;
};

TEST(RecorderLink, StoresAcknowledgementsWithTheNextCommitAndThenIsIdle) {
  LinkRig rig;
  rig.given_batches(5);
  const RecorderSnapshot before = rig.snapshot();
  EXPECT_EQ(before.conservation.entries.journaled, 7U);  // Anchor, session start, five batches.
  EXPECT_EQ(before.conservation.entries.pending, 7U);
  EXPECT_GT(before.conservation.pending_bytes(), 0U);
  rig.acknowledge(ranges({{1, 3}}));
  rig.acknowledge(ranges({{5, 6}, {900, 901}}));  // Nobody can hold what was never issued.
  rig.step();
  EXPECT_EQ(rig.snapshot().commits, before.commits) << "no sooner than a flush";
  rig.flush();
  const RecorderSnapshot after = rig.snapshot();
  EXPECT_EQ(after.commits, before.commits + 1);
  EXPECT_EQ(after.last_sequence, before.last_sequence);
  EXPECT_EQ(after.conservation.entries.acknowledged, 5U);
  EXPECT_EQ(after.conservation.entries.pending, 2U);
  EXPECT_EQ(rig.live_file().acknowledged, ranges({{1, 3}, {5, 6}}));
  rig.acknowledge(ranges({{4, 4}, {7, 7}}));
  rig.acknowledge(ranges({{1, 7}}));
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.pending_bytes(), 0U);
  rig.pass(3000);
  EXPECT_EQ(rig.snapshot().commits, before.commits + 2);
  rig.reopen();
  EXPECT_EQ(rig.snapshot().conservation.entries.acknowledged, 7U);
  EXPECT_EQ(rig.live_file().acknowledged, ranges({{1, 7}}));
}

TEST(RecorderLink, RemembersWhichStoreAcknowledged) {
  LinkRig rig;
  rig.given_batches(2);
  const Uuid session = rig.snapshot().session->id;
  const std::uint64_t incarnation = rig.snapshot().incarnation;
  ASSERT_TRUE(rig.recorder->link_reports().acknowledged.try_push(
      {session, incarnation, true, ranges({{1, 4}}), 77}));
  rig.flush();
  EXPECT_EQ(rig.live_file().acknowledged_by, 77U);
  rig.reopen();
  EXPECT_EQ(rig.live_file().acknowledged_by, 77U);
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  const auto file = [&] { return rig.recorder->heads().get()->sessions.front().files.front(); };
  EXPECT_EQ(file().acknowledged_by, 77U);
  ASSERT_TRUE(rig.recorder->link_reports().acknowledged.try_push(
      {session, incarnation, true, ranges({{1, 4}}), 78}));
  rig.step();
  EXPECT_EQ(file().acknowledged_by, 78U);
  rig.reopen();
  EXPECT_EQ(file().acknowledged_by, 78U);
}

TEST(RecorderLink, LetsWelcomeTakeBackWhatTheRoomLost) {
  LinkRig rig;
  rig.given_batches(5);
  rig.acknowledge(ranges({{1, 7}}));
  rig.flush();
  rig.acknowledge(ranges({{1, 2}, {6, 6}}), true);
  rig.flush();
  EXPECT_EQ(rig.live_file().acknowledged, ranges({{1, 2}, {6, 6}}));
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.entries.acknowledged, 3U);
  EXPECT_EQ(counted.entries.pending, 4U);
  EXPECT_GT(counted.pending_bytes(), 0U);
  rig.acknowledge(ranges({{1, 7}}));
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.pending_bytes(), 0U);
}

TEST(RecorderLink, JournalsTheUnacknowledgedEntriesOfARefusedIncarnationAgain) {
  LinkRig rig;
  rig.given_batches(100);  // Sequences 3..102.
  rig.acknowledge(ranges({{1, 50}}));
  rig.flush();
  const std::uint64_t refused = rig.snapshot().incarnation;
  rig.refuse(refused);
  rig.say_rows(rig.next, 10);  // Live data goes on.
  rig.flush();
  const RecorderSnapshot after = rig.snapshot();
  EXPECT_NE(after.incarnation, refused);
  EXPECT_FALSE(after.rekeying);
  EXPECT_EQ(after.conservation.entries_rekeyed, 52U);
  EXPECT_EQ(after.conservation.records.journaled, 1010U);
  EXPECT_NE(after.error.find("conflict"), std::string::npos);
  EXPECT_EQ(rig.live_file().rekeyed_from, refused);
  EXPECT_EQ(rig.live_heads().files.front().evicted, ranges({{51, 102}})) << "not to be sent";
  const std::filesystem::path file = rig.live_file().file;
  const Uuid session = after.session->id;
  rig.crash();
  Kept fresh;
  rig::read_file(file, fresh);
  rig::expect_exactly(fresh, 481, 1010);
  std::uint64_t answered = 0;
  for (const words::Event& event : fresh.events) {
    if (!event.has_tombstone()) continue;
    EXPECT_EQ(event.tombstone().incarnation(), refused);
    answered += event.tombstone().last() - event.tombstone().first() + 1;
  }
  EXPECT_EQ(answered, 52U);
  EXPECT_EQ(rig.kept(session).numbers.size(), 1010U);
}

TEST(RecorderLink, AFileWhoseContinuationTheRoomHoldsIsSealedAndNotCopied) {
  LinkRig rig;
  rig.given_batches(5);
  const std::uint64_t refused = rig.snapshot().incarnation;
  ASSERT_TRUE(rig.recorder->link_reports().refused.try_push({.session = rig.snapshot().session->id,
                                                             .incarnation = refused,
                                                             .reason = "holds 900",
                                                             .conflicts = {}}));
  rig.flush();
  const RecorderSnapshot after = rig.snapshot();
  EXPECT_NE(after.incarnation, refused);
  EXPECT_EQ(after.conservation.entries_rekeyed, 0U);
  EXPECT_EQ(rig.live_file().rekeyed_from, 0U);
  const FileHead old = rig.live_heads().files.front();
  EXPECT_EQ(old.incarnation, refused);
  EXPECT_TRUE(old.sealed);
  EXPECT_TRUE(old.evicted.empty()) << "what it has is sent as ever";
}

struct EndedRig : LinkRig {
  // 300 batches of a session that is over, of which the room holds 50.
  EndedRig() {
    given_batches(300);
    acknowledge(ranges({{1, 50}}));
    flush();
    session = snapshot().session->id;
    refused = snapshot().incarnation;
    EXPECT_TRUE(command(EndSession{}).status.ok());
    last = head().files.front().last;
  }
  SessionHeads head() { return recorder->heads().get()->sessions.front(); }
  void refuse_ended() {
    ASSERT_TRUE(recorder->link_reports().refused.try_push(
        {session, refused, "another content", ranges({{1, 1000}})}));
  }
  void expect_copied_once() {
    Kept copies;
    RangeSet answered;
    for (const FileHead& file : head().files) {
      if (file.incarnation == refused) answered = file.evicted;
      if (file.incarnation != refused) rig::read_file(file.file, copies);
    }
    rig::expect_exactly(copies, 481, 3000);
    EXPECT_EQ(answered, ranges({{51, last}}));
    EXPECT_TRUE(head().ended);
  }
  Uuid session;
  std::uint64_t refused = 0;
  std::uint64_t last = 0;
};

TEST(RecorderLink, ASessionThatIsOverIsJournaledAgainInAFileOfItsOwn) {
  EndedRig rig;
  rig.refuse_ended();
  rig.step();
  EXPECT_FALSE(rig.snapshot().rekeying);
  ASSERT_EQ(rig.head().files.size(), 2U);
  EXPECT_EQ(rig.head().files.back().rekeyed_from, rig.refused);
  EXPECT_TRUE(rig.head().files.back().sealed);
  rig.expect_copied_once();
  const auto reader = JournalReader::open(rig.head().files.back().file);
  ASSERT_TRUE(reader.ok());
  const Conservation counted = Conservation::load(reader.value()->counters().value());
  EXPECT_TRUE(counted.violations().empty()) << counted.violations().front();
  EXPECT_EQ(counted.entries_rekeyed, rig.last - 50);
  rig.refuse_ended();
  rig.step();
  EXPECT_EQ(rig.head().files.size(), 2U) << "there is nothing left to do";
}

TEST(RecorderLink, AKillAmidstThatCopiesNothingTwice) {
  EndedRig rig;
  rig.refuse_ended();
  for (int i = 0; i < 3; ++i) rig.recorder->step(rig.clock.boot);
  ASSERT_TRUE(rig.snapshot().rekeying);
  EXPECT_EQ(rig.head().files.size(), 1U) << "the room is not told of half a file";
  rig.reopen();
  EXPECT_EQ(rig.head().files.size(), 2U) << "adopted";
  rig.refuse_ended();
  rig.step();
  EXPECT_EQ(rig.head().files.size(), 3U);
  rig.expect_copied_once();
}

// What the tombstones in a file answer for, of one incarnation.
RangeSet answered_in(const std::filesystem::path& file, std::uint64_t incarnation) {
  Kept kept;
  rig::read_file(file, kept);
  RangeSet answered;
  for (const words::Event& event : kept.events) {
    if (event.tombstone().incarnation() != incarnation) continue;
    answered.add(Range{event.tombstone().first(), event.tombstone().last()});
  }
  return answered;
}

TEST(RecorderLink, AnOlderCopyOfAFileOfAnEndedSessionIsAnsweredFor) {
  LinkRig rig;
  rig.given_batches(5);
  rig.acknowledge(ranges({{1, 8}}));
  const std::filesystem::path file = rig.live_file().file;
  const std::uint64_t incarnation = rig.live_file().incarnation;
  rig.crash();
  std::filesystem::copy_file(file, rig.folder / "copy.db");
  rig.open();
  rig.given_batches(5);
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  const std::uint64_t last = rig.recorder->heads().get()->sessions.front().files.front().last;
  rig.crash();
  std::filesystem::rename(rig.folder / "copy.db", file);
  rig.open();
  rig.flush();
  const SessionHeads session = rig.recorder->heads().get()->sessions.front();
  ASSERT_EQ(session.files.size(), 2U);
  EXPECT_EQ(session.files.front().removed, ranges({{8, last}}));
  EXPECT_EQ(answered_in(session.files.back().file, incarnation), ranges({{8, last}}))
      << "what nobody has any more";
  rig.reopen();
  rig.flush();
  EXPECT_EQ(rig.recorder->heads().get()->sessions.front().files.size(), 2U) << "said once";
}

// Copies that went with an older copy of the file they were in: the originals are there.
TEST(RecorderLink, JournalsAgainWhatWentWithAnOlderCopy) {
  LinkRig rig;
  rig.given_batches(300);
  const std::uint64_t refused = rig.snapshot().incarnation;
  rig.refuse(refused);
  rig.recorder->step(rig.clock.boot);
  rig.recorder->step(rig.clock.boot);
  ASSERT_TRUE(rig.snapshot().rekeying) << "half of it is copied";
  const std::filesystem::path file = rig.live_file().file;
  rig.crash();
  std::filesystem::copy_file(file, rig.folder / "copy.db");
  rig.open();
  rig.refuse(refused);
  rig.flush();
  ASSERT_FALSE(rig.snapshot().rekeying);
  const std::uint64_t last = rig.live_heads().files.front().last;
  rig.crash();
  const RangeSet all = answered_in(file, refused);
  ASSERT_TRUE(all.contains(Range{1, last}));
  const RangeSet before = answered_in(rig.folder / "copy.db", refused);
  ASSERT_FALSE(before.contains(Range{1, last}));
  std::filesystem::rename(rig.folder / "copy.db", file);
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.live_heads().files.front().evicted, before);
  rig.refuse(refused);  // By the room, for what is pending again.
  rig.flush();
  RangeSet lost = all;
  lost.remove_all(before);
  EXPECT_EQ(answered_in(rig.live_file().file, refused), lost);
  rig.crash();
  Kept fresh;
  const std::vector<std::filesystem::path> files = rig.sessions().back().files;
  for (std::size_t i = 1; i < files.size(); ++i) rig::read_file(files[i], fresh);
  rig::expect_exactly(fresh, 1, 3000);
}

TEST(RecorderLink, CarriesOnRekeyingAfterAKillAndCopiesNothingTwice) {
  LinkRig rig;
  rig.given_batches(300);
  const std::uint64_t refused = rig.snapshot().incarnation;
  rig.refuse(refused);
  rig.recorder->step(rig.clock.boot);
  rig.recorder->step(rig.clock.boot);
  rig.recorder->step(rig.clock.boot);
  ASSERT_TRUE(rig.snapshot().rekeying);
  ASSERT_GT(rig.snapshot().conservation.entries_rekeyed, 0U);
  rig.reopen();
  rig.refuse(refused);  // By the room, for what is not answered yet.
  rig.flush();
  EXPECT_FALSE(rig.snapshot().rekeying);
  EXPECT_EQ(rig.snapshot().conservation.entries_rekeyed, 301U);
  const std::filesystem::path file = rig.live_file().file;
  rig.crash();
  Kept fresh;
  rig::read_file(file, fresh);
  rig::expect_exactly(fresh, 1, 3000);
}

TEST(RecorderLink, CopiesEntriesOfAnEarlierBootUnderThatBootsAnchor) {
  LinkRig rig;
  rig.given_batches(2);
  rig.clock.id[0] = '9';
  rig.clock.boot = 5'000'000;
  rig.reopen();
  rig.given_batches(2);
  rig.refuse(rig.snapshot().incarnation);
  rig.flush();
  rig.say_rows(rig.next, 10);
  rig.flush();
  const std::filesystem::path file = rig.live_file().file;
  rig.crash();
  auto reader = JournalReader::open(file);
  ASSERT_TRUE(reader.ok());
  std::string boot;
  std::vector<std::string> boots;  // Of each batch.
  ASSERT_TRUE(reader.value()
                  ->scan(1,
                         [&](const StoredEntry& entry) {
                           if (!entry.is_event) boots.push_back(boot);
                           const auto anchor = parse_clock_anchor(entry.bytes);
                           if (entry.is_event && anchor) boot = anchor->boot_id;
                           return true;
                         })
                  .ok());
  ASSERT_EQ(boots.size(), 5U);
  EXPECT_EQ(boots[0][0], '1');
  EXPECT_EQ(boots[1][0], '1');
  EXPECT_EQ(boots[2][0], '9');
  EXPECT_EQ(boots[3][0], '9');
  EXPECT_EQ(boots[4][0], '9');
}

TEST(RecorderLink, PassesReportsAboutSealedFilesAndEndedSessionsToTheStore) {
  LinkRig rig;
  rig.given_batches(3);
  const Uuid session = rig.snapshot().session->id;
  const std::uint64_t incarnation = rig.snapshot().incarnation;
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  auto heads = rig.recorder->heads().get();
  ASSERT_EQ(heads->sessions.size(), 1U);
  EXPECT_TRUE(heads->sessions[0].ended);
  const std::uint64_t last = heads->sessions[0].files[0].last;
  ASSERT_TRUE(rig.recorder->link_reports().acknowledged.try_push({.session = session,
                                                                  .incarnation = incarnation,
                                                                  .replaces = false,
                                                                  .ranges = ranges({{1, last}})}));
  rig.step();
  heads = rig.recorder->heads().get();
  EXPECT_EQ(heads->sessions[0].files[0].acknowledged, ranges({{1, last}}));
  const RoomIdentity room{.url = "ws://room", .store = 1};
  ASSERT_TRUE(rig.recorder->link_reports().completed.try_push({.session = session, .room = room}));
  rig.step();
  EXPECT_TRUE(rig.recorder->heads().get()->sessions.empty());
  rig.recorder->link_reports().seen.put({{.url = room.url, .store = 2}});
  rig.step();
  EXPECT_EQ(rig.recorder->heads().get()->sessions.size(), 1U) << "it is asked about again";
}

}  // namespace
}  // namespace pitbox
