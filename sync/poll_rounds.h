// PollRounds: when a round of polls starts, and when it is over. Pure: the caller passes the time,
// does the polls, and hands in what each said.
//
// A round starts every 6 s, start to start, also while one times out (every part answers within
// 3 s, so two never overlap), and at once when the room's socket opens or closes. Five failed ones
// in a row: 24 to 33 s after a cut at the latest.
//
// Threads: one (the link's).

#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "buffer/clock.h"
#include "sync/link_state.h"

namespace pitbox {

enum class PollKind : std::uint8_t { kHealth, kAuth, kRoom };

class PollRounds {
 public:
  struct Options {
    std::chrono::nanoseconds period = std::chrono::seconds(6);
    std::chrono::nanoseconds answer_within = std::chrono::seconds(3);
  };
  explicit PollRounds(const Options& options) : options_(options) {}

  // Which parts take part from the next round on.
  void configure(bool health, bool auth, bool room);
  // The socket opened or closed: a round now, or right after the one that runs.
  void trigger() { wanted_ = true; }
  // True once per round, when it starts: the caller sends the polls.
  bool try_start(BootNs now);
  bool running() const { return running_; }
  // The first answer of a part counts; one that belongs to no round is ignored.
  void answer(PollKind kind, bool ok, LinkReason reason, const std::string& error);
  // The finished round, once; parts that did not answer in time have failed as unreachable.
  std::optional<PollRound> try_finish(BootNs now);
  // When to call again.
  BootNs next_at() const;

 private:
  struct Slot {
    PollPart part;
    bool answered = false;
  };
  Slot& slot(PollKind kind);
  bool complete() const;

  const Options options_;
  Slot health_;
  Slot auth_;
  Slot room_;
  bool running_ = false;
  bool wanted_ = true;  // The first round starts at once.
  BootNs started_ = 0;
};

}  // namespace pitbox
