// Goal: exactly once through SIGKILL at any moment. Method: a child owns ring, store and recorder
// and is killed at random times and at chosen points, again and again; then the parent reads what
// the journal holds. What was heard is what the ring's own numbers say was published.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "buffer/recorder.h"
#include "recorder_rig.h"

namespace pitbox {
namespace {

using rig::expect_exactly;
using rig::Kept;
using rig::Rig;

constexpr std::uint64_t kRowsPerMessage = 5;
constexpr std::uint64_t kMessagesOfALife = 64;

// Publishes numbered messages and records them until it is killed. Message 1 announces the
// definition, message n >= 2 has the rows that its number says.
class Child {
 public:
  explicit Child(Rig& rig) : rig_(rig) {}

  // `die_after_commits`: kills itself right after that many, if not 0. Writes one byte to
  // `alive` once it has published kMessagesOfALife.
  [[noreturn]] void run(int die_after_commits, int alive) {
    rig_.options.flush_interval = std::chrono::microseconds(500);
    rig_.clock.boot = system_clock().boot_now();
    rig_.open();
    MessageRing& ring = *rig_.rings.at("udp");
    const std::uint64_t told_at = ring.last_number() + kMessagesOfALife;
    bool has_told = false;
    while (true) {
      for (int i = 0; i < 8; ++i) publish(ring, ring.last_number() + 1);
      rig_.clock.boot = system_clock().boot_now();
      rig_.recorder->step(rig_.clock.boot);
      if (!has_told && ring.last_number() >= told_at) has_told = ::write(alive, "1", 1) == 1;
      if (die_after_commits != 0 && rig_.published > die_after_commits) raise(SIGKILL);
    }
  }

 private:
  static void publish(MessageRing& ring, std::uint64_t number) {
    std::string text = "D";
    if (number > 1) {
      text = "R 7 " + std::to_string((number - 2) * kRowsPerMessage + 1) + " " +
             std::to_string(kRowsPerMessage);
    }
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    static_cast<void>(ring.publish(1, system_clock().boot_now(), bytes));  // Full: next time.
  }
  Rig& rig_;
};

TEST(RecorderKill, LosesAndDoublesNothingWhenKilledAgainAndAgain) {
  Rig rig;
  std::mt19937 random(20261121);
  constexpr int kKills = 40;
  for (int i = 0; i < kKills; ++i) {
    int alive[2] = {};
    ASSERT_EQ(pipe(alive), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) Child(rig).run(i % 4 == 0 ? i / 4 : 0, alive[1]);
    close(alive[1]);
    // Every second one has a life before the kill, however slow the machine; the others may die
    // while they open their files.
    char byte = 0;
    if (i % 2 == 1) {
      ASSERT_EQ(read(alive[0], &byte, 1), 1);
    }
    close(alive[0]);
    // The moment of the kill is what is random, so this waits on the clock, not for a state.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
  }
  rig.clock.boot = system_clock().boot_now();
  rig.open();
  rig.say("D");  // So that there is a session even if no child lived long enough.
  ASSERT_TRUE(rig.recorder->stop(system_clock().boot_now()).ok());
  const Conservation counted = rig.snapshot().conservation;
  const std::uint64_t heard = rig.rings["udp"]->last_number();
  EXPECT_EQ(counted.messages.heard, heard);
  EXPECT_EQ(counted.messages.decoded, heard);
  EXPECT_EQ(counted.messages.in_ring, 0U);
  rig.crash();
  ASSERT_EQ(rig.sessions().size(), 1U);
  const Kept kept = rig.kept();
  ASSERT_GE(heard, kKills / 2 * kMessagesOfALife);
  EXPECT_EQ(counted.records.journaled, (heard - 2) * kRowsPerMessage);
  expect_exactly(kept, 1, (heard - 2) * kRowsPerMessage);
  RecordProperty("messages", static_cast<int>(heard));
  std::printf("%d kills, %llu messages, %zu files\n", kKills,
              static_cast<unsigned long long>(heard), kept.files);
}

}  // namespace
}  // namespace pitbox
