// Runner: a named thread around an object with `step(now)`.
//
// Duty cycle: while step() returns work it is called again at once; when it returns 0 the thread
// sleeps until wake() or the deadline that next_deadline() gave, whichever is first. So an idle
// daemon takes no processor time, and a busy one never sleeps. What can wait a little is told by
// wake_within(): it lets a thread sleep that will look in time, so that a trickle of messages is
// looked at in handfuls.
//
// Threads: start() and stop() belong to the owner; wake() and wake_within() may be called by any
// thread, also before start() and after stop(). A wake() during a step is not lost: the next sleep
// returns at once.
//
// Why a mutex: std::condition_variable asks for one. It guards two flags; wake() takes it only if
// the thread may be asleep.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <thread>

#include "buffer/clock.h"

namespace pitbox {

inline constexpr BootNs kNever = std::numeric_limits<BootNs>::max();

class Runner {
 public:
  struct Work {
    std::function<std::size_t(BootNs now)> step;
    std::function<BootNs()> next_deadline;  // kNever: only wake() ends the sleep.
  };
  // `name`: at most 15 characters, as the kernel shows it. `clock` must outlive the Runner.
  Runner(std::string name, const Clock& clock, Work work);
  ~Runner();  // stop()
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void start();
  void wake();
  // wake(), unless a step will begin within `patience` anyhow. True if it had to.
  bool wake_within(std::chrono::nanoseconds patience);
  // Ends after the step in progress. The object may then be used by the caller's thread.
  void stop();

 private:
  void run();
  void sleep_until(BootNs deadline);

  const std::string name_;
  const Clock& clock_;
  const Work work_;
  // Written by anyone (true), by the thread (false) before a step. Sequentially consistent: a
  // waker that finds it true relies on the step that follows the thread's store to see its data.
  std::atomic<bool> awake_{false};
  // Written by the thread: when the sleep ends that it is in, or about to begin; kNever before a
  // step. Read and written by exchanging, likewise. Steady time, in which it sleeps: boot time runs
  // on while the machine is suspended.
  std::atomic<std::int64_t> sleeps_until_{kNever};
  std::atomic<bool> stopping_{false};  // Written by stop().
  std::mutex mutex_;
  std::condition_variable condition_;
  std::thread thread_;
};

}  // namespace pitbox
