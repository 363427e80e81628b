// Reading what somebody else writes, moved, cut short or damaged: every good row is given, every
// bad one is named, and nothing of another shape gets through.

#include "buffer/journal_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "buffer/journal_schema.h"
#include "tests/buffer/journal_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class Reading : public testing::Test {
 protected:
  void SetUp() override {
    options_ = test_options(folder_ / "1-00000000000000aa.db");
    auto created = Journal::create(options_, 0xAA);
    ASSERT_TRUE(created.ok()) << created.status().message();
    journal_ = std::move(created).take();
  }

  // Events have the sequences 3n + 1, batches of the cars 7 and 8 the two after it.
  void given_commits(int count) {
    for (int i = 0; i < count; ++i) {
      const auto done = journal_->commit(
          commit_of({test_batch("7", i), test_batch("8", i, 2)}, {test_event("mark")}));
      ASSERT_TRUE(done.ok()) << done.status().message();
    }
  }
  void close() { journal_.reset(); }
  std::unique_ptr<JournalReader> read() { return read(options_.file); }
  static std::unique_ptr<JournalReader> read(const fs::path& file) {
    auto opened = JournalReader::open(file);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return opened.ok() ? std::move(opened).take() : nullptr;
  }
  struct Scanned {
    std::vector<std::uint64_t> good;
    std::map<std::uint64_t, Code> bad;
  };
  static Scanned scan(JournalReader& reader) {
    Scanned all;
    const Status status = reader.scan(
        1,
        [&](const StoredEntry& entry) {
          all.good.push_back(entry.first);
          return true;
        },
        [&](std::uint64_t sequence, const Status& reason) {
          all.bad.emplace(sequence, reason.code());
        });
    EXPECT_TRUE(status.ok()) << status.message();
    return all;
  }

  TestFolder folder_;
  Journal::Options options_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(Reading, GivesBackWhatWasCommittedWhileTheWriterGoesOn) {
  given_commits(1);
  auto reader = read();
  EXPECT_EQ(reader->incarnation(), 0xAAU);
  EXPECT_EQ(reader->box_id(), options_.box_id);
  EXPECT_EQ(reader->last_sequence().value(), 3U);
  given_commits(40);
  EXPECT_EQ(reader->last_sequence().value(), 123U);
  const auto entry = reader->entry(2);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  const NewBatch want = test_batch("7", 0);
  EXPECT_EQ(entry.value().bytes, want.batch.blob);
  EXPECT_EQ(entry.value().hashes, std::vector{want.batch.hash});
  EXPECT_EQ(entry.value().rows, 3U);
  EXPECT_EQ(entry.value().first_ns, 1000);
  EXPECT_EQ(entry.value().last_ns, 1002);
  ASSERT_EQ(entry.value().definitions.size(), 1U);
  const auto definition = reader->definition(entry.value().definitions[0]);
  ASSERT_TRUE(definition.ok() && definition.value() != nullptr);
  const auto decoded =
      decode_batch("7", entry.value().bytes, [&](std::uint64_t) { return definition.value(); });
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded.value().hash, want.batch.hash);
  EXPECT_EQ(reader->entry(124).status().code(), Code::kRejected);
  EXPECT_EQ(reader->entry(0).status().code(), Code::kRejected);
  EXPECT_EQ(reader->entry(std::uint64_t(1) << 63).status().code(), Code::kRejected);
  EXPECT_EQ(reader->definition(1).value(), nullptr);
}

TEST_F(Reading, ScansEverythingInOrderFromAnywhereAndStopsWhenAsked) {
  given_commits(100);
  auto reader = read();
  const auto all = entries_of(*reader);
  ASSERT_EQ(all.size(), 300U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].first, i + 1);
    ASSERT_EQ(all[i].is_event, i % 3 == 0);
  }
  EXPECT_EQ(entries_of(*reader, 200).size(), 101U);
  EXPECT_TRUE(entries_of(*reader, 301).empty());
  EXPECT_TRUE(entries_of(*reader, std::uint64_t(1) << 63).empty());
  int seen = 0;
  ASSERT_TRUE(reader->scan(1, [&](const StoredEntry&) { return ++seen < 5; }).ok());
  EXPECT_EQ(seen, 5);
}

TEST_F(Reading, PassesNothingOverWhenCommitsComeDuringTheScan) {
  given_commits(30);
  auto reader = read();
  std::uint64_t expected = 1;
  const Status scanned = reader->scan(1, [&](const StoredEntry& entry) {
    EXPECT_EQ(entry.first, expected++);
    given_commits(1);
    return true;
  });
  ASSERT_TRUE(scanned.ok());
  EXPECT_EQ(expected, 91U) << "what there was at the call";
}

