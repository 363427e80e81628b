// Goal: each kind of loss is told as what it is, and costs no more than it must. Method: one small
// journal, damaged by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "buffer/salvage.h"
#include "buffer/salvage_cells.h"
#include "tests/buffer/salvage_rig.h"
#include "tests/buffer/salvaging.h"

namespace pitbox {
namespace {

using namespace salvaging;

// One small journal without a WAL, to be damaged by hand. Its pages hold one big batch each.
class OneByOne : public Salvaging {
 protected:
  void SetUp() override {
    Growing growing(7);
    growing.grow(40);
    growing.seal();
    original_ = std::make_unique<Original>(growing.take("by hand"));
    damaged_ = undamaged_of(*original_);
  }
  SalvageReport salvage_damaged() {
    given(damaged_, original_->file);
    return salvage();
  }
  std::string& bytes() { return damaged_.database; }
  std::size_t page_at(std::uint32_t page) const {
    return std::size_t{page - 1} * original_->page_bytes;
  }
  // The first batch with a row of its own on a leaf; rows of more than one page have.
  const TrueRow& big_batch() {
    for (const auto& [sequence, row] : original_->whole().rows) {
      if (!row.entry.is_event && row.pages.size() > 2) return row;
    }
    ADD_FAILURE() << "no batch overflows";
    return original_->whole().rows.begin()->second;
  }

  std::unique_ptr<Original> original_;
  Damaged damaged_;
};

TEST_F(OneByOne, AChangedByteInAnOverflowPageLosesThatBatchAlone) {
  const TrueRow& big = big_batch();
  bytes()[page_at(big.pages[1]) + 100] ^= 1;
  const SalvageReport report = salvage_damaged();
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost[0].range, (Range{big.entry.first, big.entry.first}));
  EXPECT_EQ(report.lost[0].reason, LossReason::kDamaged);
  EXPECT_EQ(report.lost[0].car, big.entry.car);
  EXPECT_EQ(report.cars.at(big.entry.car).lost_batches, 1U);
  EXPECT_FALSE(report.is_complete());
  EXPECT_EQ(written().size(), original_->whole().rows.size() - 1);
  // It says so itself.
  SqliteFile file(output_);
  int rows = 0;
  file.each("SELECT first, last, reason, car FROM lost", [&](sqlite3_stmt* row) {
    ++rows;
    EXPECT_EQ(static_cast<std::uint64_t>(sqlite3_column_int64(row, 0)), big.entry.first);
    EXPECT_EQ(text_at(row, 2), "damaged");
    EXPECT_EQ(text_at(row, 3), big.entry.car);
  });
  EXPECT_EQ(rows, 1);
}

TEST_F(OneByOne, ARowIsNotWrittenUnderASequenceThatWasDamaged) {
  // The key is a varint behind the one of the payload's size, at the row's place in the leaf.
  const TrueRow& big = big_batch();
  const std::string whole = bytes().substr(page_at(big.pages[0]), original_->page_bytes);
  const LeafPage leaf = parse_leaf(whole, false);
  std::size_t at = 0;
  for (const auto& cell : leaf.cells) {
    if (cell && static_cast<std::uint64_t>(cell->rowid) == big.entry.first) {
      at = static_cast<std::size_t>(cell->local.data() - whole.data()) - 1;
    }
  }
  ASSERT_NE(at, 0U);
  bytes()[page_at(big.pages[0]) + at] ^= 0x40;
  const SalvageReport report = salvage_damaged();
  EXPECT_EQ(report.doubtful, 1U);
  EXPECT_FALSE(report.is_complete());
  const auto got = written();
  EXPECT_FALSE(got.contains(big.entry.first));
  EXPECT_FALSE(got.contains(big.entry.first ^ 0x40) &&
               got.at(big.entry.first ^ 0x40).bytes == big.entry.bytes);
  EXPECT_EQ(got.size(), original_->whole().rows.size() - 1);
}

TEST_F(OneByOne, TwoContentsOfOneSequenceAreAConflictAndNeitherIsTaken) {
  const auto& rows = original_->whole().rows;
  const auto event = std::find_if(rows.begin(), rows.end(),
                                  [](const auto& row) { return row.second.entry.is_event; });
  const StoredEntry& entry = event->second.entry;
  // Behind the end lies its leaf once more, with another event in its place, and the right hash.
  std::string leaf = bytes().substr(page_at(event->second.pages[0]), original_->page_bytes);
  std::string other = entry.bytes;
  other.back() ^= 1;
  const std::size_t at = leaf.find(entry.hashes.front().raw());
  ASSERT_NE(at, std::string::npos);
  leaf.replace(at, 16, hash_event(other).raw());
  leaf.replace(at + 16, other.size(), other);
  bytes() += leaf;
  const SalvageReport report = salvage_damaged();
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost[0].range, (Range{entry.first, entry.first}));
  EXPECT_EQ(report.lost[0].reason, LossReason::kConflict);
  EXPECT_FALSE(report.is_complete());
  EXPECT_EQ(written().size(), rows.size() - 1);
}

TEST(SalvageOrder, TellsTheRowThatDoesNotFitAndTheOneThatWouldFitAsWell) {
  const auto row = [](std::uint64_t sequence, std::uint64_t total) {
    EntryCandidate entry;
    entry.sequence = sequence;
    entry.total = total;
    return entry;
  };
  std::vector<EntryCandidate> rows = {row(1, 1), row(5, 2),   row(6, 2), row(9, 3),
                                      row(9, 3), row(300, 4), row(11, 5)};
  mark_in_order(rows);
  int in_order = 0;
  int rivals = 0;
  for (const EntryCandidate& entry : rows) {
    in_order += entry.is_in_order ? 1 : 0;
    rivals += entry.is_rival ? 1 : 0;
    EXPECT_FALSE(entry.sequence == 300 && (entry.is_in_order || entry.is_rival));
    EXPECT_TRUE(entry.total != 2 || entry.is_in_order != entry.is_rival);
  }
  EXPECT_EQ(in_order, 5);
  EXPECT_EQ(rivals, 1);
}

