// Comparing multisets of rows: a missing, a doubled and a changed row are each found, and called
// what they are.

#include "export/row_ledger.h"

#include "tests/export/session_fixture.h"

namespace pitbox {
namespace {

using Rows = std::vector<RowIdentity>;

RowComparison compare(Rows expected, Rows actual) {
  return compare_rows(expected, actual);
}

TEST(RowLedger, FindsEqualWhatIsEqualInAnyOrder) {
  const auto result = compare({{1, 10}, {2, 20}, {2, 20}}, {{2, 20}, {1, 10}, {2, 20}});
  EXPECT_TRUE(result.is_equal());
  EXPECT_EQ(result.expected, 3U);
  EXPECT_EQ(result.actual, 3U);
  EXPECT_TRUE(compare({}, {}).is_equal());
}

TEST(RowLedger, CountsMissingRows) {
  const auto result = compare({{1, 10}, {2, 20}, {2, 20}, {3, 30}}, {{2, 20}});
  EXPECT_EQ(result.missing, 3U);
  EXPECT_EQ(result.duplicated, 0U);
  EXPECT_EQ(result.different, 0U);
}

TEST(RowLedger, CountsEveryCopyTooMany) {
  const auto result = compare({{1, 10}, {2, 20}}, {{1, 10}, {1, 10}, {1, 10}, {2, 20}});
  EXPECT_EQ(result.missing, 0U);
  EXPECT_EQ(result.duplicated, 2U);
  EXPECT_EQ(result.different, 0U);
}

TEST(RowLedger, CallsAChangedRowDifferentAndNotAlsoMissing) {
  const auto result = compare({{1, 10}, {2, 20}}, {{1, 11}, {2, 20}});
  EXPECT_EQ(result.missing, 0U);
  EXPECT_EQ(result.duplicated, 0U);
  EXPECT_EQ(result.different, 1U);
}

TEST(RowLedger, CallsARowThatNobodySentDifferent) {
  const auto result = compare({{1, 10}}, {{1, 10}, {9, 90}});
  EXPECT_EQ(result.different, 1U);
  EXPECT_FALSE(result.is_equal());
}

TEST(RowLedger, TellsRowsUnderOneKeyApartByContent) {
  // A group without source times has one key for all its rows.
  const auto result =
      compare({{1, 10}, {1, 11}, {1, 12}, {1, 12}}, {{1, 12}, {1, 12}, {1, 12}, {1, 10}});
  EXPECT_EQ(result.missing, 1U);
  EXPECT_EQ(result.duplicated, 1U);
  EXPECT_EQ(result.different, 0U);
}

class SessionRowLedger : public SessionTest {
 protected:
  GroupRows rows(std::int64_t from, int count, std::int16_t value) const {
    RowsBuilder builder(definition_);
    for (int i = 0; i < count; ++i) builder.row(from + i, 1, value);
    return builder.rows();
  }
  Rows expected(std::int64_t from, int count, std::int16_t value) const {
    Rows identities;
    for (int i = 0; i < count; ++i) {
      identities.push_back(
          identify_row("1", "engine", from + i, std::as_bytes(std::span(&value, std::size_t{1}))));
    }
    return identities;
  }
  RowComparison compare_with_session(Rows sent) const {
    auto journaled = session_row_identities(session());
    EXPECT_TRUE(journaled.ok()) << journaled.status().message();
    return compare_rows(sent, journaled.value());
  }

  const DefinitionPtr definition_ =
      define("engine", TimeBase::kCar, {{.name = "rpm", .unit = "", .type = StorageType::kI16}});
};

TEST_F(SessionRowLedger, FindsEverySentRowInTheJournalOnce) {
  commit_rows("1", {rows(0, 100, 5)});
  continue_in_a_new_file(false);
  commit_rows("1", {rows(100, 100, 5)});
  EXPECT_TRUE(compare_with_session(expected(0, 200, 5)).is_equal());
}

TEST_F(SessionRowLedger, FindsALostADoubledAndAChangedRow) {
  commit_rows("1", {rows(0, 99, 5)});   // 99 is lost.
  commit_rows("1", {rows(50, 1, 5)});   // 50 came twice.
  commit_rows("1", {rows(100, 1, 6)});  // 100 was sent as 5.
  const RowComparison result = compare_with_session(expected(0, 101, 5));
  EXPECT_EQ(result.missing, 1U);
  EXPECT_EQ(result.duplicated, 1U);
  EXPECT_EQ(result.different, 1U);
}

TEST_F(SessionRowLedger, ExcusesCopiesOnlyInAFileThatSaysItHasThem) {
  commit_rows("1", {rows(0, 10, 5)});
  continue_in_a_new_file(true);
  commit_rows("1", {rows(0, 10, 5)});
  EXPECT_TRUE(compare_with_session(expected(0, 10, 5)).is_equal());
  commit_rows("1", {rows(0, 10, 5)});
  EXPECT_EQ(compare_with_session(expected(0, 10, 5)).duplicated, 10U);
}

}  // namespace
}  // namespace pitbox
