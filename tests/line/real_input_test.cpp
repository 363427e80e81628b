// Real input: recordings of real karts, over a real UDP socket, through the real daemon; the laps
// to the millisecond, and the exported positions against a decode of the file that shares no code.

#include <cmath>
#include <sstream>

#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr const char* kOrlando =
    "[track]\n"
    "start_finish = [[28.41270817056385, -81.37973266418031],"
    " [28.41273038679321, -81.37957048753776]]\n";

struct Fix {
  double latitude = 0;
  double longitude = 0;
};

// ddmm.mmmmm as degrees.
double degrees(const std::string& field, const std::string& hemisphere) {
  const std::size_t dot = field.find('.');
  const double minutes = std::stod(field.substr(dot - 2));
  const double whole = std::stod(field.substr(0, dot - 2));
  const double value = whole + minutes / 60.0;
  return hemisphere == "S" || hemisphere == "W" ? -value : value;
}

// Every RMC position of the file, in order, by splitting at commas and nothing else.
std::vector<Fix> independent_decode(const std::filesystem::path& file) {
  std::vector<Fix> fixes;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::vector<std::string> fields;
    std::istringstream words(line);
    for (std::string field; std::getline(words, field, ',');) fields.push_back(field);
    if (fields.at(0) != "$GPRMC") continue;
    fixes.push_back({degrees(fields.at(3), fields.at(4)), degrees(fields.at(5), fields.at(6))});
  }
  return fixes;
}

// Columns `latitude [deg]` and `longitude [deg]` of an exported file.
std::vector<Fix> exported_positions(const std::filesystem::path& file) {
  std::vector<Fix> fixes;
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  std::vector<std::string> names;
  std::istringstream header(line);
  for (std::string name; std::getline(header, name, ',');) names.push_back(name);
  EXPECT_EQ(names.at(0), "t_s");
  const auto column = [&](const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const std::size_t latitude = column("latitude [deg]");
  const std::size_t longitude = column("longitude [deg]");
  while (std::getline(stream, line)) {
    std::vector<std::string> cells;
    std::istringstream words(line);
    for (std::string cell; std::getline(words, cell, ',');) cells.push_back(cell);
    fixes.push_back({std::stod(cells.at(latitude)), std::stod(cells.at(longitude))});
  }
  return fixes;
}

class RealInput : public testing::Test {
 protected:
  // Feeds the recording into a daemon with the Orlando gate, and ends the session.
  void given_recording(const std::string& name) {
    if (recordings().empty()) GTEST_SKIP() << "the folder of recordings is not here";
    file_ = recordings() / "nmea" / name;
    rig_.set({.decoder = "nmea", .track = kOrlando});
    if (HasFatalFailure()) return;
    fixes_ = independent_decode(file_);
    session_ = rig_.start_session("kart");
    const auto fed = rig_.pitbox(
        {"feed", file_.string(), "--to", rig_.stage().source().address(), "--speed", "max"});
    ASSERT_EQ(fed.exit_code, 0) << fed.output;
    ASSERT_TRUE(becomes_true([&] { return rig_.status().records >= fixes_.size(); }))
        << rig_.status().records << " of " << fixes_.size();
    rig_.end_session();
  }

  std::vector<std::int64_t> timed_laps() {
    const auto laps = rig_.pitbox({"laps", session_.text(), "--json"});
    EXPECT_EQ(laps.exit_code, 0) << laps.output;
    std::vector<std::int64_t> times;
    for (const auto& lap : nlohmann::json::parse(laps.output)) {
      if (lap.at("kind") == "timed") times.push_back(lap.at("lapTimeMs"));
    }
    return times;
  }

  void expect_exported_positions() {
    const auto out = rig_.folder() / "csv";
    const auto exported =
        rig_.pitbox({"export", session_.text(), "--format", "csv", "--out", out.string()});
    ASSERT_EQ(exported.exit_code, 0) << exported.output;
    std::vector<Fix> positions;
    for (const auto& entry : std::filesystem::directory_iterator(out)) {
      const std::string name = entry.path().filename().string();
      if (name.find("fix") == std::string::npos && entry.path().extension() == ".csv") {
        positions = exported_positions(entry.path());
      }
    }
    ASSERT_EQ(positions.size(), fixes_.size());
    for (std::size_t i = 0; i < fixes_.size(); ++i) {
      ASSERT_EQ(positions[i].latitude, fixes_[i].latitude) << "row " << i;
      ASSERT_EQ(positions[i].longitude, fixes_[i].longitude) << "row " << i;
    }
  }

  LineRig rig_;
  std::filesystem::path file_;
  std::vector<Fix> fixes_;
  Uuid session_;
};

TEST_F(RealInput, TwoLapsOfAKartToTheMillisecond) {
  given_recording("okc_2laps.nmea");
  if (IsSkipped() || HasFatalFailure()) return;
  const auto laps = timed_laps();
  ASSERT_GE(laps.size(), 2U);
  EXPECT_EQ(laps[0], 69'961);
  EXPECT_EQ(laps[1], 68'742);
  expect_exported_positions();
}

TEST_F(RealInput, LapsOfAPragaToTheMillisecond) {
  given_recording("okc_praga_laps.nmea");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ(timed_laps(), (std::vector<std::int64_t>{62'726, 61'319}));
  expect_exported_positions();
}

}  // namespace
}  // namespace pitbox
