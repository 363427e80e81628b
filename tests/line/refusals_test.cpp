// Goal: a program that cannot do what it was told says which of its inputs is wrong, once, and ends
// with the documented exit code. Method: the real programs, told so.

#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

class Refusals : public testing::Test {
 protected:
  Refusals() { std::filesystem::create_directories(folder_); }
  ~Refusals() override { std::filesystem::remove_all(folder_); }

  // Runs a program to its end; exit code and what it printed on both streams.
  LineRig::Outcome run(const std::string& program, const std::vector<std::string>& arguments) {
    ChildProcess::Options options;
    options.program = std::filesystem::path(PITBOX_BIN_DIR) / program;
    options.arguments = arguments;
    options.output = folder_ / (program + ".log");
    auto started = ChildProcess::start(options);
    EXPECT_TRUE(started.ok()) << started.status().message();
    if (!started.ok()) return {};
    const auto code = started.value().wait(kLinePatience);
    EXPECT_TRUE(code.has_value()) << program << " did not end";
    return {code.value_or(-1), text_of(options.output)};
  }

  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                        ("pitbox-refusals-" + Uuid::mint().text().substr(0, 8));
};

TEST_F(Refusals, AnUnknownOptionIsNamedAndEndsWithTwo) {
  for (const char* program : {"pitboxd", "pitbox", "pitbox-room", "pitbox-demo"}) {
    const auto outcome = run(program, {"--no-such-option"});
    EXPECT_EQ(outcome.exit_code, 2) << program << ": " << outcome.output;
    EXPECT_FALSE(outcome.output.empty()) << program;
    EXPECT_EQ(run(program, {"--help"}).exit_code, 0) << program;
  }
}

TEST_F(Refusals, ATakenPortIsSaidOnceInOurWords) {
  LineRig rig;
  rig.set({});
  const std::string url = rig.stage().room_url();
  const std::string port = std::to_string(std::stoi(url.substr(url.rfind(':') + 1)));
  const auto outcome =
      run("pitbox-room", {"--store", (folder_ / "store").string(), "--no-auth", "--port", port});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, "pitbox-room: room server: cannot listen on 127.0.0.1:" + port +
                                ": Address already in use\n");
}

TEST_F(Refusals, AControlRequestOfTheWrongTypeChangesNothing) {
  LineRig rig;
  rig.set({});
  const auto answer_to = [&](const nlohmann::json& request) {
    const auto answer = rig.stage().ask(request.dump());
    EXPECT_TRUE(answer.ok()) << answer.status().message();
    return answer.ok() ? nlohmann::json::parse(answer.value(), nullptr, false) : nlohmann::json();
  };
  for (const char* key : {"name", "type", "id"}) {
    const auto answer = answer_to({{"command", "session_start"}, {key, 5}});
    EXPECT_FALSE(answer.value("ok", true)) << answer;
    EXPECT_EQ(answer.value("error", ""), std::string(key) + " must be a text");
  }
  EXPECT_FALSE(answer_to({{"command", 5}}).value("ok", true));
  EXPECT_TRUE(answer_to({{"command", "status"}}).at("session").is_null());
}

TEST_F(Refusals, ASessionCommandThatLooksForTheDaemonElsewhereSaysHowToFindIt) {
  LineRig rig;
  rig.set({});
  const auto outcome = run("pitbox", {"--state", rig.stage().state_directory().string(),
                                      "--runtime", folder_.string(), "session", "start"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.output, "pitbox: a daemon has " + rig.stage().state_directory().string() +
                                ", but none answers at " + (folder_ / "control.sock").string() +
                                "; name its runtime directory with --runtime\n");
}

}  // namespace
}  // namespace pitbox
