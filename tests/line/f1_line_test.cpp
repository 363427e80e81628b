// A recording of a real F1 game, played into the real daemon: every datagram is heard and
// understood, and what the car did can be exported.

#include <set>

#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

class F1Line : public testing::Test {
 protected:
  nlohmann::json feed(const std::string& name, std::vector<std::string> more = {}) {
    const auto file = recordings() / "f1" / name;
    std::vector<std::string> command = {"feed", file.string(), "--to",
                                        rig_.stage().source().address(), "--json"};
    command.insert(command.end(), more.begin(), more.end());
    const auto fed = rig_.pitbox(command);
    EXPECT_EQ(fed.exit_code, 0) << fed.output;
    return nlohmann::json::parse(fed.output, nullptr, false);
  }
  std::uint64_t counter(const std::string& name) {
    const auto answer = rig_.stage().ask(R"({"command":"status"})");
    EXPECT_TRUE(answer.ok());
    if (!answer.ok()) return 0;
    return nlohmann::json::parse(answer.value()).at("messages").at(name).get<std::uint64_t>();
  }

  LineRig rig_;
};

TEST_F(F1Line, HearsAGameOutOfARecording) {
  if (recordings().empty()) GTEST_SKIP() << "the folder of recordings is not here";
  rig_.set({.decoder = "f1"});
  if (HasFatalFailure()) return;
  const Uuid session = rig_.start_session("garage");
  const auto played = feed("f1_2023_garage_a.cap", {"--speed", "max"});
  ASSERT_TRUE(played.is_object());
  const std::uint64_t sent = played.at("messages");
  EXPECT_GT(sent, 10U);
  ASSERT_TRUE(becomes_true([&] { return counter("decoded") >= sent; }));
  EXPECT_EQ(counter("heard"), sent);
  EXPECT_EQ(counter("decoded"), sent);
  rig_.end_session();
  const auto out = rig_.folder() / "csv";
  const auto exported =
      rig_.pitbox({"export", session.text(), "--format", "csv", "--out", out.string()});
  ASSERT_EQ(exported.exit_code, 0) << exported.output;
  bool has_telemetry = false;
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    has_telemetry = has_telemetry || name.find("car_telemetry") != std::string::npos;
  }
  EXPECT_TRUE(has_telemetry);
}

TEST_F(F1Line, ARecordingOfDatagramsIsNotPlayedIntoAStream) {
  if (recordings().empty()) GTEST_SKIP() << "the folder of recordings is not here";
  rig_.set({.decoder = "f1"});
  if (HasFatalFailure()) return;
  const auto file = recordings() / "f1" / "f1_2023_garage_a.cap";
  const auto refused = rig_.pitbox({"feed", file.string(), "--to", "tcp://127.0.0.1:1"});
  EXPECT_NE(refused.exit_code, 0);
  const auto no_port = rig_.pitbox(
      {"feed", file.string(), "--to", rig_.stage().source().address(), "--port", "20777"});
  EXPECT_NE(no_port.exit_code, 0);
  EXPECT_NE(no_port.output.find("20777"), std::string::npos) << no_port.output;
}

TEST_F(F1Line, IsRecognisedInARecordingWithASourceThatHearsIt) {
  if (recordings().empty()) GTEST_SKIP() << "the folder of recordings is not here";
  rig_.set({});
  if (HasFatalFailure()) return;
  const auto game = rig_.pitbox({"sniff", (recordings() / "f1" / "f1_2023_garage_b.cap").string()});
  EXPECT_EQ(game.exit_code, 0) << game.output;
  EXPECT_NE(game.output.find("decoder = \"f1\""), std::string::npos) << game.output;
  const auto kart = rig_.pitbox({"sniff", (recordings() / "nmea" / "okc_2laps.nmea").string()});
  EXPECT_EQ(kart.exit_code, 0) << kart.output;
  EXPECT_NE(kart.output.find("decoder = \"nmea\""), std::string::npos) << kart.output;
  // The daemon has that port.
  const std::string address = rig_.stage().source().address();
  const auto taken = rig_.pitbox({"sniff", address.substr(address.rfind(':') + 1)});
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_NE(taken.output.find("already"), std::string::npos) << taken.output;
}

}  // namespace
}  // namespace pitbox