TEST_F(Reading, KnowsSizesOfAnyRangeWithoutReadingIt) {
  given_commits(20);
  auto reader = read();
  const auto all = entries_of(*reader);
  const auto sum = [&](std::uint64_t first, std::uint64_t last) {
    std::uint64_t bytes = 0;
    for (const StoredEntry& entry : all) {
      if (entry.first >= first && entry.last <= last) bytes += entry.bytes.size();
    }
    return bytes;
  };
  for (const Range range : {Range{1, 60}, Range{1, 1}, Range{2, 2}, Range{17, 41}, Range{59, 99}}) {
    EXPECT_EQ(reader->bytes_in(range).value(), sum(range.first, range.last)) << range.first;
  }
  EXPECT_EQ(reader->bytes_in({61, 70}).value(), 0U);
  EXPECT_EQ(reader->bytes_in({5, 4}).value(), 0U);
  const auto totals = reader->totals();
  ASSERT_TRUE(totals.ok());
  EXPECT_EQ(totals.value().batches, 40U);
  EXPECT_EQ(totals.value().events, 20U);
  EXPECT_EQ(totals.value().records, 100U);
  EXPECT_EQ(totals.value().samples, 100U);
  EXPECT_EQ(totals.value().bytes, sum(1, 60));
}

TEST_F(Reading, CountsOnlyWhatIsStillThereAfterTheOldestWereEvicted) {
  given_commits(10);
  close();
  run_sql(options_.file,
          "DELETE FROM batches WHERE sequence <= 15; DELETE FROM events WHERE sequence <= 15");
  auto reader = read();
  EXPECT_EQ(reader->first_sequence().value(), 16U);
  EXPECT_EQ(reader->last_sequence().value(), 30U);
  EXPECT_EQ(reader->totals().value().batches, 10U);
  EXPECT_EQ(reader->totals().value().records, 25U);
  const auto all = entries_of(*reader);
  std::uint64_t bytes = 0;
  for (const StoredEntry& entry : all) bytes += entry.bytes.size();
  EXPECT_EQ(reader->bytes_in({1, 30}).value(), bytes);
}

TEST_F(Reading, GivesLapsAndNamesTheOnesThatAreDamaged) {
  Commit commit = commit_of({}, {test_event("lap", "a"), test_event("lap", "b")});
  commit.laps = {NewLap{.event_index = 0,
                        .car = "7",
                        .lap = 1,
                        .kind = "timed",
                        .lap_time_ms = 69961,
                        .sector_time_ms = {20000, 30000, 19961},
                        .started_at_ms = 1'700'000'000'123,
                        .evidence = "gps-line"},
                 NewLap{.event_index = 1,
                        .car = "7",
                        .lap = 2,
                        .kind = "in",
                        .lap_time_ms = 80000,
                        .sector_time_ms = {},
                        .started_at_ms = 1'700'000'070'084,
                        .evidence = "gps-line"}};
  ASSERT_TRUE(journal_->commit(commit).ok());
  auto laps = read()->laps();
  ASSERT_TRUE(laps.ok());
  ASSERT_EQ(laps.value().size(), 2U);
  EXPECT_EQ(laps.value()[0].sequence, 1U);
  EXPECT_EQ(laps.value()[0].sector_time_ms, (std::vector<std::int64_t>{20000, 30000, 19961}));
  EXPECT_TRUE(laps.value()[1].sector_time_ms.empty());
  EXPECT_EQ(laps.value()[1].kind, "in");
  close();
  run_sql(options_.file, "UPDATE laps SET sector_time_ms = '[1,]' WHERE sequence = 1");
  std::set<std::uint64_t> bad;
  laps = read()->laps([&](std::uint64_t sequence, const Status&) { bad.insert(sequence); });
  ASSERT_TRUE(laps.ok());
  EXPECT_EQ(laps.value().size(), 1U);
  EXPECT_EQ(bad, std::set<std::uint64_t>{1});
}

