#include "sync/pacing.h"

#include <algorithm>

namespace pitbox {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr BootNs kRateMemory = 2'000'000'000;
constexpr BootNs kTripMemory = 10'000'000'000;
constexpr double kWindowMax = 8.0 * 1024 * 1024;
constexpr double kBackfillWindowMin = 16.0 * 1024;
constexpr double kLiveWindowMin = 64.0 * 1024;
// Shorter than this a sample says more about the clock than about the link.
constexpr BootNs kLeastRateInterval = 100'000;

}  // namespace

void TokenBucket::limit(BootNs now, std::uint64_t bytes_per_second) {
  if (rate_ == 0) filled_at_ = now;
  refill(now);
  rate_ = bytes_per_second;
  tokens_ = std::min(tokens_, static_cast<double>(rate_) * 0.05);
}

void TokenBucket::refill(BootNs now) {
  if (rate_ == 0) return;
  const double elapsed = static_cast<double>(std::max<BootNs>(0, now - filled_at_)) / kNsPerSecond;
  const double rate = static_cast<double>(rate_);
  tokens_ = std::min(tokens_ + elapsed * rate, rate * 0.05);
  filled_at_ = std::max(filled_at_, now);
}

bool TokenBucket::may_send(BootNs now) {
  refill(now);
  return rate_ == 0 || tokens_ >= 0;
}

void TokenBucket::sent(std::uint64_t bytes) {
  if (rate_ != 0) tokens_ -= static_cast<double>(bytes);
}

BootNs TokenBucket::ready_at(BootNs now) {
  if (may_send(now)) return now;
  return now + static_cast<BootNs>(-tokens_ / static_cast<double>(rate_) * kNsPerSecond) + 1;
}

void Pacing::reset(BootNs now) {
  *this = Pacing();
  delivered_at_ = now;
}

Pacing::Mark Pacing::mark(BootNs now) {
  // After a pause the clock of the next sample starts now, not at the last acknowledgement.
  if (in_flight_ == 0) delivered_at_ = now;
  return Mark{now, delivered_at_, delivered_, false};
}

void Pacing::sent(BootNs /*now*/, std::uint64_t bytes) {
  in_flight_ += bytes;
}

void Pacing::acknowledged(BootNs now, std::uint64_t bytes, const Mark& mark) {
  forget(bytes);
  delivered_ += bytes;
  delivered_at_ = now;
  const BootNs elapsed = std::max(now - mark.delivered_at, kLeastRateInterval);
  const double delivered = static_cast<double>(delivered_ - mark.delivered);
  learn_rate(now, delivered * kNsPerSecond / static_cast<double>(elapsed), mark.nothing_waiting);
  learn_round_trip(now, std::max<BootNs>(now - mark.sent_at, 1));
}

void Pacing::forget(std::uint64_t bytes) {
  in_flight_ -= std::min(in_flight_, bytes);
}

void Pacing::learn_rate(BootNs now, double rate, bool nothing_waiting) {
  if (nothing_waiting && rate <= rate_) return;
  while (!rates_.empty() && rates_.back().rate <= rate) rates_.pop_back();
  rates_.push_back({now, rate});
  const BootNs memory = std::max(kRateMemory, 10 * round_trip_);
  while (rates_.front().at < now - memory) rates_.pop_front();
  rate_ = rates_.front().rate;
}

void Pacing::learn_round_trip(BootNs now, BootNs took) {
  while (!trips_.empty() && trips_.back().took >= took) trips_.pop_back();
  trips_.push_back({now, took});
  while (trips_.front().at < now - kTripMemory) trips_.pop_front();
  round_trip_ = trips_.front().took;
}

std::uint64_t Pacing::live_window() const {
  const double held = rate_ * static_cast<double>(round_trip_) / kNsPerSecond;
  return static_cast<std::uint64_t>(
      std::clamp(2.0 * held + rate_ * 0.1, kLiveWindowMin, kWindowMax));
}

std::uint64_t Pacing::backfill_window() const {
  const double held = rate_ * static_cast<double>(round_trip_) / kNsPerSecond;
  return static_cast<std::uint64_t>(
      std::clamp(1.25 * held + rate_ * 0.05, kBackfillWindowMin, kWindowMax));
}

std::size_t Pacing::live_part_bytes() const {
  if (rate_ == 0) return 64 * 1024;
  return static_cast<std::size_t>(std::clamp(rate_ * 0.05, 16.0 * 1024, 512.0 * 1024));
}

std::size_t Pacing::backfill_part_bytes() const {
  if (rate_ == 0) return 4 * 1024;
  return static_cast<std::size_t>(std::clamp(rate_ * 0.05, 1.0 * 1024, 64.0 * 1024));
}

}  // namespace pitbox
