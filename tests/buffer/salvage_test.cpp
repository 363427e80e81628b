// Goal: of a damaged journal everything undamaged comes back, and nothing else does. Method: 500
// journals damaged at random places, seeded, judged by an oracle that has the undamaged
// journal and asks SQLite which pages a row lies on; then each kind of loss by hand.

#include "buffer/salvage.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "buffer/salvage_cells.h"
#include "tests/buffer/recorder_rig.h"
#include "tests/buffer/salvage_rig.h"

namespace pitbox {
namespace {

using namespace salvaging;

constexpr std::uint32_t kDamagedInAPart = 100;

// Journals as they are found: killed with a WAL, sealed, never checkpointed, with a WAL that was
// begun anew over an older one, of smaller pages, and one that a recorder wrote.
std::vector<std::unique_ptr<Original>> make_originals() {
  std::vector<std::unique_ptr<Original>> made;
  const auto keep = [&](Original original) {
    made.push_back(std::make_unique<Original>(std::move(original)));
  };
  {
    Growing killed(1);
    killed.grow(120);
    killed.checkpoint();
    killed.grow(40);
    keep(killed.take("killed"));
  }
  {
    Growing sealed(2);
    sealed.grow(150);
    sealed.seal();
    keep(sealed.take("sealed"));
  }
  {
    Growing fresh(3);
    fresh.grow(60);
    keep(fresh.take("fresh"));
  }
  {
    Growing begun_anew(4);
    begun_anew.grow(90);
    const std::string older = begun_anew.wal();
    begun_anew.checkpoint();
    begun_anew.grow(15);
    keep(begun_anew.take("begun anew"));
    made.back()->older_wal = older;
  }
  {
    Growing small(5, 4096);
    small.grow(130);
    const std::string older = small.wal();
    small.checkpoint();
    small.grow(30);
    keep(small.take("small pages"));
    made.back()->older_wal = older;
  }
  rig::Rig rig;
  rig.with_laps = true;
  rig.open();
  rig.say("D");
  for (std::uint64_t i = 0; i < 120; ++i) {
    rig.say_rows(1 + i * 100, 100);
    rig.say("G 3");
    rig.flush();
  }
  const fs::path file = rig.sessions().back().files.front();
  keep({"recorder", file.filename(), contents_of(file), contents_of(file.string() + "-wal")});
  return made;
}

// Of another journal; its first commit says so.
const std::string& foreign_wal() {
  static const std::string kWal = [] {
    Growing other(99);
    other.bind();
    other.grow(40);
    return other.wal();
  }();
  return kWal;
}

std::vector<std::unique_ptr<Original>>& originals() {
  static std::vector<std::unique_ptr<Original>> made = make_originals();
  return made;
}

// One accident of many kinds.
class Accident {
 public:
  Accident(Random& random, const Original& original, Damaged& damaged)
      : random_(random), original_(original), damaged_(damaged) {}

  void happen() {
    const bool has_wal = damaged_.has_wal;
    switch (up_to(random_, has_wal ? 10 : 6)) {
      case 0:
        return flip("bits", damaged_.database, 1 + up_to(random_, 40));
      case 1:
        return flip("a bit", damaged_.database, 1);
      case 2:
        return truncate("truncated", damaged_.database);
      case 3:
        return zero_pages();
      case 4:
        return swap_pages();
      case 5:
        return fill_sectors();
      case 6:
        return append("garbage behind it", damaged_.database);
      case 7:
        damaged_.what += ", WAL missing";
        damaged_.wal.clear();
        damaged_.has_wal = false;
        return;
      case 8:
        return truncate("WAL torn", damaged_.wal);
      case 9:
        return flip("bits of the WAL", damaged_.wal, 1 + up_to(random_, 3));
      default:
        return other_wal();
    }
  }

