// PollClient: GET /health and GET /auth/me. The one door of this module to libcurl; what an answer
// means is poll_answer.h.
//
// Threads: one (the link's). step() never blocks: curl's multi interface, and no names to resolve:
// the caller passes the address (curl's own resolver thread would be waited for when a poll is
// given up).
//
// Limits: one poll of a kind at a time; an answer takes at most `answer_within`; of a body the
// first kBodyMax bytes are kept, for a person to read. Proxies of the environment are not used, as
// little as for the rooms.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proto/status.h"
#include "sync/endpoint.h"
#include "sync/poll_answer.h"
#include "sync/poll_rounds.h"

namespace pitbox {

class PollClient {
 public:
  static constexpr std::size_t kBodyMax = 512;
  struct Options {
    Endpoint api;
    std::string api_key;
    std::string bearer;
    std::string ca_file;
    std::string software = "pitbox";
    // Less than a round's 3 s, so that the reason is curl's and not "no answer in time".
    std::chrono::milliseconds answer_within{2900};
  };
  static Result<std::unique_ptr<PollClient>> create(const Options& options);
  ~PollClient();
  PollClient(const PollClient&) = delete;
  PollClient& operator=(const PollClient&) = delete;

  // Gives up a poll of that kind that still runs. REQUIRES: kind is kHealth or kAuth.
  void start(PollKind kind, const std::string& address);
  // Does what can be done now.
  void step();
  // A finished poll, once.
  std::optional<PollAnswer> next_answer();
  bool busy() const;

 private:
  struct State;
  explicit PollClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pitbox
