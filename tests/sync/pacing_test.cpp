// What a connection learns from its acknowledgements: a simulated path of known rate and delay must
// be filled, its queue must stay short, and its windows must follow when it changes.

#include "sync/pacing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace pitbox {
namespace {

// A bottleneck of `rate` bytes per second, then `delay` there and back.
class Path {
 public:
  Path(double rate, BootNs delay) : rate_(rate), delay_(delay) {}
  void rate(double rate) { rate_ = rate; }

  // Sends backfill parts as the windows allow, for `span`; gives the bytes acknowledged.
  std::uint64_t run(Pacing& pacing, BootNs span) {
    std::uint64_t delivered = 0;
    for (const BootNs end = now_ + span; now_ < end; now_ += kNsPerMs / 4) {
      while (!flying_.empty() && flying_.front().back_at <= now_) {
        pacing.acknowledged(now_, flying_.front().bytes, flying_.front().mark);
        delivered += flying_.front().bytes;
        flying_.pop_front();
      }
      for (;;) {
        const std::size_t part = pacing.backfill_part_bytes();
        if (!flying_.empty() && pacing.in_flight() + part > pacing.backfill_window()) break;
        free_at_ = std::max(free_at_, now_);
        queue_max_ = std::max(queue_max_, free_at_ - now_);
        free_at_ += static_cast<BootNs>(static_cast<double>(part) / rate_ * 1e9);
        const Pacing::Mark mark = pacing.mark(now_);
        pacing.sent(now_, part);
        flying_.push_back({part, mark, free_at_ + delay_});
      }
    }
    return delivered;
  }
  BootNs queue_max() { return std::exchange(queue_max_, 0); }
  BootNs now() const { return now_; }

 private:
  struct Flying {
    std::uint64_t bytes;
    Pacing::Mark mark;
    BootNs back_at;
  };
  double rate_;
  BootNs delay_;
  BootNs now_ = 0;
  BootNs free_at_ = 0;
  BootNs queue_max_ = 0;
  std::deque<Flying> flying_;
};

TEST(Pacing, FillsALinkOfOneMegabitAndKeepsItsQueueUnder200Ms) {
  constexpr double kRate = 125'000;
  Pacing pacing;
  pacing.reset(0);
  Path path(kRate, 200 * kNsPerMs);
  path.run(pacing, 3000 * kNsPerMs);
  path.queue_max();
  const std::uint64_t delivered = path.run(pacing, 10'000 * kNsPerMs);
  EXPECT_GT(static_cast<double>(delivered), 0.9 * kRate * 10);
  EXPECT_LT(path.queue_max(), 200 * kNsPerMs);
  EXPECT_NEAR(pacing.rate(), kRate, 0.2 * kRate);
  EXPECT_LE(pacing.backfill_part_bytes(), 7500U) << "50 ms of rate";
}

TEST(Pacing, FillsAFastLinkWithinASecond) {
  constexpr double kRate = 300e6;
  Pacing pacing;
  pacing.reset(0);
  Path path(kRate, 5 * kNsPerMs);
  path.run(pacing, 1000 * kNsPerMs);
  const std::uint64_t delivered = path.run(pacing, 1000 * kNsPerMs);
  EXPECT_GT(static_cast<double>(delivered), 0.8 * kRate);
  EXPECT_EQ(pacing.backfill_part_bytes(), 64U * 1024);
  EXPECT_LE(pacing.backfill_window(), 8U << 20);
}

TEST(Pacing, FollowsALinkThatGetsSlower) {
  Pacing pacing;
  pacing.reset(0);
  Path path(2e6, 50 * kNsPerMs);
  path.run(pacing, 3000 * kNsPerMs);
  path.rate(100'000);
  path.run(pacing, 8000 * kNsPerMs);
  path.queue_max();
  path.run(pacing, 3000 * kNsPerMs);
  EXPECT_NEAR(pacing.rate(), 100'000, 30'000);
  EXPECT_LT(path.queue_max(), 400 * kNsPerMs);
}

TEST(Pacing, KeepsItsLimitsWhateverIsMeasured) {
  Pacing pacing;
  pacing.reset(0);
  EXPECT_EQ(pacing.backfill_window(), 16U * 1024);
  EXPECT_EQ(pacing.live_window(), 64U * 1024);
  EXPECT_EQ(pacing.backfill_part_bytes(), 4U * 1024) << "nothing is known yet";
  pacing.sent(0, 10);
  pacing.acknowledged(10'000'000'000, 10, pacing.mark(0));  // A byte a second.
  EXPECT_EQ(pacing.backfill_part_bytes(), 1024U);
  pacing.sent(0, std::uint64_t{1} << 40);
  pacing.acknowledged(10'000'000'001, std::uint64_t{1} << 40, pacing.mark(10'000'000'000));
  EXPECT_EQ(pacing.backfill_window(), std::uint64_t{8} << 20);
  EXPECT_EQ(pacing.live_window(), std::uint64_t{8} << 20);
  EXPECT_EQ(pacing.live_part_bytes(), 512U * 1024);
}

TEST(Pacing, ATrickleDoesNotPassForTheLinksMeasure) {
  Pacing pacing;
  pacing.reset(0);
  Path path(1e6, 20 * kNsPerMs);
  path.run(pacing, 2000 * kNsPerMs);
  const double measured = pacing.rate();
  BootNs now = path.now() + 20 * kNsPerMs;
  for (int i = 0; i < 100; ++i, now += 100 * kNsPerMs) {
    Pacing::Mark mark = pacing.mark(now);
    mark.nothing_waiting = true;
    pacing.sent(now, 500);
    pacing.acknowledged(now + 25 * kNsPerMs, 500, mark);
  }
  EXPECT_GE(pacing.rate(), 0.9 * measured);
}

TEST(TokenBucket, HoldsTheRateAndMayGoIntoDebtByOneFrame) {
  TokenBucket bucket;
  EXPECT_TRUE(bucket.may_send(0)) << "no limit";
  bucket.limit(0, 100'000);
  std::uint64_t sent = 0;
  for (BootNs now = 0; now < 10'000 * kNsPerMs; now += kNsPerMs) {
    while (bucket.may_send(now)) {
      bucket.sent(3000);
      sent += 3000;
    }
  }
  EXPECT_NEAR(static_cast<double>(sent), 1'000'000, 20'000);
  EXPECT_GT(bucket.ready_at(10'000 * kNsPerMs), 10'000 * kNsPerMs - kNsPerMs);
}

}  // namespace
}  // namespace pitbox
