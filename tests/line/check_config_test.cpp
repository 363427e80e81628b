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
  // `because`: how the refusal goes on behind the file's name, with the line.
  void expect_refused(const std::string& toml, const std::string& because) {
    EXPECT_NE(check(toml), 0) << toml;
    const std::string begin = "pitboxd: " + (folder_ / "pitbox.toml").string() + because;
    EXPECT_TRUE(said_.starts_with(begin)) << toml << said_ << begin;
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
  expect_refused(source("listen = \"localhost:9600\""), ":4: source.listen: ");
  expect_refused(source("listen = \"239.0.0.1:9600\""), ":4: source.listen: ");
  expect_refused(source("listen = \"0.0.0.0:9600\"") +
                     "[[source]]\nname = \"b\"\nkind = \"udp\"\nlisten = \"0.0.0.0:9600\"\n",
                 ":8: source.listen: udp 0.0.0.0:9600 is where source 'a' listens (");
  const std::string other = "[[source]]\nname = \"b\"\nkind = \"udp\"\nlisten = ";
  for (const char* same : {"\"127.0.0.1:09600\"\n", "\"0.0.0.0:9600\"\n", "\"[::]:9600\"\n"}) {
    expect_refused(source("listen = \"127.0.0.1:9600\"") + other + same, ":8: source.listen: udp ");
  }
  EXPECT_EQ(check(source("listen = \"127.0.0.1:9600\"") + other + "\"127.0.0.2:9600\"\n"), 0);
  // Where the key was not given, where its source begins.
  expect_refused("[[source]]\nname = \"a\"\n[[source]]\nname = \"b\"\n", ":3: source.listen: ");

  EXPECT_EQ(check(source("listen = \"127.0.0.1:0\"") +
                  "[[source]]\nname = \"b\"\nkind = \"udp\"\nlisten = \"127.0.0.1:0\"\n"),
            0)
      << "each gets a free port; " << said_;
  EXPECT_EQ(check(source("listen = \"0.0.0.0:9600\"") +
                  "[[source]]\nname = \"b\"\nkind = \"tcp\"\nlisten = \"0.0.0.0:9600\"\n"),
            0)
      << said_;
}

TEST_F(CheckConfig, RefusesASourceWhoseRingOrDecoderCannotBe) {
  const std::string listen = "listen = \"127.0.0.1:9600\"\n";
  expect_refused(source(listen + "ring_mib = 1\nslot_bytes = 65536"), ":5: source.ring_mib: ");
  expect_refused(source(listen + "decoder = \"nmea\"\ncar = \"\""), ":6: source.car: ");
  expect_refused("[[source]]\nname = \"a\"\nkind = \"tcp\"\ndecoder = \"f1\"\n" + listen,
                 ":4: source.decoder: f1 is sent as datagrams");
  EXPECT_EQ(check(source(listen + "decoder = \"f1\"")), 0) << said_;
}

TEST_F(CheckConfig, RefusesALineThatIsNoTimingLine) {
  const std::string heard = source("listen = \"127.0.0.1:9600\"");
  const std::string good = "[track]\nstart_finish = [[28.4127, -81.3797], [28.4128, -81.3796]]\n";
  expect_refused(heard + "[track]\nstart_finish = [[1, 1], [2, 2]]\n",
                 ":6: track.start_finish: its length is not 1..1000 m");
  expect_refused(heard + good + "pit_exit = [[1, 1], [2, 2]]\n", ":7: track.pit_exit: ");
  expect_refused(
      heard + good + "sectors = [[[28.4127, -81.3797], [28.4128, -81.3796]],\n[[1, 1], [2, 2]]]\n",
      ":7: track.sectors: line 2: ");
}

TEST_F(CheckConfig, RefusesALinkThatCannotBeDialled) {
  const std::string heard = source("listen = \"127.0.0.1:9600\"");
  expect_refused(heard + "[room]\nurl = \"ws://\"\n", ":6: room.url: ");
  expect_refused(heard + "[room]\nurl = \"ws://h:99999\"\n", ":6: room.url: ");
  expect_refused(heard + "[room]\nurl = \"ws://h\"\napi_key_file = \"/none\"\n",
                 ":7: room.api_key_file: ");
  expect_refused(heard + "[room]\nurl = \"ws://h\"\napi_key = \"a b\"\n", ":7: room.api_key: ");
  expect_refused(heard + "[room]\nurl = \"wss://h\"\nca_file = \"/none\"\n", ":7: room.ca_file: ");
}

}  // namespace
}  // namespace pitbox