TEST_F(Reading, NamesEachRowOfAnotherShapeAndGoesOn) {
  given_commits(8);
  close();
  const std::vector<std::pair<int, std::string>> damage = {
      {2, "UPDATE batches SET hash = x'00' WHERE sequence = 2"},
      {3, "UPDATE batches SET car = cast(x'FF41' AS TEXT) WHERE sequence = 3"},
      {4, "UPDATE events SET bytes = cast('another' AS BLOB) WHERE sequence = 4"},
      {5, "UPDATE batches SET definitions = x'0011' WHERE sequence = 5"},
      {6, "UPDATE batches SET rows = 0 WHERE sequence = 6"},
      {7, "UPDATE events SET kind = '' WHERE sequence = 7"},
      {8, "UPDATE batches SET blob = 'text' WHERE sequence = 8"},
      {9, "UPDATE batches SET last_sequence = 8 WHERE sequence = 9"},
      {10, "UPDATE events SET hash = zeroblob(16) WHERE sequence = 10"},
      {11, "UPDATE batches SET samples = -1 WHERE sequence = 11"},
      {12, "UPDATE batches SET last_sequence = 13, hash = zeroblob(32) WHERE sequence = 12"},
  };
  std::set<std::uint64_t> want_bad;
  for (const auto& [sequence, sql] : damage) {
    run_sql(options_.file, sql);
    want_bad.insert(static_cast<std::uint64_t>(sequence));
  }
  auto reader = read();
  const Scanned all = scan(*reader);
  // A row that claims its neighbour's sequence is believed; the neighbour is then the bad one.
  want_bad.erase(12);
  want_bad.insert(13);
  std::set<std::uint64_t> bad;
  for (const auto& [sequence, code] : all.bad) {
    bad.insert(sequence);
    EXPECT_EQ(code, Code::kCorrupt) << sequence;
  }
  EXPECT_EQ(bad, want_bad);
  EXPECT_EQ(all.good.size() + bad.size(), 24U);
  for (const auto& [sequence, sql] : damage) {
    if (sequence == 12) continue;
    const auto entry = reader->entry(static_cast<std::uint64_t>(sequence));
    EXPECT_EQ(entry.status().code(), Code::kCorrupt) << sql;
    EXPECT_NE(entry.status().message().find("sequence"), std::string::npos);
  }
}

