// Goal: `pitbox salvage` and `pitbox fsck` say what they did by the documented exit codes, and
// leave what they read as it was. Method: the real program, with journals damaged by hand.

#include <sys/stat.h>

#include "buffer/session_store.h"
#include "tests/buffer/journal_rig.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

class DamagedState : public testing::Test {
 protected:
  void SetUp() override {
    auto store = SessionStore::open(state(), Journal::Options{});
    ASSERT_TRUE(store.ok()) << store.status().message();
    SessionInfo info;
    info.id = Uuid::mint();
    info.name = "FP1";
    auto journal = store.value()->begin(info);
    ASSERT_TRUE(journal.ok()) << journal.status().message();
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(journal.value()
                      ->commit(commit_of({test_batch("7", i, 900), test_batch("8", i)},
                                         {test_event("mark", "event " + std::to_string(i))}))
                      .ok());
    }
    file_ = journal.value()->file();
    session_ = info.id.text();
    ASSERT_TRUE(store.value()->end(std::move(journal).take()).ok());
    fs::permissions(file_, fs::perms(0640));
  }

  fs::path state() const { return folder_ / "state"; }
  LineRig::Outcome pitbox(std::vector<std::string> arguments) {
    ChildProcess::Options options;
    options.program = fs::path(PITBOX_BIN_DIR) / "pitbox";
    options.arguments = {"--state", state().string()};
    options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
    options.output = folder_ / "output.log";
    fs::remove(options.output);  // It would be added to.
    auto started = ChildProcess::start(options);
    EXPECT_TRUE(started.ok()) << started.status().message();
    if (!started.ok()) return {};
    const auto code = started.value().wait(kLinePatience);
    EXPECT_TRUE(code.has_value()) << "pitbox did not end";
    return {code.value_or(-1), text_of(options.output)};
  }
  LineRig::Outcome salvage(const std::string& output) {
    const auto before = files();
    auto outcome = pitbox({"salvage", file_.string(), "-o", (folder_ / output).string()});
    EXPECT_EQ(files(), before) << "the original was touched";
    return outcome;
  }
  // Names, times and contents of what lies beside the journal.
  std::map<std::string, std::pair<std::int64_t, std::string>> files() const {
    std::map<std::string, std::pair<std::int64_t, std::string>> found;
    for (const auto& entry : fs::directory_iterator(file_.parent_path())) {
      struct stat status {};
      EXPECT_EQ(::stat(entry.path().c_str(), &status), 0);
      found[entry.path().filename().string()] = {
          status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, text_of(entry.path())};
    }
    return found;
  }
  // The page of the file with that text in it becomes noise.
  void damage_page_with(const std::string& text) {
    std::string bytes = text_of(file_);
    const std::size_t at = bytes.find(text);
    ASSERT_NE(at, std::string::npos);
    constexpr std::size_t kPage = 16 * 1024;
    bytes.replace(at / kPage * kPage, kPage, std::string(kPage, 'x'));
    write_over(file_, bytes);
  }

  TestFolder folder_;
  fs::path file_;
  std::string session_;
};

TEST_F(DamagedState, SalvageEndsWithZeroWhereEverythingCameBack) {
  const auto outcome = salvage("new.db");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("everything was recovered"), std::string::npos) << outcome.output;
  EXPECT_EQ(entries_of(*JournalReader::open(folder_ / "new.db").value()).size(), 120U);
  const auto fsck = pitbox({"fsck", (folder_ / "new.db").string()});
  EXPECT_EQ(fsck.exit_code, 0) << fsck.output;
  const auto exported = pitbox({"export", (folder_ / "new.db").string(), "--format", "csv", "--out",
                                (folder_ / "csv").string()});
  EXPECT_EQ(exported.exit_code, 0) << exported.output;
}

