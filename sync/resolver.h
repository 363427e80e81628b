// Resolver: names to addresses on a thread of its own, because getaddrinfo() blocks (ten seconds
// seen) and libwebsockets would block its loop on it.
//
// What was known stays known: when a look-up fails, the addresses of the last one that did not are
// given with the error. At a circuit the name server is often gone long before the path is.
//
// Threads: look_up() and distrust() from the link's thread; the resolver's own does one blocking
// look-up at a time and calls `wake` after each. Why a mutex: a handful of names, looked at a few
// times a second; nothing is called under it.
//
// Limits: kMaxNames names, kMaxAddresses addresses each. A look-up that fails takes at most 2 tries
// of 2 s per name server, and so does the destructor, which waits for the one that runs.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "buffer/clock.h"

namespace pitbox {

class Resolver {
 public:
  static constexpr std::size_t kMaxNames = 16;
  static constexpr std::size_t kMaxAddresses = 8;
  struct Answer {
    bool done = false;                   // At least one look-up has ended.
    std::vector<std::string> addresses;  // Numeric; of the last look-up that found any.
    std::string error;                   // Of the last look-up; empty if it found some.
  };
  using Look = std::function<Answer(const std::string& name)>;

  // `wake` is called from the resolver's thread. `look`: for tests; by default getaddrinfo().
  explicit Resolver(std::function<void()> wake, Look look = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Never blocks. Asks for a new look-up if the last one is older than `max_age`. A numeric
  // address is its own answer.
  Answer look_up(const std::string& name, BootNs now,
                 std::chrono::nanoseconds max_age = std::chrono::seconds(60));
  // The address did not answer: the next look_up() asks anew.
  void distrust(const std::string& name);

 private:
  struct Name {
    Answer answer;
    BootNs asked_at = 0;
    bool queued = false;
    bool distrusted = true;
  };
  void run();

  const std::function<void()> wake_;
  const Look look_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Name> names_;
  std::deque<std::string> queue_;
  bool stopping_ = false;
  std::thread thread_;  // Last: it starts when all else is there.
};

}  // namespace pitbox