TEST_F(OneByOne, ALostDefinitionIsFoundInAFileBesideItOrSaid) {
  // A second file of the session, with the same definitions, lies in the same folder.
  for (const auto& [prefix, pages] : original_->whole().definitions) {
    for (const std::uint32_t page : pages) {
      bytes().replace(page_at(page), original_->page_bytes,
                      std::string(original_->page_bytes, 'x'));
    }
  }
  const SalvageReport alone = salvage_damaged();
  EXPECT_EQ(alone.batches, 0U);
  EXPECT_GT(alone.events, 0U);
  EXPECT_EQ(alone.lost_definitions.size(), original_->whole().definitions.size());
  EXPECT_FALSE(alone.is_complete());
  write_over(folder_ / "damaged/2-00000000000000bb.db", original_->database);
  const SalvageReport together = salvage();
  EXPECT_EQ(together.found_definitions.size(), original_->whole().definitions.size());
  EXPECT_TRUE(together.lost_definitions.empty());
  EXPECT_EQ(together.recovered.count(), original_->whole().rows.size());
  EXPECT_EQ(written().size(), original_->whole().rows.size());
}

TEST_F(OneByOne, TheFirstPageAndEveryInnerPageMayBeGone) {
  const std::set<std::uint32_t> needed = [&] {
    std::set<std::uint32_t> pages;
    for (const auto& [sequence, row] : original_->whole().rows) {
      pages.insert(row.pages.begin(), row.pages.end());
    }
    for (const auto& [prefix, list] : original_->whole().definitions) {
      pages.insert(list.begin(), list.end());
    }
    return pages;
  }();
  for (std::uint32_t page = 1; page_at(page) < bytes().size(); ++page) {
    if (needed.contains(page)) continue;
    bytes().replace(page_at(page), original_->page_bytes, std::string(original_->page_bytes, 'x'));
  }
  const SalvageReport report = salvage_damaged();
  EXPECT_EQ(report.recovered.count(), original_->whole().rows.size());
  EXPECT_EQ(report.lost_sequences, 0U);
  EXPECT_EQ(report.page_bytes, original_->page_bytes);
  // Nothing but the file's name says what it is.
  EXPECT_EQ(journal_file_name({report.meta.number, report.meta.incarnation}),
            original_->file.string());
  EXPECT_EQ(report.unknown, (std::vector<std::string>{"box_id", "session_id"}));
  EXPECT_FALSE(report.is_complete());
}

TEST_F(OneByOne, LapsComeFromTheirEventsAndLostOnesAreNamed) {
  const SalvageReport whole = salvage_damaged();
  std::vector<StoredLap> laps = JournalReader::open(output_).value()->laps().take();
  ASSERT_GT(laps.size(), 3U);
  EXPECT_EQ(whole.laps, laps.size());
  SqliteFile file(file_);
  std::vector<std::uint32_t> pages;
  file.each("SELECT pageno FROM dbstat WHERE name = 'laps'", [&](sqlite3_stmt* row) {
    pages.push_back(static_cast<std::uint32_t>(sqlite3_column_int(row, 0)));
  });
  for (const std::uint32_t page : pages) {
    bytes().replace(page_at(page), original_->page_bytes, std::string(original_->page_bytes, 'x'));
  }
  const SalvageReport without = salvage_damaged();
  EXPECT_EQ(without.laps, laps.size());
  EXPECT_EQ(JournalReader::open(output_).value()->laps().value().front().lap_time_ms,
            laps.front().lap_time_ms);
  // Now the events are gone and the rows are there.
  damaged_ = undamaged_of(*original_);
  for (const auto& [sequence, row] : original_->whole().rows) {
    if (!row.entry.is_event) continue;
    bytes().replace(page_at(row.pages[0]), original_->page_bytes,
                    std::string(original_->page_bytes, 'x'));
  }
  const SalvageReport lost = salvage_damaged();
  EXPECT_EQ(lost.events, 0U);
  EXPECT_EQ(lost.laps, 0U);
  EXPECT_EQ(lost.lost_laps.size(), laps.size());
}

TEST_F(OneByOne, WhatIsNoJournalOrHasATakenNameIsRefused) {
  given(damaged_, original_->file);
  write_over(folder_ / "taken.db", "");
  const auto taken =
      salvage_journal({.damaged = file_, .output = folder_ / "taken.db", .progress = {}});
  EXPECT_EQ(taken.status().code(), Code::kRejected);
  const auto none =
      salvage_journal({.damaged = folder_ / "none.db", .output = folder_ / "n", .progress = {}});
  EXPECT_EQ(none.status().code(), Code::kRejected);
  const auto stopped = salvage_journal(
      {.damaged = file_, .output = folder_ / "n.db", .progress = [](std::uint64_t, std::uint64_t) {
         return false;
       }});
  EXPECT_EQ(stopped.status().code(), Code::kTryAgain);
  EXPECT_FALSE(fs::exists(folder_ / "n.db"));
  EXPECT_FALSE(fs::exists(folder_ / "n.db.new"));
  bytes() = std::string(100'000, 'x');
  EXPECT_TRUE(salvage_damaged().is_empty());
  bytes().clear();
  EXPECT_TRUE(salvage_damaged().is_empty());
}

}  // namespace
}  // namespace pitbox
