// Goal: what a recorder heard is in the journal exactly once, whatever stops it, and the counters
// say so. Method: real rings, store and SQLite files; a small decoder with state; a clock of our
// own.

#include "buffer/recorder.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::expect_exactly;
using rig::Kept;
using rig::kMillisecond;
using rig::Rig;

TEST(Recorder, JournalsWhatItHeardWithinOneFlushAndReleasesTheRing) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 100);
  rig.step();
  EXPECT_GT(rig.rings["udp"]->head(), rig.rings["udp"]->tail());
  EXPECT_EQ(rig.snapshot().conservation.records.building, 100U);
  rig.pass(100);
  EXPECT_EQ(rig.rings["udp"]->head(), rig.rings["udp"]->tail());
  const RecorderSnapshot snapshot = rig.snapshot();
  EXPECT_EQ(snapshot.state, RecorderState::kRecording);
  EXPECT_EQ(snapshot.conservation.records.journaled, 100U);
  EXPECT_EQ(snapshot.conservation.messages.decoded, 11U);
  EXPECT_EQ(snapshot.oldest_unjournaled_age_ns, 0);
  rig.crash();
  const Kept kept = rig.kept();
  expect_exactly(kept, 1, 100);
  EXPECT_EQ(kept.kinds, (std::vector<std::string>{"clock_anchor", "session_start"}));
}

TEST(Recorder, DoesNothingWhileNothingIsHeard) {
  Rig rig;
  rig.open();
  rig.pass(1000);
  EXPECT_EQ(rig.snapshot().state, RecorderState::kIdle);
  EXPECT_TRUE(rig.sessions().empty());
  EXPECT_EQ(rig.recorder->next_deadline(), kNever);

  rig.say("D");
  rig.pass(2000);
  const std::uint64_t commits = rig.snapshot().commits;
  rig.pass(5000);
  EXPECT_EQ(rig.snapshot().commits, commits);
  EXPECT_EQ(rig.recorder->next_deadline(), kNever);
}

// So nobody has to wake it for each message.
TEST(Recorder, LooksIntoItsRingsAgainByItselfWhileMessagesCome) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.pass(2000);
  const BootNs patience = to_ns(rig.recorder->patience());
  EXPECT_EQ(rig.recorder->next_deadline(), kNever) << "nothing comes";
  rig.say_rows(1, 1);
  rig.step();
  EXPECT_LE(rig.recorder->next_deadline(), rig.clock.boot + patience);
  rig.clock.boot += patience;
  rig.say_rows(2, 1);
  rig.step();
  EXPECT_LE(rig.recorder->next_deadline(), rig.clock.boot + patience);
  rig.pass(2000);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 2U);
  EXPECT_EQ(rig.recorder->next_deadline(), kNever);
}

TEST(Recorder, OpensASessionOfTypeTestForDataButNotForControlMessages) {
  Rig rig;
  rig.open();
  ASSERT_TRUE(rig.rings["udp"]->publish_control(MessageKind::kSourceStarted, 0).ok());
  rig.flush();
  EXPECT_TRUE(rig.sessions().empty());
  rig.say("D");
  rig.flush();
  const RecorderSnapshot snapshot = rig.snapshot();
  ASSERT_TRUE(snapshot.session.has_value());
  EXPECT_TRUE(snapshot.session_is_automatic);
  EXPECT_EQ(snapshot.session->type, "test");
  EXPECT_EQ(snapshot.session->name.substr(0, 5), "auto ");
}

TEST(Recorder, GivesBackARingFullOfControlMessagesWithoutASession) {
  Rig rig;
  rig.open();
  int published = 0;
  for (int i = 0; i < 200'000 && published < 60'000; ++i) {
    if (rig.rings["udp"]->publish_control(MessageKind::kStreamClosed, 1).ok()) {
      ++published;
    } else {
      rig.step();
    }
  }
  EXPECT_EQ(published, 60'000);
  EXPECT_TRUE(rig.sessions().empty());
}

TEST(Recorder, RemembersDecoderAndLapStateAndHalfARowAcrossAKill) {
  Rig rig;
  rig.with_laps = true;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 50);
  rig.say("H 51");
  rig.flush();
  rig.say_rows(52, 9);  // Heard, and not committed when it dies.
  rig.step();
  rig.reopen();
  rig.say("T 7");
  rig.say_rows(61, 939);
  rig.say_rows(1000, 1);
  rig.flush();
  const RecorderSnapshot snapshot = rig.snapshot();
  EXPECT_EQ(snapshot.conservation.records.rejected_sum(), 0U);
  EXPECT_EQ(snapshot.conservation.records.journaled, 1000U);
  rig.crash();
  const Kept kept = rig.kept();
  EXPECT_EQ(kept.files, 1U);
  // Half 51 was overtaken by the rows between its halves, but not lost: the order is the ring's.
  expect_exactly(kept, 1, 1000);
  ASSERT_EQ(kept.laps.size(), 1U);
  EXPECT_EQ(kept.laps[0].lap_time_ms, 1000);
  EXPECT_EQ(kept.laps[0].sector_time_ms, (std::vector<std::int64_t>{1, 2}));
}

