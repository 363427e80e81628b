// JournalInserts: the statements that add entries to a journal's tables (docs/journal.md,
// "Tables"), prepared once. The recorder's writer and salvage both write through it, so both mean
// the same by a row. Checks nothing: its callers know where their rows come from.
//
// Threads: one. Must not outlive the Database.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "buffer/journal_schema.h"
#include "proto/definition.h"
#include "proto/sqlite.h"
#include "proto/status.h"

namespace pitbox {

class JournalInserts {
 public:
  struct Event {
    std::uint64_t sequence = 0;
    std::string_view kind;
    std::string_view car;
    std::int64_t time_ns = 0;
    std::string_view hash;  // 16 bytes.
    std::string_view bytes;
  };
  struct Batch {
    std::uint64_t sequence = 0;
    std::string_view car;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
    std::uint64_t rows = 0;
    std::uint64_t samples = 0;
    std::string_view hash;                       // 16 bytes.
    std::span<const std::uint64_t> definitions;  // Prefixes.
    std::string_view blob;
  };
  struct Lap {
    std::uint64_t sequence = 0;  // Of its event.
    std::string_view car;
    std::uint32_t lap = 0;
    std::string_view kind;
    std::int64_t lap_time_ms = 0;
    std::span<const std::int64_t> sector_time_ms;
    std::int64_t started_at_ms = 0;
    std::string_view evidence;
  };

  static Result<JournalInserts> prepare(Database& database);

  // REQUIRES: a transaction is open, and sequences rise. `totals`, of what is before, come to be
  // what the row says they are with it.
  Status add(const Event& event, JournalTotals& totals);
  Status add(const Batch& batch, JournalTotals& totals);
  Status add(const Lap& lap);
  Status add(const Definition& definition);

 private:
  JournalInserts() = default;

  Statement event_;
  Statement batch_;
  Statement lap_;
  Statement definition_;
};

}  // namespace pitbox
