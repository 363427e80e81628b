#include "buffer/runner.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

std::int64_t steady_ns(std::chrono::steady_clock::time_point time) {
  return to_ns(time.time_since_epoch());
}

}  // namespace

Runner::Runner(std::string name, const Clock& clock, Work work)
    : name_(std::move(name)), clock_(clock), work_(std::move(work)) {
  CHECK(name_.size() <= 15);
}

Runner::~Runner() {
  stop();
}

void Runner::start() {
  CHECK(!thread_.joinable());
  stopping_.store(false);
  thread_ = std::thread([this] { run(); });
}

void Runner::wake() {
  if (awake_.exchange(true)) return;  // A step that is still to come will see what there is.
  // The empty critical section: the sleeper is either before its check of awake_ or in wait().
  { const std::lock_guard lock(mutex_); }
  condition_.notify_one();
}

bool Runner::wake_within(std::chrono::nanoseconds patience) {
  // Adding nothing rather than loading: either the thread's next step comes after what the caller
  // has to show, or this sees when it sleeps.
  const std::int64_t until = sleeps_until_.fetch_add(0);
  if (until <= steady_ns(std::chrono::steady_clock::now() + patience)) return false;
  wake();
  return true;
}

void Runner::stop() {
  stopping_.store(true);
  wake();
  condition_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Runner::run() {
  pthread_setname_np(pthread_self(), name_.c_str());
  while (!stopping_.load()) {
    sleeps_until_.exchange(kNever);
    awake_.exchange(false);
    if (work_.step(clock_.boot_now()) > 0) continue;
    sleep_until(work_.next_deadline());
  }
}

void Runner::sleep_until(BootNs deadline) {
  // An hour is as good as for ever, and far from every overflow.
  constexpr BootNs kLongest = to_ns(std::chrono::hours(1));
  const BootNs now = clock_.boot_now();
  if (deadline <= now) return;
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::nanoseconds(std::min(deadline - now, kLongest));
  sleeps_until_.exchange(steady_ns(until));
  std::unique_lock lock(mutex_);
  condition_.wait_until(lock, until, [this] { return awake_.load() || stopping_.load(); });
}

}  // namespace pitbox
