// `pitbox verify` in miniature: what a room lacks, has twice, or has otherwise.

#include "export/entry_ledger.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

constexpr std::uint64_t kFile = 7;
constexpr std::uint64_t kNewFile = 8;

EntryIdentity entry(std::uint64_t incarnation, std::uint64_t sequence, std::uint8_t content,
                    bool is_copy = false) {
  EntryIdentity made{.incarnation = incarnation,
                     .first = sequence,
                     .last = sequence,
                     .hash = {},
                     .is_copy = is_copy};
  made.hash.bytes[0] = content;
  return made;
}

void expect(const EntryComparison& result, std::uint64_t missing, std::uint64_t duplicated,
            std::uint64_t different) {
  EXPECT_EQ(result.missing, missing);
  EXPECT_EQ(result.duplicated, duplicated);
  EXPECT_EQ(result.different, different);
}

TEST(EntryLedger, FindsTheSameOnBothSides) {
  const std::vector<EntryIdentity> both{entry(kFile, 1, 1), entry(kFile, 2, 2)};
  expect(compare_entries(both, both, {{kFile, {.last = 2, .removed = {}}}}), 0, 0, 0);
}

TEST(EntryLedger, FindsWhatTheRoomLacks) {
  expect(compare_entries({entry(kFile, 1, 1), entry(kFile, 2, 2)}, {entry(kFile, 2, 2)},
                         {{kFile, {.last = 2, .removed = {}}}}),
         1, 0, 0);
}

TEST(EntryLedger, FindsWhatTheRoomHasTwice) {
  expect(compare_entries({entry(kFile, 1, 1)}, {entry(kFile, 1, 1), entry(kFile, 1, 1)},
                         {{kFile, {.last = 1, .removed = {}}}}),
         0, 1, 0);
  expect(compare_entries({entry(kFile, 1, 1)}, {entry(kFile, 1, 1), entry(kNewFile, 5, 1)},
                         {{kFile, {.last = 1, .removed = {}}}}),
         0, 1, 0);
}

TEST(EntryLedger, CallsAnotherContentUnderTheSameKeyOneDifference) {
  expect(compare_entries({entry(kFile, 1, 1)}, {entry(kFile, 1, 9)},
                         {{kFile, {.last = 1, .removed = {}}}}),
         0, 0, 1);
}

TEST(EntryLedger, CallsWhatTheJournalNeverHadDifferent) {
  expect(compare_entries({entry(kFile, 1, 1)}, {entry(kFile, 1, 1), entry(99, 1, 3)},
                         {{kFile, {.last = 1, .removed = {}}}}),
         0, 0, 1);
}

TEST(EntryLedger, LeavesOutWhatCameAfterTheJournalWasRead) {
  const auto result =
      compare_entries({entry(kFile, 1, 1)}, {entry(kFile, 1, 1), entry(kFile, 2, 2)},
                      {{kFile, {.last = 1, .removed = {}}}});
  expect(result, 0, 0, 0);
  EXPECT_EQ(result.newer, 1U);
}

TEST(EntryLedger, LeavesOutWhatWasDeletedHere) {
  JournalExtent extent{.last = 2, .removed = {}};
  extent.removed.add(1);
  const auto result = compare_entries({entry(kFile, 2, 2)},
                                      {entry(kFile, 1, 1), entry(kFile, 2, 2)}, {{kFile, extent}});
  expect(result, 0, 0, 0);
  EXPECT_EQ(result.removed, 1U);
}

TEST(EntryLedger, TakesACopyUnderANewKeyForTheOriginal) {
  const std::vector<EntryIdentity> journal{entry(kFile, 1, 1), entry(kFile, 2, 2),
                                           entry(kNewFile, 1, 2, true)};
  const std::map<std::uint64_t, JournalExtent> ends{{kFile, {.last = 2, .removed = {}}},
                                                    {kNewFile, {.last = 1, .removed = {}}}};
  expect(compare_entries(journal, {entry(kFile, 1, 1), entry(kNewFile, 1, 2)}, ends), 0, 0, 0);
  expect(compare_entries(journal, {entry(kFile, 1, 1)}, ends), 1, 0, 0);
}

}  // namespace
}  // namespace pitbox
