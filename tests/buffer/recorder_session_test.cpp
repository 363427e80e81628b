// Goal: a session's boundary is a place in the rings, and commands answer only when it is durable.
// Method: commands between messages, with the same rig as recorder_test.cpp.

#include "buffer/recorder.h"
#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::expect_exactly;
using rig::Kept;
using rig::Rig;

TEST(RecorderSession, BelongsToWhatWasHeardBeforeItsEnd) {
  Rig rig;
  rig.with_laps = true;
  rig.options.messages_per_step = 2;
  rig.open();
  const CommandResult race = rig.command(StartSession{.name = "Race 1", .type = "race", .id = {}});
  ASSERT_TRUE(race.status.ok()) << race.status.message();
  rig.say("D");
  rig.say_rows(1, 200);
  auto ending = rig.recorder->submit(EndSession{});
  rig.recorder->step(rig.clock.boot);  // Takes the command; the boundary is here.
  rig.say_rows(201, 100);              // Heard after it: another session's.
  rig.flush();
  ASSERT_EQ(ending.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  const CommandResult ended = ending.get();
  EXPECT_TRUE(ended.status.ok());
  EXPECT_EQ(ended.session->id, race.session->id);

  const RecorderSnapshot next = rig.snapshot();
  EXPECT_TRUE(next.session_is_automatic);
  EXPECT_NE(next.session->id, race.session->id);
  EXPECT_EQ(next.conservation.messages.heard, 10U);
  EXPECT_EQ(next.conservation.records.journaled, 100U);
  EXPECT_EQ(next.conservation.records.rejected_sum(), 0U) << "the schema was announced once";
  const Uuid second = next.session->id;
  rig.crash();

  const Kept first = rig.kept(race.session->id);
  expect_exactly(first, 1, 200);
  EXPECT_EQ(first.kinds,
            (std::vector<std::string>{"clock_anchor", "session_start", "lap", "session_end"}));
  ASSERT_EQ(first.laps.size(), 1U);
  EXPECT_EQ(first.laps[0].kind, "in");
  EXPECT_EQ(first.counters.at("messages.heard"), 21U);
  EXPECT_EQ(first.counters.at("messages.in_ring"), 0U);
  EXPECT_EQ(Conservation::load(first.counters).violations(), std::vector<std::string>{});
  expect_exactly(rig.kept(second), 201, 300);
}

TEST(RecorderSession, KnowsSchemasAnnouncedInAnEarlierSessionEvenAfterAKillBetweenThem) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.flush();
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  rig.reopen();
  EXPECT_EQ(rig.snapshot().state, RecorderState::kIdle);
  rig.say_rows(1, 10);
  rig.flush();
  EXPECT_EQ(rig.snapshot().conservation.records.journaled, 10U);
}

TEST(RecorderSession, StartEndsAnAutomaticSessionAndRefusesAnyOther) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 10);
  rig.flush();
  const Uuid automatic = rig.snapshot().session->id;
  rig.say_rows(11, 10);
  const CommandResult started = rig.command(StartSession{.name = "", .type = "practice", .id = {}});
  ASSERT_TRUE(started.status.ok());
  EXPECT_EQ(started.session->type, "practice");
  EXPECT_EQ(started.session->name.substr(0, 9), "practice ");
  EXPECT_FALSE(rig.snapshot().session_is_automatic);
  const CommandResult refused = rig.command(StartSession{});
  EXPECT_EQ(refused.status.code(), Code::kRejected);
  rig.reopen();
  EXPECT_FALSE(rig.snapshot().session_is_automatic);
  EXPECT_EQ(rig.command(StartSession{}).status.code(), Code::kRejected);
  rig.crash();
  expect_exactly(rig.kept(automatic), 1, 20);
}

TEST(RecorderSession, GivesWhatWaitsInTheRingToASessionThatStartsFromNone) {
  Rig rig;
  rig.open();
  rig.say("D");
  rig.say_rows(1, 10);
  const CommandResult started = rig.command(StartSession{.name = "S", .type = "test", .id = {}});
  ASSERT_TRUE(started.status.ok());
  rig.flush();
  rig.crash();
  EXPECT_EQ(rig.sessions().size(), 1U);
  expect_exactly(rig.kept(started.session->id), 1, 10);
}

TEST(RecorderSession, RefusesWhatIsNoSession) {
  Rig rig;
  rig.open();
  EXPECT_EQ(rig.command(EndSession{}).status.code(), Code::kRejected);
  EXPECT_EQ(rig.command(BindSession{.platform_id = "x"}).status.code(), Code::kRejected);
  EXPECT_EQ(rig.command(StartSession{.name = "", .type = "sprint", .id = {}}).status.code(),
            Code::kRejected);
  const std::string most(kMaxSessionNameBytes, 'x');
  EXPECT_EQ(rig.command(StartSession{.name = most + "x", .type = "test", .id = {}}).status.code(),
            Code::kRejected);
  EXPECT_EQ(rig.command(StartSession{.name = "a\nb", .type = "test", .id = {}}).status.code(),
            Code::kRejected);
  EXPECT_EQ(rig.command(StartSession{.name = "", .type = "test", .id = Uuid{}}).status.code(),
            Code::kRejected);
  EXPECT_TRUE(rig.sessions().empty());
  const Uuid id = Uuid::mint();
  const CommandResult started = rig.command(StartSession{.name = most, .type = "test", .id = id});
  ASSERT_TRUE(started.status.ok());
  EXPECT_EQ(started.session->id, id);
  ASSERT_TRUE(rig.command(EndSession{}).status.ok());
  EXPECT_EQ(rig.command(StartSession{.name = "", .type = "test", .id = id}).status.code(),
            Code::kRejected)
      << "an id names one session for ever";
}

TEST(RecorderSession, BindsThePlatformsIdDurably) {
  Rig rig;
  rig.open();
  ASSERT_TRUE(rig.command(StartSession{.name = "S", .type = "test", .id = {}}).status.ok());
  const CommandResult bound = rig.command(BindSession{.platform_id = "plat-7"});
  ASSERT_TRUE(bound.status.ok());
  EXPECT_EQ(bound.session->platform_id, "plat-7");
  EXPECT_EQ(rig.command(BindSession{.platform_id = ""}).status.code(), Code::kRejected);
  rig.reopen();
  EXPECT_EQ(rig.snapshot().session->platform_id, "plat-7");
  rig.crash();
  EXPECT_EQ(rig.kept().count_kind("session_bound"), 1U);
}

TEST(RecorderSession, AnswersEveryCommandEvenWhenItGoesAway) {
  Rig rig;
  rig.options.commands_max = 2;
  rig.open();
  auto first = rig.recorder->submit(EndSession{});
  auto second = rig.recorder->submit(EndSession{});
  auto third = rig.recorder->submit(EndSession{});
  EXPECT_EQ(third.get().status.code(), Code::kTryAgain);
  rig.crash();
  EXPECT_EQ(first.get().status.code(), Code::kTryAgain);
  EXPECT_EQ(second.get().status.code(), Code::kTryAgain);
}

}  // namespace
}  // namespace pitbox