TEST(Recorder, CommitsAtOnceWhenALapEnds) {
  Rig rig;
  rig.with_laps = true;
  rig.open();
  rig.say("D");
  rig.flush();
  rig.say_rows(991, 10);
  rig.step();  // No time passes.
  EXPECT_EQ(rig.snapshot().conservation.laps_journaled, 1U);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 10U);
}

TEST(Recorder, CommitsEarlyWhenHalfOfARingIsReadAndNotReleased) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.flush();
  const std::uint64_t commits = rig.snapshot().commits;
  const std::string padded = "R 7 1 1" + std::string(8000, ' ');
  for (int i = 0; i < 100; ++i) rig.say(padded);
  rig.step();  // No time passes.
  EXPECT_GT(rig.snapshot().commits, commits);
  EXPECT_LT(rig.rings["udp"]->head() - rig.rings["udp"]->tail(), rig.ring_bytes / 2 + 10'000);
}

TEST(Recorder, SealsLargeBatchesEarlyWithoutCommittingThem) {
  Rig rig;
  rig.options.intake.batch.batch_raw_bytes = 4096;
  rig.open();
  rig.say("D");
  rig.flush();
  const std::uint64_t commits = rig.snapshot().commits;
  rig.say_rows(1, 5000);
  rig.step();
  EXPECT_EQ(rig.snapshot().commits, commits);
  rig.flush();
  EXPECT_EQ(rig.snapshot().commits, commits + 1);
  EXPECT_GT(rig.snapshot().conservation.batches_journaled, 20U);
  rig.crash();
  expect_exactly(rig.kept(), 1, 5000);
}

TEST(Recorder, CountsWhatItRefusesAndKeepsTheGapsASourceTellsOf) {
  Rig rig;
  rig.open();
  rig.say("R 7 1 3");  // Not announced yet.
  rig.say("D");
  rig.say("nonsense");
  rig.say("G 5");
  rig.say("G 6");
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.records.decoded, 3U);
  EXPECT_EQ(counted.records.rejected[static_cast<std::size_t>(RejectReason::kUnknownGroup)], 3U);
  EXPECT_EQ(counted.messages.heard, 5U);
  EXPECT_EQ(counted.messages.decoded, 4U);
  EXPECT_EQ(counted.messages.dropped[static_cast<std::size_t>(DropReason::kMalformed)], 1U);
  EXPECT_EQ(counted.gaps, 1U);
  rig.crash();
  const Kept kept = rig.kept();
  ASSERT_EQ(kept.gaps().size(), 1U);
  EXPECT_EQ(kept.gaps()[0].count(), 11U);
  EXPECT_TRUE(kept.gaps()[0].count_known());
  EXPECT_EQ(kept.gaps()[0].reason(), "sequence");
  EXPECT_EQ(kept.gaps()[0].car(), "7");
  EXPECT_EQ(kept.counters.at("records.rejected.unknown_group"), 3U);
}

TEST(Recorder, RejectsRowsOfACarWhoseNameIsNoText) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say("R \x01\x02 1 4");
  rig.say("R \xff\xfe 5 4");
  rig.say_rows(9, 10);
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.records.rejected[static_cast<std::size_t>(RejectReason::kMalformed)], 8U);
  EXPECT_EQ(counted.records.journaled, 10U);
  EXPECT_EQ(counted.journals_replaced, 0U);
}

TEST(Recorder, WritesAClockAnchorFirstAndAfterEveryStepOfTheWallClock) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.flush();
  rig.clock.offset += 50 * kMillisecond;
  rig.say_rows(1, 10);
  rig.flush();
  rig.clock.offset += 60 * kMillisecond;  // 110 ms since the last anchor.
  rig.say_rows(11, 10);
  rig.flush();
  rig.clock.id[0] = '9';  // Another boot...
  rig.reopen();           // ...takes another process.
  rig.say_rows(21, 10);
  rig.flush();
  rig.crash();
  EXPECT_EQ(rig.kept().kinds, (std::vector<std::string>{"clock_anchor", "session_start",
                                                        "clock_anchor", "clock_anchor"}));
}

