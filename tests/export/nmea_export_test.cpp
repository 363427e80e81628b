// What is exported equals an independent decode of the recording: the real decoder, journal and
// exporter on one side, thirty lines that read the file itself on the other.

#include <cmath>
#include <ctime>
#include <map>

#include "export/csv_writer.h"
#include "ingest/decoders.h"
#include "tests/export/session_fixture.h"

namespace pitbox {
namespace {

// Journals what a decoder makes of it, a batch per message.
class JournalingSink final : public RecordSink {
 public:
  void rows(const RowBlock& block) override {
    GroupRows group;
    group.definition = *block.definition;
    group.source_ns.assign(block.source_ns.begin(), block.source_ns.end());
    group.receive_ns.assign(block.count, block.receive_ns);
    group.rows.assign(block.rows.begin(), block.rows.end());
    GroupRows& all = groups[(*block.definition)->group().group];
    if (!all.definition) {
      all = std::move(group);
      return;
    }
    all.source_ns.insert(all.source_ns.end(), group.source_ns.begin(), group.source_ns.end());
    all.receive_ns.insert(all.receive_ns.end(), group.receive_ns.begin(), group.receive_ns.end());
    all.rows.insert(all.rows.end(), group.rows.begin(), group.rows.end());
  }
  void reject(RejectReason, std::uint64_t) override {}
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}

  std::map<std::string, GroupRows> groups;
};

struct Position {
  std::string time;  // Seconds since 1970 as text, to the millisecond.
  double latitude = 0;
  double longitude = 0;
};

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream input(line);
  for (std::string field; std::getline(input, field, ',');) fields.push_back(field);
  return fields;
}

double degrees(const std::string& text, std::size_t digits, const std::string& side) {
  const double value = std::stod(text.substr(0, digits)) + std::stod(text.substr(digits)) / 60;
  return side == "S" || side == "W" ? -value : value;
}

bool has_good_checksum(const std::string& line) {
  const std::size_t star = line.find('*');
  if (line.empty() || line[0] != '$' || star == std::string::npos || star + 2 >= line.size()) {
    return false;
  }
  unsigned sum = 0;
  for (std::size_t i = 1; i < star; ++i) sum ^= static_cast<unsigned char>(line[i]);
  return sum == std::stoul(line.substr(star + 1, 2), nullptr, 16);
}

std::vector<Position> positions_in(const std::string& recording) {
  std::vector<Position> positions;
  std::istringstream input(recording);
  for (std::string line; std::getline(input, line);) {
    const auto fields = fields_of(line);
    if (!has_good_checksum(line) || fields.size() < 10 || fields[0].substr(3) != "RMC") continue;
    if (fields[9].size() != 6 || fields[3].empty()) continue;
    std::tm date{};
    date.tm_mday = std::stoi(fields[9].substr(0, 2));
    date.tm_mon = std::stoi(fields[9].substr(2, 2)) - 1;
    date.tm_year = 100 + std::stoi(fields[9].substr(4, 2));
    date.tm_hour = std::stoi(fields[1].substr(0, 2));
    date.tm_min = std::stoi(fields[1].substr(2, 2));
    date.tm_sec = std::stoi(fields[1].substr(4, 2));
    std::string time = std::to_string(timegm(&date)) + fields[1].substr(6);
    while (time.back() == '0' && time.find('.') != std::string::npos) time.pop_back();
    if (time.back() == '.') time.pop_back();
    positions.push_back({time, degrees(fields[3], 2, fields[4]), degrees(fields[5], 3, fields[6])});
  }
  return positions;
}

class NmeaExport : public SessionTest {
 protected:
  void expect_export_equals(const std::string& recording) {
    auto decoder = make_decoder("nmea", {.is_stream = false, .car = "44"});
    ASSERT_TRUE(decoder.ok()) << decoder.status().message();
    JournalingSink sink;
    std::istringstream input(recording);
    std::uint64_t number = 0;
    for (std::string line; std::getline(input, line);) {
      line += "\n";
      (void)decoder.value()->decode({.number = ++number,
                                     .receive_ns = static_cast<std::int64_t>(number),
                                     .bytes = std::as_bytes(std::span(line))},
                                    sink);
      if (number % 500 == 0) commit_groups(sink);
    }
    commit_groups(sink);
    const auto result =
        export_csv(session(), {.directory = folder_, .overwrite = true, .reading = {}});
    ASSERT_TRUE(result.ok()) << result.status().message();
    compare(positions_in(recording));
  }

  void commit_groups(JournalingSink& sink) {
    std::vector<GroupRows> groups;
    for (auto& [name, rows] : sink.groups) groups.push_back(std::move(rows));
    sink.groups.clear();
    if (!groups.empty()) commit_rows("44", groups);
  }

  void compare(const std::vector<Position>& positions) {
    std::istringstream csv(text_of(folder_ / "44_gps.csv"));
    std::string line;
    std::getline(csv, line);
    EXPECT_EQ(line.substr(0, 41), "t_s,latitude [deg],longitude [deg],speed ");
    ASSERT_FALSE(positions.empty());
    for (const Position& position : positions) {
      ASSERT_TRUE(std::getline(csv, line)) << "the file ends at " << position.time;
      const auto cells = fields_of(line);
      EXPECT_EQ(cells[0], position.time);
      EXPECT_EQ(std::stod(cells[1]), position.latitude);
      EXPECT_EQ(std::stod(cells[2]), position.longitude);
    }
    EXPECT_FALSE(std::getline(csv, line)) << "more rows than sentences: " << line;
  }
};

TEST_F(NmeaExport, EqualsAnIndependentDecodeOfAMadeRecording) {
  expect_export_equals(
      "$GPRMC,235959.990,A,2824.70529,N,08122.75973,W,28.72,309.31,290423,,,*06\n"
      "$GPRMC,000000.090,A,0000.00001,S,17959.99999,E,0.00,,300423,,,*28\n");
}

TEST_F(NmeaExport, EqualsAnIndependentDecodeOfRealLaps) {
  const char* shared = std::getenv("PITBOX_SHARED");
  const std::filesystem::path folder = shared ? shared : PITBOX_SOURCE_DIR "/../shared";
  const auto recording = folder / "data" / "nmea" / "okc_2laps.nmea";
  if (!std::filesystem::exists(recording)) GTEST_SKIP() << "no recording at " << recording;
  expect_export_equals(text_of(recording));
}

}  // namespace
}  // namespace pitbox
