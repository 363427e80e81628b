// The ledger of a sender: an identity for every row it sent, and totals (docs/sim.md, "The
// ledger"). Whoever sends writes one; nothing that receives has a part in it.
//
// Threads: a LedgerWriter belongs to one thread. The file is written with plain write(2) calls, one
// per block and without a sync: it has to survive the death of the sender, not of the machine.
//
// Limits when reading: the file is trusted no further than its block lengths; a last block that is
// cut off ends it, anything else out of place is kCorrupt.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct LedgerTotals {
  struct Group {
    std::uint64_t rows = 0;
    std::uint64_t samples = 0;
    friend bool operator==(const Group&, const Group&) = default;
  };
  std::uint64_t rows = 0;
  std::uint64_t samples = 0;
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;
  std::uint64_t content_hash = 0;  // Sum of all contents modulo 2^64: order has no part in it.
  std::map<std::string, std::map<std::string, Group>> cars;  // By car, then group.

  // Counts rows of one group (not datagrams and bytes); `contents`: the sum of their contents.
  void add_rows(std::string_view car, std::string_view group, const Group& counts,
                std::uint64_t contents);
  std::string json() const;
  friend bool operator==(const LedgerTotals&, const LedgerTotals&) = default;
};

class LedgerWriter {
 public:
  // Empties the file if there is one. kRejected if it cannot be written, with the reason.
  static Result<std::unique_ptr<LedgerWriter>> create(const std::filesystem::path& file);
  ~LedgerWriter();
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;

  // Kept in memory until flush().
  void add(const RowIdentity& identity) { pending_.push_back(identity); }
  // Writes the rows added since the last one, then the totals. kFatal if a write fails; rows that
  // were not written are written by the next flush.
  Status flush(const LedgerTotals& totals);

 private:
  LedgerWriter(int descriptor, std::string name)
      : descriptor_(descriptor), name_(std::move(name)) {}
  Status write_block(std::uint32_t kind, std::string_view payload);

  const int descriptor_;
  const std::string name_;
  std::vector<RowIdentity> pending_;
};

struct Ledger {
  std::vector<RowIdentity> rows;
  LedgerTotals totals;       // Of the last totals block.
  bool was_cut_off = false;  // The sender died while writing; what stands here was sent.
};
// kRejected if there is no such file or it is no ledger; kCorrupt if it is damaged inside.
Result<Ledger> read_ledger(const std::filesystem::path& file);

}  // namespace pitbox
