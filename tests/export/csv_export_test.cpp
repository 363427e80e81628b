// A whole session as CSV: golden files of a small journal, order of time across batches and files,
// each row once.

#include "export/csv_writer.h"

#include "tests/export/session_fixture.h"

namespace pitbox {
namespace {

class CsvExport : public SessionTest {
 protected:
  CsvExportResult exported() {
    auto result = export_csv(session(), {.directory = out(), .overwrite = true, .reading = {}});
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(result).take() : CsvExportResult{};
  }
  std::filesystem::path out() const { return folder_ / "csv"; }

  // The first column of a file.
  std::vector<std::string> times_of(const std::string& name) {
    std::istringstream lines(text_of(out() / name));
    std::vector<std::string> times;
    for (std::string line; std::getline(lines, line);) {
      times.push_back(line.substr(0, line.find(',')));
    }
    return times;
  }

  const DefinitionPtr gps_ = define(
      "gps", TimeBase::kUtc,
      {{.name = "latitude", .unit = "deg", .type = StorageType::kF64},
       {.name = "speed", .unit = "km/h", .type = StorageType::kU16, .factor = 0.01, .offset = 0}});
  const DefinitionPtr engine_ =
      define("engine", TimeBase::kCar,
             {{.name = "=rpm", .unit = "1/min", .type = StorageType::kI16},
              {.name = "oil, temp", .unit = "degC", .type = StorageType::kF32}});
  const DefinitionPtr tick_ =
      define("tick", TimeBase::kNone, {{.name = "n", .unit = "", .type = StorageType::kU8}});
};

TEST_F(CsvExport, WritesOneFilePerCarAndGroup) {
  commit_rows("07", {RowsBuilder(gps_)
                         .row(1'682'789'670 * kSecond + 10'000'000, 5, 28.5, std::uint16_t{12345})
                         .row(1'682'789'670 * kSecond + 60'000'000, 6, -0.0, std::uint16_t{0})
                         .rows(),
                     RowsBuilder(engine_).row(2 * kSecond, 5, std::int16_t{-3}, 88.1F).rows()});
  commit_rows("7", {RowsBuilder(tick_).row(0, 5 * kSecond, std::uint8_t{9}).rows()});
  const CsvExportResult result = exported();
  EXPECT_EQ(result.rows, 4U);
  ASSERT_EQ(result.files.size(), 3U);
  EXPECT_EQ(text_of(out() / "07_gps.csv"),
            "t_s,latitude [deg],speed [km/h]\n"
            "1682789670.01,28.5,123.45\n"
            "1682789670.06,-0,0\n");
  EXPECT_EQ(text_of(out() / "07_engine.csv"),
            "t_s,\"'=rpm [1/min]\",\"oil, temp [degC]\"\n"
            "2,-3,88.1\n");
  EXPECT_EQ(text_of(out() / "7_tick.csv"), "t_s,n []\n1700000005,9\n")
      << "received at, on the wall clock";
}

TEST_F(CsvExport, PutsLateRowsInTheirPlace) {
  commit_rows("1", {RowsBuilder(tick_).row(0, 1, std::uint8_t{0}).rows(),
                    RowsBuilder(engine_)
                        .row(100, 1, std::int16_t{1}, 0.F)
                        .row(300, 1, std::int16_t{3}, 0.F)
                        .row(200, 1, std::int16_t{2}, 0.F)
                        .rows()});
  commit_rows("1", {RowsBuilder(engine_)
                        .row(50, 2, std::int16_t{0}, 0.F)
                        .row(400, 2, std::int16_t{4}, 0.F)
                        .rows()});
  exported();
  EXPECT_EQ(text_of(out() / "1_engine.csv"),
            "t_s,\"'=rpm [1/min]\",\"oil, temp [degC]\"\n"
            "0.00000005,0,0\n0.0000001,1,0\n0.0000002,2,0\n0.0000003,3,0\n0.0000004,4,0\n");
}

TEST_F(CsvExport, LeavesARestartedClockAsItCame) {
  RowsBuilder rows(engine_);
  for (const std::int64_t second : {100, 101, 102, 0, 1, 2}) {
    rows.row(second * kSecond, 1, std::int16_t{0}, 0.F);
  }
  commit_rows("1", {rows.rows()});
  exported();
  EXPECT_EQ(times_of("1_engine.csv"),
            (std::vector<std::string>{"t_s", "100", "101", "102", "0", "1", "2"}));
}

TEST_F(CsvExport, JoinsFilesAndLeavesOutWhatTheNewOneCarriesAgain) {
  const GroupRows first = RowsBuilder(engine_).row(1 * kSecond, 1, std::int16_t{1}, 0.F).rows();
  const GroupRows second = RowsBuilder(engine_).row(2 * kSecond, 2, std::int16_t{2}, 0.F).rows();
  const GroupRows third = RowsBuilder(engine_).row(3 * kSecond, 3, std::int16_t{3}, 0.F).rows();
  commit_rows("1", {first});
  commit_rows("1", {second});
  continue_in_a_new_file(true);
  commit_rows("1", {second});
  commit_rows("1", {third});
  exported();
  EXPECT_EQ(times_of("1_engine.csv"), (std::vector<std::string>{"t_s", "1", "2", "3"}));
}

TEST_F(CsvExport, KeepsWhatReallyCameTwice) {
  const GroupRows row = RowsBuilder(engine_).row(1 * kSecond, 1, std::int16_t{1}, 0.F).rows();
  commit_rows("1", {row});
  continue_in_a_new_file(false);
  commit_rows("1", {row});
  exported();
  EXPECT_EQ(times_of("1_engine.csv"), (std::vector<std::string>{"t_s", "1", "1"}))
      << "no file says that it carries the other's again";
}

TEST_F(CsvExport, GivesAChangedDefinitionAFileOfItsOwn) {
  const DefinitionPtr wider =
      define("tick", TimeBase::kNone, {{.name = "n", .unit = "", .type = StorageType::kU16}});
  commit_rows("1", {RowsBuilder(tick_).row(0, 1, std::uint8_t{1}).rows()});
  commit_rows("1", {RowsBuilder(wider).row(0, 2, std::uint16_t{2}).rows()});
  EXPECT_EQ(exported().files.size(), 2U);
  EXPECT_EQ(times_of("1_tick.csv").size(), 2U);
  EXPECT_EQ(times_of("1_tick_2.csv").size(), 2U);
}

TEST_F(CsvExport, RefusesToOverwriteAndLeavesTheFileAlone) {
  commit_rows("1", {RowsBuilder(tick_).row(0, 1, std::uint8_t{1}).rows()});
  std::filesystem::create_directories(out());
  std::ofstream(out() / "1_tick.csv") << "mine";
  const auto refused =
      export_csv(session(), {.directory = out(), .overwrite = false, .reading = {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kRejected);
  EXPECT_NE(refused.status().message().find("1_tick.csv"), std::string::npos);
  EXPECT_EQ(text_of(out() / "1_tick.csv"), "mine");
  exported();
  EXPECT_EQ(times_of("1_tick.csv").size(), 2U);
}

TEST_F(CsvExport, LeavesNoHalfFilesWhenItFails) {
  RowsBuilder rows(tick_);
  for (int i = 0; i < 200'000; ++i) rows.row(0, 1 + i * kSecond, std::uint8_t{1});
  commit_rows("1", {rows.rows()});
  int calls = 0;
  CsvExportOptions options{.directory = out(), .overwrite = false, .reading = {}};
  const Status failed = read_session_batches(session(), {}, [&](const SessionBatch&) -> Status {
    ++calls;
    return {Code::kFatal, "stop"};
  });
  EXPECT_EQ(failed.code(), Code::kFatal);
  EXPECT_EQ(calls, 1);
  std::filesystem::create_directories(out());
  std::filesystem::create_directory(out() / "1_tick.csv.partial");  // Cannot be opened for writing.
  EXPECT_FALSE(export_csv(session(), options).ok());
  EXPECT_FALSE(std::filesystem::exists(out() / "1_tick.csv"));
}

TEST_F(CsvExport, ReportsADamagedBatchAndExportsTheRest) {
  commit_rows("1", {RowsBuilder(tick_).row(0, 1 * kSecond, std::uint8_t{1}).rows()});
  Commit commit;
  EncodedBatch bad = encode_batch(
      "1", std::vector<GroupRows>{RowsBuilder(tick_).row(0, 2 * kSecond, std::uint8_t{2}).rows()});
  bad.hash.bytes[0] ^= 1;
  commit.batches.push_back({.car = "1", .batch = std::move(bad)});
  commit_all(commit);
  commit_rows("1", {RowsBuilder(tick_).row(0, 3 * kSecond, std::uint8_t{3}).rows()});
  EXPECT_FALSE(export_csv(session(), {.directory = out(), .overwrite = true, .reading = {}}).ok());
  CsvExportOptions options{.directory = out(), .overwrite = true, .reading = {}};
  int damaged = 0;
  options.reading.damaged = [&](const auto&, std::uint64_t, const Status&) { ++damaged; };
  ASSERT_TRUE(export_csv(session(), options).ok());
  EXPECT_EQ(damaged, 1);
  EXPECT_EQ(times_of("1_tick.csv"), (std::vector<std::string>{"t_s", "1700000001", "1700000003"}));
}

}  // namespace
}  // namespace pitbox