 private:
  void flip(const char* what, std::string& bytes, std::uint32_t count) {
    damaged_.what += std::string(", ") + what;
    for (std::uint32_t i = 0; i < count && !bytes.empty(); ++i) {
      bytes[random_() % bytes.size()] ^= static_cast<char>(1U << up_to(random_, 7));
    }
  }
  void truncate(const char* what, std::string& bytes) {
    damaged_.what += std::string(", ") + what;
    if (!bytes.empty()) bytes.resize(random_() % bytes.size());
  }
  std::size_t some_page() {
    const std::size_t pages = damaged_.database.size() / original_.page_bytes;
    // The first pages are the ones that everything hangs on.
    return up_to(random_, 2) == 0 ? random_() % std::min<std::size_t>(pages, 12)
                                  : random_() % pages;
  }
  bool has_pages() const { return damaged_.database.size() >= original_.page_bytes; }
  void zero_pages() {
    damaged_.what += ", zeroed pages";
    for (std::uint32_t i = 1 + up_to(random_, 5); i > 0 && has_pages(); --i) {
      damaged_.database.replace(some_page() * original_.page_bytes, original_.page_bytes,
                                std::string(original_.page_bytes, '\0'));
    }
  }
  void swap_pages() {
    damaged_.what += ", swapped pages";
    for (std::uint32_t i = 1 + up_to(random_, 3); i > 0 && has_pages(); --i) {
      const std::size_t a = some_page() * original_.page_bytes;
      const std::size_t b = some_page() * original_.page_bytes;
      const std::string first = damaged_.database.substr(a, original_.page_bytes);
      const std::string second = damaged_.database.substr(b, original_.page_bytes);
      damaged_.database.replace(a, first.size(), second);
      damaged_.database.replace(b, second.size(), first);
    }
  }
  void fill_sectors() {
    damaged_.what += ", overwritten sectors";
    for (std::uint32_t i = 1 + up_to(random_, 8); i > 0; --i) {
      if (damaged_.database.size() < 512) return;
      const std::size_t at = random_() % (damaged_.database.size() / 512) * 512;
      for (std::size_t k = 0; k < 512; ++k) {
        damaged_.database[at + k] = static_cast<char>(random_());
      }
    }
  }
  void append(const char* what, std::string& bytes) {
    damaged_.what += std::string(", ") + what;
    for (std::uint32_t i = up_to(random_, 100'000); i > 0; --i) {
      bytes.push_back(static_cast<char>(random_()));
    }
  }
  // Of an earlier generation, or of another journal.
  void other_wal() {
    damaged_.what += ", another WAL";
    damaged_.wal = original_.older_wal.empty() ? foreign_wal() : original_.older_wal;
  }

  Random& random_;
  const Original& original_;
  Damaged& damaged_;
};

struct FileMark {
  std::string bytes;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};

std::map<std::string, FileMark> marks_of(const fs::path& folder) {
  std::map<std::string, FileMark> marks;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat found {};
    EXPECT_EQ(::stat(entry.path().c_str(), &found), 0);
    marks[entry.path().filename().string()] = {
        contents_of(entry.path()), found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
  }
  return marks;
}

void expect_same(const StoredEntry& got, const StoredEntry& want) {
  EXPECT_EQ(got.is_event, want.is_event);
  EXPECT_EQ(got.kind, want.kind);
  EXPECT_EQ(got.car, want.car);
  EXPECT_EQ(got.rows, want.rows);
  EXPECT_EQ(got.samples, want.samples);
  EXPECT_EQ(got.first_ns, want.first_ns);
  EXPECT_EQ(got.last_ns, want.last_ns);
  EXPECT_EQ(got.hashes, want.hashes);
  EXPECT_EQ(got.definitions, want.definitions);
  EXPECT_TRUE(got.bytes == want.bytes) << "the bytes differ";
}

class Salvaging : public testing::Test {
 protected:
  // Under `name`, with its WAL.
  void given(const Damaged& damaged, const fs::path& name) {
    fs::create_directories(folder_ / "damaged");
    file_ = folder_ / "damaged" / name;
    write_over(file_, damaged.database);
    if (damaged.has_wal) write_over(file_.string() + "-wal", damaged.wal);
  }
  static Damaged undamaged_of(const Original& original) {
    return {original.database, original.wal, !original.wal.empty(), original.name};
  }
  SalvageReport salvage() {
    const auto before = marks_of(folder_ / "damaged");
    output_ = folder_ / "new.db";
    fs::remove(output_);
    auto report = salvage_journal({.damaged = file_, .output = output_, .progress = {}});
    EXPECT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(marks_of(folder_ / "damaged") == before) << "the original was touched";
    if (!report.ok()) return {};
    EXPECT_EQ(fs::exists(output_), !report.value().is_empty());
    EXPECT_FALSE(fs::exists(output_.string() + ".new"));
    return std::move(report).take();
  }
  // Everything in the new journal, each batch verified by decoding it.
  std::map<std::uint64_t, StoredEntry> written() {
    std::map<std::uint64_t, StoredEntry> entries;
    auto opened = JournalReader::open(output_);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    if (!opened.ok()) return entries;
    JournalReader& reader = *opened.value();
    EXPECT_TRUE(reader.sealed().value());
    for (StoredEntry& entry : entries_of(reader)) {
      if (!entry.is_event) {
        const auto decoded = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
          return reader.definition(prefix).value();
        });
        EXPECT_TRUE(decoded.ok() && decoded.value().hash == entry.hashes.front())
            << entry.first << " does not hold what its hash says";
      }
      const std::uint64_t sequence = entry.first;
      entries.emplace(sequence, std::move(entry));
    }
    return entries;
  }
  // Returns how many sequences had to come back.
  std::size_t judge(Original& original, const Damaged& damaged) {
    const std::set<std::uint64_t> expected = undamaged(original, damaged);
    const SalvageReport report = salvage();
    std::map<std::uint64_t, StoredEntry> got;
    if (!report.is_empty()) got = written();
    EXPECT_EQ(journal_file_name({report.meta.number, report.meta.incarnation}),
              original.file.string());
    EXPECT_EQ(report.recovered.count(), got.size());
    EXPECT_EQ(report.batches + report.events, got.size());
    for (const auto& [sequence, entry] : got) {
      const auto truth = original.whole().rows.find(sequence);
      if (truth == original.whole().rows.end()) {
        ADD_FAILURE() << "sequence " << sequence << " never was";
        continue;
      }
      SCOPED_TRACE("sequence " + std::to_string(sequence));
      expect_same(entry, truth->second.entry);
    }
    for (const std::uint64_t sequence : expected) {
      EXPECT_TRUE(got.contains(sequence)) << "sequence " << sequence << " is undamaged";
    }
    if (report.is_complete() && damaged.wal == original.wal) {
      EXPECT_EQ(got.size(), original.whole().rows.size()) << "it says that it is complete";
    }
    return expected.size();
  }

