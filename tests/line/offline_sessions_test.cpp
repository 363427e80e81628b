// Two sessions recorded while the link is down, one of them with its journal set aside in the
// middle. When the link returns both rooms become complete, and hold every row exactly once.

#include "export/ledger_file.h"
#include "export/row_ledger.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class OfflineSessions : public testing::Test {
 protected:
  // One car for `seconds` of its time as fast as it goes; its ledger is added to `sent`.
  void drive(int seed, std::vector<RowIdentity>& sent) {
    const fs::path ledger_file = rig_.folder() / ("sent-" + std::to_string(seed));
    const auto before = rig_.status().records;
    const auto drove = rig_.pitbox({"sim", "--cars", "1", "--seed", std::to_string(seed), "--gt3",
                                    "--seconds", "20", "--speed", "10", "--ledger",
                                    ledger_file.string(), "--to", rig_.stage().source().address()});
    ASSERT_EQ(drove.exit_code, 0) << drove.output;
    const auto ledger = read_ledger(ledger_file);
    ASSERT_TRUE(ledger.ok()) << ledger.status().message();
    const auto& rows = ledger.value().rows;
    ASSERT_GT(rows.size(), 0U);
    sent.insert(sent.end(), rows.begin(), rows.end());
    ASSERT_TRUE(becomes_true([&] { return rig_.status().records >= before + rows.size(); }))
        << rig_.status().records << " of " << before + rows.size();
  }

  // What a restored backup does: the same bytes in another file under the same name.
  void replace_journal_by_a_copy(const Uuid& session) {
    rig_.stage().kill_daemon();
    const auto found = find_session(rig_.stage().state_directory(), session.text());
    ASSERT_TRUE(found.ok());
    const fs::path live = found.value().files.back();
    const fs::path aside = live.string() + ".copy";
    fs::copy_file(live, aside);
    if (fs::exists(live.string() + "-wal")) {
      fs::copy_file(live.string() + "-wal", aside.string() + "-wal");
      fs::rename(aside.string() + "-wal", live.string() + "-wal");
    }
    fs::remove(live);
    fs::rename(aside, live);
    const Status started = rig_.stage().start_daemon();
    ASSERT_TRUE(started.ok()) << started.message();
  }

  void expect_everything_once(const Uuid& session, std::vector<RowIdentity> sent) {
    ASSERT_TRUE(becomes_true([&] { return rig_.is_complete(session); }))
        << text_of(rig_.stage().log_directory() / "pitboxd.log");
    const auto files = find_session(rig_.stage().state_directory(), session.text());
    ASSERT_TRUE(files.ok());
    auto journaled = session_row_identities(files.value());
    ASSERT_TRUE(journaled.ok()) << journaled.status().message();
    const auto comparison = compare_rows(sent, journaled.value());
    EXPECT_EQ(comparison.actual, comparison.expected);
    EXPECT_TRUE(comparison.is_equal());
    const auto verified =
        rig_.pitbox({"verify", session.text(), "--room", rig_.stage().room_url(), "--json"});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
    const auto json = json_in(verified.output);
    ASSERT_TRUE(json.is_object()) << verified.output;
    EXPECT_EQ(json.at("missing"), 0);
    EXPECT_EQ(json.at("duplicated"), 0);
    EXPECT_EQ(json.at("different"), 0);
    EXPECT_EQ(json.at("room").at("records"), json.at("journal").at("records"));
    EXPECT_GT(json.at("room").at("records"), 0);
  }

  LineRig rig_;
};

TEST_F(OfflineSessions, BothRoomsBecomeCompleteWhenTheLinkReturns) {
  rig_.set({});
  if (HasFatalFailure()) return;
  rig_.stage().link().cut();

  std::vector<RowIdentity> sent_first;
  const Uuid first = rig_.start_session("first");
  drive(1, sent_first);
  rig_.end_session();

  std::vector<RowIdentity> sent_second;
  const Uuid second = rig_.start_session("second");
  drive(2, sent_second);
  replace_journal_by_a_copy(second);
  drive(3, sent_second);
  rig_.end_session();
  const auto files = find_session(rig_.stage().state_directory(), second.text());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files.value().files.size(), 2U) << "a copy must not be appended to";

  ASSERT_TRUE(rig_.stage().link().restore().ok());
  expect_everything_once(first, sent_first);
  expect_everything_once(second, sent_second);
}

}  // namespace
}  // namespace pitbox