TEST_F(DamagedState, SalvageEndsWithOneWhereAPartCameBackAndSaysWhich) {
  damage_page_with("event 7");
  const auto outcome = salvage("new.db");
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_NE(outcome.output.find("a part was recovered"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("lost: "), std::string::npos) << outcome.output;
  const auto json = nlohmann::json::parse(
      pitbox({"salvage", file_.string(), "-o", (folder_ / "2.db").string(), "--json"}).output,
      nullptr, false);
  ASSERT_TRUE(json.is_array()) << json;
  EXPECT_FALSE(json[0]["complete"].get<bool>());
  EXPECT_GT(json[0]["lost"]["sequences"].get<int>(), 0);
  EXPECT_FALSE(json[0]["lost"]["ranges"].empty());
  EXPECT_EQ(json[0]["session"], session_);
  // What is known to be lost is no new finding.
  EXPECT_EQ(pitbox({"fsck", (folder_ / "new.db").string()}).exit_code, 0);
}

TEST_F(DamagedState, SalvageEndsWithTwoWhereNothingCameBackOrItWasToldWrong) {
  const std::string whole = text_of(file_);
  write_over(file_, std::string(100'000, 'x'));
  const auto outcome = salvage("new.db");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_FALSE(fs::exists(folder_ / "new.db"));
  write_over(file_, whole);
  write_over(folder_ / "taken.db", "mine");
  EXPECT_EQ(salvage("taken.db").exit_code, 2);
  EXPECT_EQ(text_of(folder_ / "taken.db"), "mine");
  EXPECT_EQ(pitbox({"salvage", "none.db", "-o", (folder_ / "n.db").string()}).exit_code, 2);
  EXPECT_EQ(pitbox({"salvage", file_.string()}).exit_code, 2);
}

TEST_F(DamagedState, AFolderBecomesAFolderOfJournals) {
  // Set aside by a daemon, and renamed with what it added.
  fs::rename(file_, file_.string() + ".quarantine-1700000000");
  const auto outcome =
      pitbox({"salvage", file_.parent_path().string(), "-o", (folder_ / "new").string()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  const fs::path salvaged = folder_ / "new" / file_.filename();
  ASSERT_TRUE(fs::exists(salvaged));
  EXPECT_EQ(entries_of(*JournalReader::open(salvaged).value()).size(), 120U);
  EXPECT_EQ(pitbox({"laps", (folder_ / "new").string()}).exit_code, 0);
  EXPECT_EQ(
      pitbox({"salvage", file_.parent_path().string(), "-o", (folder_ / "new").string()}).exit_code,
      2);
}

TEST_F(DamagedState, FsckFindsNothingInASoundState) {
  const auto before = files();
  for (const std::string& what : {std::string("latest"), session_, file_.string(),
                                  file_.parent_path().string(), state().string()}) {
    const auto outcome = pitbox({"fsck", what});
    EXPECT_EQ(outcome.exit_code, 0) << what << ": " << outcome.output;
  }
  const auto outcome = pitbox({"fsck"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("80 batches and 40 events verified"), std::string::npos)
      << outcome.output;
  EXPECT_EQ(files(), before);
}

TEST_F(DamagedState, FsckNamesEachKindOfDamage) {
  const std::string whole = text_of(file_);
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"UPDATE batches SET blob = substr(blob, 1, length(blob) - 1) WHERE sequence = 5",
       "sequence 5"},
      {"UPDATE batches SET first_ns = first_ns - 1 WHERE sequence = 6", "times are not those"},
      {"UPDATE batches SET total_rows = total_rows + 1 WHERE sequence = 9", "running totals"},
      {"UPDATE events SET bytes = x'00' WHERE sequence = 4", "sequence 4"},
      {"DELETE FROM events WHERE sequence = 7", "sequence 7: these sequences are missing"},
      {"DELETE FROM definitions", "definition"},
      {"INSERT INTO acknowledged VALUES(1, 121)", "never issued"},
      {"INSERT INTO counters VALUES('messages.heard', 9)", "law of conservation"},
      {"UPDATE meta SET value = '00000000000000ff' WHERE key = 'incarnation'",
       "its name is another"},
      {"DELETE FROM batches WHERE sequence > 100; DELETE FROM events WHERE sequence > 100",
       "box.db knows of more than it holds"},
  };
  for (const auto& [sql, words] : damages) {
    write_over(file_, whole);
    run_sql(file_, sql);
    const auto outcome = pitbox({"fsck"});
    EXPECT_EQ(outcome.exit_code, 1) << sql << ": " << outcome.output;
    EXPECT_NE(outcome.output.find(words), std::string::npos) << sql << ": " << outcome.output;
    EXPECT_NE(outcome.output.find("do: "), std::string::npos) << outcome.output;
  }
  write_over(file_, whole);
  damage_page_with("event 7");
  EXPECT_EQ(pitbox({"fsck"}).exit_code, 1);
  fs::rename(file_, file_.string() + ".quarantine-1700000000");
  const auto aside = pitbox({"fsck", "--json"});
  EXPECT_EQ(aside.exit_code, 1);
  EXPECT_NE(aside.output.find("set aside as damaged"), std::string::npos) << aside.output;
  EXPECT_NE(aside.output.find("it is not there"), std::string::npos) << aside.output;
}

TEST_F(DamagedState, FsckEndsWithTwoWhereItCannotCheck) {
  EXPECT_EQ(pitbox({"fsck", "nothing-of-that-name"}).exit_code, 2);
  EXPECT_EQ(pitbox({"fsck", (folder_ / "none.db").string()}).exit_code, 2);
  fs::remove_all(state());
  EXPECT_EQ(pitbox({"fsck"}).exit_code, 2);
}

}  // namespace
}  // namespace pitbox