TEST_F(Reading, LeapsOverDamagedPagesAndFindsTheRest) {
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(journal_->commit(commit_of({noisy_batch("7", 20'000)})).ok());
  }
  close();
  std::string bytes = content_of(options_.file);
  const std::size_t page = 16 * 1024;
  ASSERT_GT(bytes.size(), 40 * page);
  // Pages that hold rows begin with 13; those with the rest of a blob tell nobody that they are
  // damaged until the batch is decoded.
  int damaged = 0;
  for (std::size_t at = 30 * page; at < bytes.size() && damaged < 3; at += page) {
    if (bytes[at] != 13) continue;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), page, '\x5A');
    ++damaged;
  }
  ASSERT_EQ(damaged, 3);
  write_over(options_.file, bytes);
  auto reader = read();
  const Scanned all = scan(*reader);
  EXPECT_FALSE(all.bad.empty());
  EXPECT_GT(all.good.size(), 30U);
  EXPECT_EQ(all.good.back(), 60U);
  EXPECT_TRUE(std::is_sorted(all.good.begin(), all.good.end()));
}

TEST_F(Reading, ShowsNothingBeyondTheCutThatTheNextFileNames) {
  given_commits(2);
  close();
  Journal::Options next = options_;
  next.file = folder_ / "2-00000000000000bb.db";
  next.number = 2;
  next.cut_incarnation = 0xAA;
  next.cut_sequence = 4;
  ASSERT_TRUE(Journal::create(next, 0xBB).ok());
  auto reader = read();
  EXPECT_EQ(reader->last_sequence().value(), 4U);
  EXPECT_EQ(entries_of(*reader).size(), 4U);
  EXPECT_EQ(reader->entry(5).status().code(), Code::kRejected);
  EXPECT_EQ(reader->totals().value().batches, 2U);
  EXPECT_EQ(reader->bytes_in({5, 6}).value(), 0U);
  auto newer = read(next.file);
  EXPECT_EQ(newer->last_sequence().value(), 0U);
  EXPECT_EQ(newer->first_sequence().value(), 1U);
  EXPECT_EQ(newer->cut_sequence(), 4U);
}

TEST_F(Reading, OpensACopyOfTheDatabaseWithoutItsWalAsItLastWas) {
  given_commits(5);
  ASSERT_TRUE(journal_->checkpoint().ok());
  given_commits(5);
  fs::copy_file(options_.file, folder_ / "copy.db");
  EXPECT_EQ(read(folder_ / "copy.db")->last_sequence().value(), 15U);
}

TEST_F(Reading, OpensWhatLiesInAFolderThatCannotBeWritten) {
  given_commits(3);
  fs::create_directory(folder_ / "stick");
  ASSERT_TRUE(journal_->checkpoint().ok());
  fs::copy_file(options_.file, folder_ / "stick/1-00000000000000aa.db");
  // As another user where the test runs as root, whom no mode keeps out.
  fs::permissions(folder_.path(), fs::perms(0755));
  fs::permissions(folder_ / "stick", fs::perms(0555));
  fs::permissions(folder_ / "stick/1-00000000000000aa.db", fs::perms(0444));
  const bool is_root = geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  auto opened = JournalReader::open(folder_ / "stick/1-00000000000000aa.db");
  const std::size_t entries = opened.ok() ? entries_of(*opened.value()).size() : 0;
  if (is_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  fs::permissions(folder_ / "stick", fs::perms(0755));
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  EXPECT_EQ(entries, 9U);
}

TEST_F(Reading, RefusesWhatIsNoJournal) {
  EXPECT_EQ(JournalReader::open(folder_ / "none.db").status().code(), Code::kRejected);
  write_over(folder_ / "empty.db", "");
  EXPECT_EQ(JournalReader::open(folder_ / "empty.db").status().code(), Code::kCorrupt);
  write_over(folder_ / "text.db", std::string(100'000, 'x'));
  EXPECT_EQ(JournalReader::open(folder_ / "text.db").status().code(), Code::kCorrupt);
  {
    ASSERT_TRUE(Database::open(folder_ / "other.db", Database::Mode::kCreate)
                    .value()
                    .exec("CREATE TABLE batches(x)")
                    .ok());
  }
  EXPECT_EQ(JournalReader::open(folder_ / "other.db").status().code(), Code::kCorrupt);
  given_commits(3);
  close();
  run_sql(options_.file,
          "ALTER TABLE batches RENAME TO hidden; CREATE VIEW batches AS WITH RECURSIVE n(i) AS "
          "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS sequence FROM n");
  EXPECT_EQ(JournalReader::open(options_.file).status().code(), Code::kCorrupt)
      << "a view could run for ever";
}

TEST_F(Reading, OpensOrRefusesAFileCutShortAnywhere) {
  given_commits(40);
  close();
  const std::string whole = content_of(options_.file);
  const fs::path cut = folder_ / "cut.db";
  for (std::size_t size = 0; size <= whole.size(); size += 4096) {
    write_over(cut, whole.substr(0, size));
    auto opened = JournalReader::open(cut);
    if (!opened.ok()) {
      EXPECT_EQ(opened.status().code(), Code::kCorrupt) << opened.status().message();
      continue;
    }
    const Status scanned = opened.value()->scan(1, [](const StoredEntry&) { return true; });
    EXPECT_TRUE(scanned.ok() || scanned.code() == Code::kCorrupt) << scanned.message();
  }
}

TEST(SectorTimes, AreAJsonArrayAndNothingElse) {
  const std::vector<std::int64_t> times{1, 20, -3};
  EXPECT_EQ(sectors_json(times), "[1,20,-3]");
  EXPECT_EQ(parse_sectors("[1,20,-3]").value(), times);
  EXPECT_TRUE(parse_sectors("[]").value().empty());
  for (const char* bad : {"", "[", "]", "[1", "1]", "[,]", "[1,]", "[1 ]", "[1.5]", "[a]", "[[1]]",
                          "[99999999999999999999]"}) {
    EXPECT_EQ(parse_sectors(bad).status().code(), Code::kCorrupt) << bad;
  }
}

TEST(JournalFileNames, AreANumberAndAnIncarnation) {
  EXPECT_EQ(journal_file_name({.number = 12, .incarnation = 0xAB}), "12-00000000000000ab.db");
  const auto name = parse_journal_file_name("12-00000000000000ab.db");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name.value().number, 12U);
  EXPECT_EQ(name.value().incarnation, 0xABU);
  for (const char* bad :
       {"", ".db", "1.db", "1-.db", "0-00000000000000ab.db", "1-0000000000000000.db",
        "1-00000000000000ab.db-wal", "1-00000000000000ab.db.new", "x-00000000000000ab.db",
        "1-00000000000000ab.db.quarantine-17", "-1-00000000000000ab.db"}) {
    EXPECT_FALSE(parse_journal_file_name(bad).ok()) << bad;
  }
}

// Room is made while somebody reads: between the look at which rows there are and the look at one.
TEST_F(Reading, ABatchThatIsDeletedDuringAScanIsNoDamage) {
  ASSERT_TRUE(journal_
                  ->commit(commit_of({test_batch("7", 1), test_batch("7", 2), test_batch("7", 3),
                                      test_batch("7", 4), test_batch("7", 5)}))
                  .ok());
  const auto reader = read();
  std::vector<std::uint64_t> seen;
  std::vector<std::uint64_t> bad;
  const auto visit = [&](const StoredEntry& entry) {
    seen.push_back(entry.first);
    if (entry.first != 1) return true;
    Commit commit;
    commit.removed = {{2, 3}};
    return journal_->commit(commit).ok();
  };
  ASSERT_TRUE(
      reader
          ->scan(1, visit, [&](std::uint64_t sequence, const Status&) { bad.push_back(sequence); })
          .ok());
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 4, 5}));
  EXPECT_TRUE(bad.empty());
}

}  // namespace
}  // namespace pitbox
