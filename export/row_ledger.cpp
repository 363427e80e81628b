#include "export/row_ledger.h"

#include <algorithm>

#include "export/session_rows.h"

namespace pitbox {
namespace {

using Rows = std::vector<RowIdentity>;
using Iterator = Rows::const_iterator;

Iterator end_of_key(Iterator begin, Iterator end) {
  return std::find_if(begin, end,
                      [key = begin->key](const RowIdentity& row) { return row.key != key; });
}

// Rows that all have one key, in order of content.
void compare_one_key(Iterator expected, Iterator expected_end, Iterator actual, Iterator actual_end,
                     RowComparison& result) {
  std::uint64_t absent = 0;
  std::uint64_t extra = 0;
  std::uint64_t strange = 0;
  const Iterator expected_begin = expected;
  while (expected != expected_end || actual != actual_end) {
    if (actual == actual_end || (expected != expected_end && expected->content < actual->content)) {
      ++absent;
      ++expected;
    } else if (expected == expected_end || actual->content < expected->content) {
      const bool is_copy = std::binary_search(expected_begin, expected_end, *actual);
      ++(is_copy ? extra : strange);
      ++actual;
    } else {
      ++expected;
      ++actual;
    }
  }
  // A row that came with another content is one difference, not also one missing.
  result.missing += absent > strange ? absent - strange : 0;
  result.duplicated += extra;
  result.different += strange;
}

}  // namespace

RowComparison compare_rows(Rows& expected, Rows& actual) {
  std::sort(expected.begin(), expected.end());
  std::sort(actual.begin(), actual.end());
  RowComparison result{.expected = expected.size(), .actual = actual.size()};
  auto left = expected.cbegin();
  auto right = actual.cbegin();
  while (left != expected.cend() || right != actual.cend()) {
    const bool take_left =
        left != expected.cend() && (right == actual.cend() || left->key <= right->key);
    const bool take_right =
        right != actual.cend() && (left == expected.cend() || right->key <= left->key);
    const Iterator left_end = take_left ? end_of_key(left, expected.cend()) : left;
    const Iterator right_end = take_right ? end_of_key(right, actual.cend()) : right;
    compare_one_key(left, left_end, right, right_end, result);
    left = left_end;
    right = right_end;
  }
  return result;
}

Result<Rows> session_row_identities(const SessionFiles& session, const std::set<std::string>& cars,
                                    std::uint64_t* others) {
  Rows rows;
  const Status status = read_session_batches(session, {}, [&](const SessionBatch& batch) {
    if (!cars.empty() && !cars.contains(batch.car)) {
      if (others != nullptr) *others += batch.decoded.rows;
      return Status();
    }
    for (const GroupColumns& group : batch.decoded.groups) {
      identify_rows(batch.car, group, rows);
    }
    return Status();
  });
  if (!status.ok()) return status;
  return rows;
}

}  // namespace pitbox
