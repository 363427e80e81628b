// Comparing what was sent with what was kept, row by row and whatever the order: multisets of row
// identities (proto/batch.h). `pitbox ledger`, the demonstration and the kill tests stand on it.
//
// Plain functions; any thread, each call its own objects. Memory: 16 bytes per row on each side.

#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "buffer/session_store.h"
#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

struct RowComparison {
  std::uint64_t expected = 0;
  std::uint64_t actual = 0;
  std::uint64_t missing = 0;     // Expected and not there, under any content.
  std::uint64_t duplicated = 0;  // More copies of an expected row than expected.
  std::uint64_t different = 0;   // A content that was not expected under this key, or a key that
                                 // was not expected at all.
  bool is_equal() const { return missing == 0 && duplicated == 0 && different == 0; }
};

// Sorts both.
RowComparison compare_rows(std::vector<RowIdentity>& expected, std::vector<RowIdentity>& actual);

// Identities of every row in the session's journal files, copies of re-sent batches left out
// (session_rows.h); only of `cars`, if it names any, and then the others are counted in `others`.
// Fails if a file cannot be read, or on the first entry that is damaged: a ledger
// that skipped one would call it missing without saying why.
Result<std::vector<RowIdentity>> session_row_identities(const SessionFiles& session,
                                                        const std::set<std::string>& cars = {},
                                                        std::uint64_t* others = nullptr);

}  // namespace pitbox
