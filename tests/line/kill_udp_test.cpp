// SIGKILL of the daemon fifty times and of the room ten times at random moments, also while they
// start, under 200,000 samples/s of numbered records over a UDP socket that outlives the daemon.
// Every record sent is in the journal and in the room exactly once. A run in which the kernel
// dropped anything proves nothing and fails. `pitbox-torture kills` is the same at length.

#include <cstdio>

#include "tests/line/expect_kept.h"
#include "tests/line/line_rig.h"
#include "tests/torture/kill_run.h"

namespace pitbox {
namespace {

constexpr int kUdpKills = 50;
constexpr int kRoomKills = 10;

TEST(KillUdp, EveryRecordSentIsJournaledOnceThoughTheDaemonDiesFiftyTimes) {
  const LineRig rig;  // Its folder only: the run sets a stage of its own.
  KillRunOptions options;
  options.programs = PITBOX_BIN_DIR;
  options.folder = rig.folder();
  options.daemon_kills = kUdpKills;
  options.room_kills = kRoomKills;
  options.seed = 20;
  options.daemon_lives = std::chrono::milliseconds(200);
  const auto played = run_kills(options);
  ASSERT_TRUE(played.ok()) << played.status().message() << "\n"
                           << text_of(rig.folder() / "log" / "pitboxd.log");
  const KillReport& report = played.value();

  EXPECT_EQ(report.end.daemon_kills, kUdpKills);
  EXPECT_EQ(report.end.room_kills, kRoomKills);
  expect_all_kept(report.kept);

  const auto& after = report.receives_after_ms;
  if (after.empty()) return;
  // A datagram of this test costs the kernel about 1,280 bytes of buffer, and comes every ms.
  std::printf(
      "%llu records; receive buffer covers about %zu ms; received again after exec: median "
      "%lld ms, most %lld ms\n",
      static_cast<unsigned long long>(report.kept.sent), report.buffer_bytes / 1280,
      static_cast<long long>(after[after.size() / 2]), static_cast<long long>(after.back()));
}

}  // namespace
}  // namespace pitbox
