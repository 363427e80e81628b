// Goal: a runner sleeps when there is nothing to do and never misses a wake. Threaded. Method: a
// counter as the work, and deadlines far away.

#include "buffer/runner.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pitbox {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

bool becomes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Runner, SeesEveryWakeOfAnotherThread) {
  std::atomic<std::uint64_t> asked{0};
  std::atomic<std::uint64_t> done{0};
  Runner runner("test", system_clock(),
                {.step = [&](BootNs) -> std::size_t {
                   const std::uint64_t target = asked.load();
                   return done.exchange(target) == target ? 0 : 1;
                 },
                 .next_deadline = [] { return kNever; }});
  runner.wake();  // Before it runs: harmless.
  runner.start();
  for (std::uint64_t i = 1; i <= 20'000; ++i) {
    asked.store(i);
    runner.wake();
    if (i % 100 == 0) {
      ASSERT_TRUE(becomes_true([&] { return done.load() >= i; })) << i;
    }
  }
  runner.stop();
  runner.wake();  // After it: harmless.
}

TEST(Runner, IsWokenForWhatCanWaitOnlyIfItWouldNotLookInTime) {
  using std::chrono::hours;
  std::atomic<int> steps{0};
  std::atomic<BootNs> deadline{system_clock().boot_now() + to_ns(std::chrono::minutes(30))};
  Runner runner("test", system_clock(),
                {.step = [&](BootNs) -> std::size_t {
                   ++steps;
                   return 0;
                 },
                 .next_deadline = [&] { return deadline.load(); }});
  EXPECT_TRUE(runner.wake_within(hours(2))) << "nobody knows when it will run";
  runner.start();
  ASSERT_TRUE(becomes_true([&] { return !runner.wake_within(hours(2)); })) << "it sleeps";
  const int before = steps.load();
  EXPECT_FALSE(runner.wake_within(hours(1)));
  EXPECT_TRUE(runner.wake_within(std::chrono::minutes(1)));
  EXPECT_TRUE(becomes_true([&] { return steps.load() > before; }));
  runner.stop();
}

class LeapingClock final : public Clock {
 public:
  BootNs boot_now() const override { return system_clock().boot_now() + leapt.load(); }
  WallNs wall_now() const override { return system_clock().wall_now(); }
  std::string boot_id() const override { return "boot"; }

  std::atomic<BootNs> leapt{0};
};

// Boot time ran on while the machine was suspended, the time that the thread sleeps by did not.
TEST(Runner, IsWokenAfterASuspendThoughItShouldHaveLookedLongAgo) {
  LeapingClock clock;
  std::atomic<int> steps{0};
  Runner runner("test", clock,
                {.step = [&](BootNs) -> std::size_t {
                   ++steps;
                   return 0;
                 },
                 .next_deadline = [] { return kNever; }});
  runner.start();
  ASSERT_TRUE(becomes_true([&] { return !runner.wake_within(std::chrono::hours(2)); }));
  const int before = steps.load();
  clock.leapt.store(to_ns(std::chrono::hours(5)));
  EXPECT_TRUE(runner.wake_within(std::chrono::milliseconds(25)));
  EXPECT_TRUE(becomes_true([&] { return steps.load() > before; }));
  runner.stop();
}

// It sleeps for ever when it found nothing and for a moment when it did: what is told in between
// must be seen.
TEST(Runner, SeesEverythingThatCouldWait) {
  constexpr auto kMoment = std::chrono::microseconds(50);
  std::atomic<std::uint64_t> asked{0};
  std::atomic<std::uint64_t> done{0};
  std::atomic<BootNs> look{kNever};
  Runner runner("test", system_clock(),
                {.step = [&](BootNs now) -> std::size_t {
                   const std::uint64_t target = asked.load(std::memory_order_acquire);
                   const bool is_news = done.exchange(target) != target;
                   if (is_news) look.store(now + to_ns(kMoment));
                   if (!is_news && now >= look.load()) look.store(kNever);
                   return is_news ? 1 : 0;
                 },
                 .next_deadline = [&] { return look.load(); }});
  runner.start();
  for (std::uint64_t i = 1; i <= 20'000; ++i) {
    asked.store(i, std::memory_order_release);
    runner.wake_within(kMoment);
    if (i % 10 == 0) {
      ASSERT_TRUE(becomes_true([&] { return done.load() >= i; })) << i;
    }
  }
  runner.stop();
}

TEST(Runner, SleepsUntilItsDeadlineAndNotLonger) {
  std::atomic<int> steps{0};
  std::atomic<BootNs> deadline{kNever};
  Runner runner("test", system_clock(),
                {.step = [&](BootNs) -> std::size_t {
                   ++steps;
                   return 0;
                 },
                 .next_deadline = [&] { return deadline.load(); }});
  runner.start();
  ASSERT_TRUE(becomes_true([&] { return steps.load() == 1; }));
  deadline.store(system_clock().boot_now() + to_ns(std::chrono::milliseconds(20)));
  runner.wake();
  ASSERT_TRUE(becomes_true([&] { return steps.load() >= 3; }));
  EXPECT_GE(system_clock().boot_now(), deadline.load());
  deadline.store(kNever);
  runner.stop();
}

TEST(Runner, StopsFromItsSleepAndCanStartAgain) {
  std::atomic<int> steps{0};
  Runner runner("test", system_clock(),
                {.step = [&](BootNs) -> std::size_t {
                   ++steps;
                   return 0;
                 },
                 .next_deadline = [] { return kNever; }});
  for (int i = 1; i <= 50; ++i) {
    runner.start();
    ASSERT_TRUE(becomes_true([&] { return steps.load() >= i; }));
    runner.stop();
  }
}

}  // namespace
}  // namespace pitbox