TEST(Recorder, ReadsManySourcesFairlyIntoOneJournal) {
  Rig rig;
  rig.sources = {"udp", "tcp", "spare"};
  rig.options.messages_per_step = 4;
  rig.open();
  rig.say("D", "udp");
  rig.say("D", "tcp");
  rig.say_rows(1, 500, "udp");
  rig.say_rows(501, 500, "tcp");
  rig.recorder->step(rig.clock.boot);
  const auto snapshot = rig.snapshot();
  EXPECT_EQ(snapshot.sources[0].messages, 4U);
  EXPECT_EQ(snapshot.sources[1].messages, 4U);
  rig.flush();
  rig.crash();
  expect_exactly(rig.kept(), 1, 1000);
}

TEST(Recorder, CountsHeardMessagesThatStillWaitInTheRingAcrossARestart) {
  Rig rig;
  rig.options.messages_per_step = 3;
  rig.open();
  rig.say("D");
  rig.flush();
  rig.say_rows(1, 100);
  rig.clock.boot += 500 * kMillisecond;
  rig.recorder->step(rig.clock.boot);  // Reads three, commits them; seven wait.
  const Conservation before = rig.snapshot().conservation;
  EXPECT_EQ(before.messages.heard, 11U);
  EXPECT_EQ(before.messages.in_ring, 7U);
  rig.reopen();
  rig.flush();
  const Conservation after = rig.snapshot().conservation;
  EXPECT_EQ(after.messages.heard, 11U);
  EXPECT_EQ(after.messages.in_ring, 0U);
  EXPECT_EQ(after.records.journaled, 100U);
}

TEST(Recorder, SaysSoWhenARingWithHeardMessagesDidNotOutliveAReboot) {
  Rig rig;
  rig.options.messages_per_step = 3;
  rig.open();
  rig.say("D");
  rig.flush();
  rig.say_rows(1, 100);
  rig.clock.boot += 500 * kMillisecond;
  rig.recorder->step(rig.clock.boot);
  rig.crash();
  std::filesystem::remove(rig.folder / "udp.ring");
  rig.open();
  rig.say_rows(200, 10);
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.messages.dropped[static_cast<std::size_t>(DropReason::kRingLost)], 7U);
  EXPECT_EQ(counted.messages.heard, 12U);
  rig.crash();
  const Kept kept = rig.kept();
  ASSERT_EQ(kept.gaps().size(), 1U);
  EXPECT_EQ(kept.gaps()[0].reason(), "ring_lost");
  EXPECT_FALSE(kept.gaps()[0].count_known());
}

TEST(Recorder, KeepsASourceThatIsNotConfiguredForAWhile) {
  Rig rig;
  rig.sources = {"udp", "tcp"};
  rig.options.messages_per_step = 1;
  rig.open();
  rig.say("D", "tcp");
  rig.say_rows(1, 50, "tcp");
  rig.say("D", "udp");
  rig.recorder->step(rig.clock.boot);
  rig.clock.boot += 200 * kMillisecond;
  rig.recorder->step(rig.clock.boot);
  rig.crash();
  rig.sources = {"udp"};
  rig.open();
  rig.say_rows(100, 10);
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.messages.in_ring, 4U);
  rig.crash();
  rig.sources = {"udp", "tcp"};
  rig.open();
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.messages.in_ring, 0U);
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 60U);
}

TEST(Recorder, DrainsTheRingsAndCommitsWhenItStops) {
  Rig rig;
  rig.options.messages_per_step = 2;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 500);
  EXPECT_TRUE(rig.recorder->stop(rig.clock.boot).ok());
  EXPECT_EQ(rig.rings["udp"]->head(), rig.rings["udp"]->tail());
  rig.crash();
  expect_exactly(rig.kept(), 1, 500);
}

TEST(Recorder, ShowsChangedValuesAtMostTenTimesASecond) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 10);
  rig.pass(10);
  const auto first = rig.recorder->live_view().get();
  ASSERT_NE(first, nullptr);
  ASSERT_EQ(first->cars.size(), 1U);
  ASSERT_EQ(first->cars[0].values.size(), 2U);
  EXPECT_EQ(first->cars[0].values[1].what().name, "half");
  EXPECT_DOUBLE_EQ(first->cars[0].values[1].value, rig::half_of(10));
  rig.say_rows(11, 10);
  rig.pass(50);
  EXPECT_EQ(rig.recorder->live_view().get(), first);
  rig.pass(60);
  EXPECT_DOUBLE_EQ(rig.recorder->live_view().get()->cars[0].values[1].value, rig::half_of(20));
}

