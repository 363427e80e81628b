// The ledger file: what was flushed is there, a cut-off end is told from damage.

#include "export/ledger_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace pitbox {
namespace {

class LedgerFile : public ::testing::Test {
 protected:
  ~LedgerFile() override { std::filesystem::remove(file_); }

  // Two flushes of `rows` rows each.
  LedgerTotals given_ledger(std::uint64_t rows) {
    auto writer = std::move(LedgerWriter::create(file_)).take();
    LedgerTotals totals;
    for (int flush = 0; flush < 2; ++flush) {
      for (std::uint64_t i = 0; i < rows; ++i) {
        const RowIdentity identity{.key = totals.rows + 1, .content = ~totals.rows};
        writer->add(identity);
        totals.add_rows("007", "gps", {.rows = 1, .samples = 10}, identity.content);
      }
      totals.datagrams += 3;
      totals.bytes += 100;
      EXPECT_TRUE(writer->flush(totals).ok());
      if (flush == 0) end_of_first_flush_ = std::filesystem::file_size(file_);
    }
    return totals;
  }

  std::uintmax_t end_of_first_flush_ = 0;
  const std::filesystem::path file_ =
      std::filesystem::path(::testing::TempDir()) /
      ("pitbox_ledger_" + std::to_string(::getpid()) + "_" +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(LedgerFile, ReadsBackWhatWasWritten) {
  const LedgerTotals totals = given_ledger(70'000);
  const auto ledger = read_ledger(file_);
  ASSERT_TRUE(ledger.ok()) << ledger.status().message();
  EXPECT_EQ(ledger.value().totals, totals);
  EXPECT_EQ(ledger.value().totals.cars.at("007").at("gps").samples, 1'400'000U);
  ASSERT_EQ(ledger.value().rows.size(), 140'000U);
  EXPECT_EQ(ledger.value().rows[139'999].key, 140'000U);
  EXPECT_FALSE(ledger.value().was_cut_off);
}

TEST_F(LedgerFile, KeepsWhatStandsBeforeACutEnd) {
  given_ledger(5);
  std::vector<std::uintmax_t> whole;  // Sizes at which nothing is missing that could be known.
  for (std::uintmax_t size = std::filesystem::file_size(file_) - 1; size >= 8; --size) {
    std::filesystem::resize_file(file_, size);
    const auto ledger = read_ledger(file_);
    ASSERT_TRUE(ledger.ok()) << size << ": " << ledger.status().message();
    EXPECT_LE(ledger.value().rows.size(), 10U);
    EXPECT_LE(ledger.value().totals.rows, ledger.value().rows.size());
    if (!ledger.value().was_cut_off) whole.push_back(size);
  }
  EXPECT_EQ(whole, (std::vector<std::uintmax_t>{end_of_first_flush_, 8}));
}

TEST_F(LedgerFile, RefusesWhatIsNone) {
  EXPECT_EQ(read_ledger(file_).status().code(), Code::kRejected);
  std::ofstream(file_) << "something else entirely";
  EXPECT_EQ(read_ledger(file_).status().code(), Code::kRejected);
  std::ofstream(file_) << std::string("PITLEDG1") + std::string("\x07\0\0\0\x01\0\0\0x", 9);
  EXPECT_EQ(read_ledger(file_).status().code(), Code::kCorrupt);
  std::ofstream(file_) << std::string("PITLEDG1") + std::string("\x01\0\0\0\xFF\xFF\xFF\x7F", 8);
  EXPECT_EQ(read_ledger(file_).status().code(), Code::kCorrupt);
  std::ofstream(file_) << std::string("PITLEDG1") + std::string("\x02\0\0\0\x02\0\0\0{}", 10);
  EXPECT_EQ(read_ledger(file_).status().code(), Code::kCorrupt);
}

TEST_F(LedgerFile, SaysWhereItCannotWrite) {
  const auto refused = LedgerWriter::create(file_ / "no" / "such" / "folder");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("folder"), std::string::npos);
}

}  // namespace
}  // namespace pitbox
