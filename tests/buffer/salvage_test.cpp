// Goal: of a damaged journal everything undamaged comes back, and nothing else does. Method: 500
// journals damaged at random places, seeded, judged by an oracle that has the undamaged
// journal and asks SQLite which pages a row lies on.

#include "buffer/salvage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/buffer/recorder_rig.h"
#include "tests/buffer/salvage_rig.h"
#include "tests/buffer/salvaging.h"

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
      char& byte = bytes[random_() % bytes.size()];
      byte = static_cast<char>(byte ^ (1 << up_to(random_, 7)));
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

}  // namespace
}  // namespace pitbox
