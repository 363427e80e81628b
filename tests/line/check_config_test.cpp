// Goal: what `pitboxd --check-config` calls right is what the daemon can use, and what it refuses
// it refuses by the key. Method: the real program on real files; each case is one that once passed
// the check and stopped the daemon.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace pitbox {
namespace {

class CheckConfig : public testing::Test {
 protected:
  CheckConfig() {
    std::string name = (std::filesystem::temp_directory_path() / "check-config-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~CheckConfig() override { std::filesystem::remove_all(folder_); }

  // Exit code; what it printed is in `said_`.
  int check(const std::string& toml) {
    const auto file = folder_ / "pitbox.toml";
    std::ofstream(file) << toml;
    const std::string command =
        std::string(PITBOX_BIN_DIR) + "/pitboxd --check-config --config " + file.string() + " 2>&1";
    FILE* const out = popen(command.c_str(), "r");
    if (out == nullptr) return -1;
    said_.clear();
    std::array<char, 512> text{};
    while (fgets(text.data(), static_cast<int>(text.size()), out) != nullptr) said_ += text.data();
    const int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void expect_refused(const std::string& toml, const std::string& because) {
    EXPECT_NE(check(toml), 0) << toml;
    EXPECT_NE(said_.find(because), std::string::npos) << toml << said_;
    EXPECT_NE(said_.find("pitbox.toml"), std::string::npos) << said_;
  }

  std::filesystem::path folder_;
  std::string said_;
};

std::string source(const std::string& keys) {
  return "[[source]]\nname = \"a\"\nkind = \"udp\"\n" + keys + "\n";
}

TEST_F(CheckConfig, CallsAUsableOneRight) {
  EXPECT_EQ(check(source("listen = \"127.0.0.1:9600\"")), 0) << said_;
  EXPECT_NE(said_.find("right, 1 source"), std::string::npos) << said_;
}

TEST_F(CheckConfig, RefusesASourceThatCannotListen) {
  expect_refused(source("listen = \"localhost:9600\""), "'a': listen: ");
  expect_refused(source("listen = \"239.0.0.1:9600\""), "multicast");
  expect_refused(source("listen = \"0.0.0.0:9600\"") +
                     "[[source]]\nname = \"b\"\nkind = \"udp\"\nlisten = \"0.0.0.0:9600\"\n",
                 "'b': listen: udp 0.0.0.0:9600 is where source 'a' listens");
  EXPECT_EQ(check(source("listen = \"0.0.0.0:9600\"") +
                  "[[source]]\nname = \"b\"\nkind = \"tcp\"\nlisten = \"0.0.0.0:9600\"\n"),
            0)
      << said_;
}

TEST_F(CheckConfig, RefusesASourceWhoseRingOrDecoderCannotBe) {
  const std::string listen = "listen = \"127.0.0.1:9600\"\n";
  expect_refused(source(listen + "ring_mib = 1\nslot_bytes = 65536"), "ring_mib");
  expect_refused(source(listen + "decoder = \"nmea\"\ncar = \"\""), "car");
}

TEST_F(CheckConfig, RefusesALinkThatCannotBeDialled) {
  const std::string heard = source("listen = \"127.0.0.1:9600\"");
  expect_refused(heard + "[room]\nurl = \"ws://\"\n", "room.url");
  expect_refused(heard + "[room]\nurl = \"ws://h:99999\"\n", "room.url");
  expect_refused(heard + "[room]\nurl = \"ws://h\"\napi_key_file = \"/none\"\n",
                 "room.api_key_file");
  expect_refused(heard + "[room]\nurl = \"wss://h\"\nca_file = \"/none\"\n", "room.ca_file");
}

}  // namespace
}  // namespace pitbox
