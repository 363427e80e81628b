// What was committed a moment ago, out of memory: the same as out of the file, once, within bounds.

#include "buffer/recent_entries.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/buffer/journal_rig.h"

namespace pitbox {
namespace {

constexpr std::uint64_t kIncarnation = 0xAA;

// Entries from sequence `first` on, of so many bytes each.
std::vector<StoredEntry> entries_from(std::uint64_t first, std::size_t count, std::size_t bytes) {
  std::vector<StoredEntry> entries(count);
  for (StoredEntry& entry : entries) {
    entry.first = entry.last = first++;
    entry.bytes.assign(bytes, 'b');
  }
  return entries;
}

void expect_same(const StoredEntry& got, const StoredEntry& want) {
  EXPECT_EQ(got.first, want.first);
  EXPECT_EQ(got.last, want.last);
  EXPECT_EQ(got.is_event, want.is_event);
  EXPECT_EQ(got.car, want.car);
  EXPECT_EQ(got.kind, want.kind);
  EXPECT_EQ(got.rows, want.rows);
  EXPECT_EQ(got.samples, want.samples);
  EXPECT_EQ(got.first_ns, want.first_ns);
  EXPECT_EQ(got.last_ns, want.last_ns);
  EXPECT_EQ(got.hashes, want.hashes);
  EXPECT_EQ(got.definitions, want.definitions);
  EXPECT_EQ(got.bytes, want.bytes);
}

TEST(RecentEntries, SaysWhatTheFileSays) {
  const TestFolder folder;
  const Journal::Options options = test_options(folder / "1-00000000000000aa.db");
  auto journal = Journal::create(options, kIncarnation).take();
  Commit commit = commit_of({test_batch("7", 1), test_batch("8", 2, 3)},
                            {test_event("mark"), test_event("gap")});
  const auto committed = journal->commit(commit);
  ASSERT_TRUE(committed.ok()) << committed.status().message();
  RecentEntries recent;
  recent.add(kIncarnation, take_entries(commit, committed.value().first));
  auto reader = JournalReader::open(options.file).take();
  const Range all{committed.value().first, committed.value().last};
  ASSERT_EQ(all.last - all.first + 1, 4U);
  EXPECT_EQ(recent.bytes_in(kIncarnation, all), reader->bytes_in(all).value());
  for (std::uint64_t sequence = all.first; sequence <= all.last; ++sequence) {
    SCOPED_TRACE(sequence);
    const auto found = recent.take(kIncarnation, sequence);
    const auto want = reader->entry(sequence);
    ASSERT_TRUE(found.has_value() && want.ok());
    expect_same(*found, want.value());
  }
}

TEST(RecentEntries, GivesEachOnceAndKeepsItsSize) {
  RecentEntries recent;
  recent.add(kIncarnation, entries_from(5, 3, 10));
  EXPECT_TRUE(recent.take(kIncarnation, 6).has_value());
  EXPECT_FALSE(recent.take(kIncarnation, 6).has_value());
  EXPECT_TRUE(recent.take(kIncarnation, 5).has_value());
  EXPECT_FALSE(recent.take(kIncarnation, 8).has_value());
  EXPECT_FALSE(recent.take(kIncarnation + 1, 7).has_value());
  EXPECT_EQ(recent.bytes_in(kIncarnation, {5, 7}), 30U);
  EXPECT_EQ(recent.bytes_in(kIncarnation, {6, 6}), 10U);
  EXPECT_FALSE(recent.bytes_in(kIncarnation, {4, 5}).has_value());
  EXPECT_FALSE(recent.bytes_in(kIncarnation, {7, 8}).has_value());
  EXPECT_FALSE(recent.bytes_in(kIncarnation + 1, {5, 7}).has_value());
}

TEST(RecentEntries, LetsTheOldestGoBeyondItsBounds) {
  RecentEntries recent;
  recent.add(kIncarnation, entries_from(1, RecentEntries::kEntriesMax + 1, 1));
  EXPECT_FALSE(recent.take(kIncarnation, 1).has_value());
  EXPECT_TRUE(recent.take(kIncarnation, 2).has_value());
  // Two of them do not fit.
  recent.add(kIncarnation,
             entries_from(RecentEntries::kEntriesMax + 2, 2, RecentEntries::kBytesMax / 2 + 1));
  EXPECT_FALSE(recent.take(kIncarnation, RecentEntries::kEntriesMax + 1).has_value());
  EXPECT_FALSE(recent.take(kIncarnation, RecentEntries::kEntriesMax + 2).has_value());
  EXPECT_TRUE(recent.take(kIncarnation, RecentEntries::kEntriesMax + 3).has_value());
}

TEST(RecentEntries, ForgetsTheOldestSizes) {
  RecentEntries recent;
  recent.add(kIncarnation, entries_from(1, RecentEntries::kSizesMax, 2));
  recent.add(kIncarnation, entries_from(RecentEntries::kSizesMax + 1, 1, 7));
  EXPECT_FALSE(recent.bytes_in(kIncarnation, {1, 1}).has_value());
  EXPECT_EQ(recent.bytes_in(kIncarnation, {2, RecentEntries::kSizesMax + 1}),
            2 * (RecentEntries::kSizesMax - 1) + 7);
}

TEST(RecentEntries, BeginsAnewWithAnotherFileAndAfterAHole) {
  RecentEntries recent;
  recent.add(kIncarnation, entries_from(1, 2, 4));
  recent.add(kIncarnation + 1, entries_from(1, 1, 8));
  EXPECT_FALSE(recent.take(kIncarnation, 1).has_value());
  EXPECT_EQ(recent.bytes_in(kIncarnation + 1, {1, 1}), 8U);
  recent.add(kIncarnation + 1, entries_from(4, 1, 9));
  EXPECT_FALSE(recent.bytes_in(kIncarnation + 1, {1, 1}).has_value());
  EXPECT_FALSE(recent.take(kIncarnation + 1, 1).has_value());
  EXPECT_EQ(recent.bytes_in(kIncarnation + 1, {4, 4}), 9U);
}

}  // namespace
}  // namespace pitbox
