// Where what is sent comes from; tests/line has it with real files and a real room.

#include "sync/journal_entry_source.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

constexpr std::uint64_t kIncarnation = 0xAA;

StoredEntry entry_of(std::uint64_t sequence) {
  StoredEntry entry;
  entry.first = entry.last = sequence;
  entry.bytes = "bbbbb";
  return entry;
}

// The file of the heads is not there: what comes, came from memory.
TEST(JournalEntrySource, TakesWhatWasJustCommittedFromMemory) {
  RecentEntries recent;
  JournalEntrySource source(&recent);
  FileHead head;
  head.incarnation = kIncarnation;
  head.file = "/nonexistent/1-00000000000000aa.db";
  head.last = 2;
  SessionHeads session;
  session.files.push_back(head);
  JournalHeads heads;
  heads.sessions.push_back(session);
  source.update(heads);
  recent.add(kIncarnation, {entry_of(1), entry_of(2)});
  const auto entry = source.entry(kIncarnation, 2);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_EQ(entry.value().bytes, "bbbbb");
  EXPECT_FALSE(source.entry(kIncarnation, 2).ok());
}

}  // namespace
}  // namespace pitbox
