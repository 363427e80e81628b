// EndedRekeying: the same as a Rekeying does for the session that is open, for one that is over:
// its entries go into a file of their own, which is sealed when all are there.
//
// After a crash half-way that file is adopted at the next start; its tombstones say how far it got.
//
// Threads: the recorder's. The store must outlive it, and is told of the file at the end.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "buffer/events.h"
#include "buffer/handover.h"
#include "buffer/rekeying.h"
#include "buffer/session_store.h"

namespace pitbox {

class EndedRekeying {
 public:
  // Of the file of `head`, what `spared` does not contain. Errors as Rekeying::open() and
  // SessionStore::carry_of_ended().
  static Result<std::unique_ptr<EndedRekeying>> open(SessionStore& store, const Uuid& session,
                                                     const FileHead& head, const RangeSet& spared);

  // One chunk. True: all is copied, and the store knows the file. On an error what was copied so
  // far is known to the store, if it could be told; the rest is as before.
  Result<bool> step(const ClockReading& clock, BootNs now);

  const Uuid& session() const { return session_; }
  std::uint64_t incarnation() const { return incarnation_; }

 private:
  EndedRekeying(SessionStore& store, const Uuid& session, std::uint64_t incarnation)
      : store_(store), session_(session), incarnation_(incarnation) {}
  Status write(Commit commit);
  Status finish();

  SessionStore& store_;
  const Uuid session_;
  const std::uint64_t incarnation_;  // That is refused.
  std::unique_ptr<Rekeying> copying_;
  Commit carry_;                      // Until the file is made.
  std::unique_ptr<Journal> journal_;  // Null: nothing is written yet.
  EvictedRanges answered_;            // By what is written.
  std::optional<ClockReading> anchor_;
};

}  // namespace pitbox