// A UDP socket whose buffer is too small, and the address to send to it.
struct SmallSocket {
  SmallSocket() {
    receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    const int one = 1;
    const int bytes = 4096;
    setsockopt(receiver, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length);
    EXPECT_EQ(connect(sender, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~SmallSocket() {
    close(receiver);
    close(sender);
  }
  void send_text(const std::string& text) const {
    EXPECT_EQ(send(sender, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  int receiver = -1;
  int sender = -1;
};

// The kernel counts a run of datagrams that it drops as one.
TEST(Recorder, TellsNoNumberOfWhatTheKernelDroppedOfASourceWithRuns) {
  Rig rig;
  rig.slot_bytes = 65536;
  SmallSocket socket;
  const int on = 1;
  const int segment = 1;
  ASSERT_EQ(setsockopt(socket.receiver, IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
  ASSERT_EQ(setsockopt(socket.sender, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
  rig.open();
  for (int i = 0; i < 200; ++i) socket.send_text("DDDD");
  while (!rig.rings["udp"]->receive(socket.receiver, 77).take().would_block) {
  }
  socket.send_text("D");  // Brings the count of what was dropped before it.
  ASSERT_TRUE(rig.rings["udp"]->receive(socket.receiver, 77).ok());
  rig.clock.boot = system_clock().boot_now();
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_GT(counted.messages.heard, 4U);
  EXPECT_GT(counted.unheard, 0U);
  EXPECT_LT(counted.unheard, 200U);
  rig.crash();
  const auto gaps = rig.kept().gaps();
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].reason(), "kernel_drop");
  EXPECT_FALSE(gaps[0].count_known());
}

TEST(Recorder, TurnsKernelDropsIntoUnheardAndOneGapWithTheirCount) {
  Rig rig;
  SmallSocket socket;
  rig.open();
  for (int i = 0; i < 200; ++i) socket.send_text("D");
  std::uint64_t received = 0;
  while (true) {
    auto result = rig.rings["udp"]->receive(socket.receiver, 77);
    ASSERT_TRUE(result.ok());
    received += result.value().messages;
    if (result.value().would_block) break;
  }
  ASSERT_LT(received, 200U);
  socket.send_text("D");  // Brings the count of what was dropped before it.
  ASSERT_TRUE(rig.rings["udp"]->receive(socket.receiver, 77).ok());
  rig.clock.boot = system_clock().boot_now();
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.unheard, 200 - received);
  EXPECT_EQ(counted.messages.heard, received + 1);
  rig.reopen();  // The socket lives on, and so does its count.
  socket.send_text("D");
  ASSERT_TRUE(rig.rings["udp"]->receive(socket.receiver, 77).ok());
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.unheard, 200 - received);
  rig.crash();
  const auto gaps = rig.kept().gaps();
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].reason(), "kernel_drop");
  EXPECT_EQ(gaps[0].count(), 200 - received);
  EXPECT_GT(gaps[0].from_ns(), 0);
  EXPECT_GE(gaps[0].to_ns(), gaps[0].from_ns());
}

TEST(Recorder, DropsATruncatedDatagramWithAGapRatherThanDecodingItsStart) {
  Rig rig;
  SmallSocket socket;
  rig.open();
  socket.send_text("R 7 1 1" + std::string(2100, ' '));
  ASSERT_TRUE(rig.rings["udp"]->receive(socket.receiver, 77).ok());
  rig.flush();
  const Conservation counted = rig.snapshot().conservation;
  EXPECT_EQ(counted.messages.dropped[static_cast<std::size_t>(DropReason::kTruncated)], 1U);
  EXPECT_EQ(counted.records.decoded, 0U);
  EXPECT_EQ(counted.gaps, 1U);
}

// A laptop whose battery is empty is set to 1970 while a lap is under way.
TEST(Recorder, ALapThatBeganBeforeTheWallClocksBeginningBeganThen) {
  Rig rig;
  rig.with_laps = true;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 1000);
  rig.clock.boot += 50 * kMillisecond;
  rig.clock.offset = -rig.clock.boot;
  rig.clock.boot += 10 * kMillisecond;
  rig.flush();
  const Kept kept = rig.kept();  // Expects that each event can be read.
  ASSERT_EQ(kept.laps.size(), 1U);
  EXPECT_EQ(kept.laps[0].started_at_ms, 0);
}

}  // namespace
}  // namespace pitbox