  TestFolder folder_;
  fs::path file_;
  fs::path output_;
};

// A hundred in each part, so that parts run beside each other.
class DamagedJournals : public Salvaging, public testing::WithParamInterface<std::uint32_t> {};

TEST_P(DamagedJournals, GiveBackEveryUndamagedEntry) {
  std::size_t entries = 0;
  const std::uint32_t first = GetParam() * kDamagedInAPart + 1;
  for (std::uint32_t seed = first; seed < first + kDamagedInAPart && !HasFailure(); ++seed) {
    Random random(seed);
    Original& original = *originals()[seed % originals().size()];
    Damaged damaged = undamaged_of(original);
    damaged.what = "seed " + std::to_string(seed) + ": " + original.name;
    Accident accident(random, original, damaged);
    for (std::uint32_t i = 1 + up_to(random, 2); i > 0; --i) accident.happen();
    SCOPED_TRACE(damaged.what);
    fs::remove_all(folder_ / "damaged");
    given(damaged, original.file);
    entries += judge(original, damaged);
  }
  EXPECT_GT(entries, 5000U) << "is the oracle looking in the right place?";
}

INSTANTIATE_TEST_SUITE_P(FiveHundred, DamagedJournals, testing::Range(0U, 5U));

TEST_F(Salvaging, TellsThatEverythingCameBackOfAJournalThatIsWhole) {
  for (const auto& original : originals()) {
    SCOPED_TRACE(original->name);
    fs::remove_all(folder_ / "damaged");
    given(undamaged_of(*original), original->file);
    const SalvageReport report = salvage();
    EXPECT_TRUE(report.is_complete());
    EXPECT_EQ(report.recovered.count(), original->whole().rows.size());
    EXPECT_EQ(report.wal.usable, original->commits.empty() ? 0 : original->commits.back());
    EXPECT_EQ(report.wal.commits, original->commits.size());
    // Under another name, and twice: what was salvaged is a journal like any other.
    const fs::path once = folder_ / "damaged/once.db";
    fs::rename(output_, once);
    file_ = once;
    const SalvageReport again = salvage();
    EXPECT_TRUE(again.is_complete());
    EXPECT_EQ(again.recovered, report.recovered);
    EXPECT_EQ(again.meta.incarnation, report.meta.incarnation);
    EXPECT_EQ(again.laps, report.laps);
  }
}

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
