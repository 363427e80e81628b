// Transmitter: turns a simulator's rows into native datagrams and keeps the books of what was
// accepted (docs/sim.md, "Sending" and "The ledger").
//
// One thread. Rows enter the books when the function that sends returns kOk for their datagram, and
// at no other moment.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/simulator.h"
#include "export/ledger_file.h"
#include "ingest/native_encoder.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kDatagramBytes = 1400;
inline constexpr std::int64_t kTickMs = 10;

class Transmitter {
 public:
  // Sends one datagram; kOk if and only if it was accepted.
  using Send = std::function<Status(std::string_view datagram)>;

  // `simulator` must outlive the transmitter; so must `ledger`, which may be null.
  Transmitter(Simulator& simulator, std::uint32_t sender, Send send, LedgerWriter* ledger);

  // Announces the next `count` definitions, in turn over all cars and groups.
  Status announce(std::size_t count);
  std::size_t definition_count() const;  // Of all cars together.
  // Drives on to `milliseconds` and sends what came due. After an error what was not accepted is
  // lost, as it is for a real sender, and is not in the books.
  Status run_to(std::int64_t milliseconds);

  const LedgerTotals& totals() const { return totals_; }

 private:
  struct PendingRows {
    std::string_view car;
    std::string_view group;
    LedgerTotals::Group counts;
    std::uint64_t contents = 0;
  };
  void append(const SimulatedRows& rows);
  void send_pending();
  std::uint16_t group_number(std::size_t car, std::size_t group) const;

  Simulator& simulator_;
  NativeEncoder encoder_;
  Send send_;
  LedgerWriter* ledger_;
  LedgerTotals totals_;
  Status failure_;
  std::size_t next_announcement_ = 0;

  // The datagram in hand, and what is in it.
  std::string datagram_;
  std::size_t datagram_car_ = 0;
  std::vector<PendingRows> pending_;
  std::vector<RowIdentity> identities_;
};

}  // namespace pitbox
