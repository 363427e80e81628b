// Goal: `./dev run` shows cars on the page until Ctrl-C, leaves nothing running, and a second start
// adds a session to the first one's. Method: the program it starts, on ports of its own.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// The word behind `key` at the beginning of a line; empty if it is not there yet.
std::string word_behind(const std::string& text, const std::string& key) {
  const auto at = text.find("\n" + key + " ");
  if (at == std::string::npos) return {};
  const auto begin = text.find_first_not_of(' ', at + 1 + key.size());
  const auto end = text.find_first_of(" \n", begin);
  return end == std::string::npos ? std::string() : text.substr(begin, end - begin);
}

// The answer to GET / on a port of the loopback interface, headers and all.
std::string fetch_page(std::uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                                "\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(send(descriptor, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::array<char, 4096> bytes{};
    for (ssize_t got = 0; (got = recv(descriptor, bytes.data(), bytes.size(), 0)) > 0;) {
      answer.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  close(descriptor);
  return answer;
}

// Processes that have `word` in their command line.
std::vector<std::string> processes_with(const std::string& word) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string command = text_of(entry.path() / "cmdline");
    if (command.find(word) != std::string::npos) found.push_back(entry.path().filename().string());
  }
  return found;
}

class LiveRun : public testing::Test {
 protected:
  LiveRun() { fs::create_directories(folder_); }
  ~LiveRun() override {
    std::error_code ignored;
    if (!HasFailure()) fs::remove_all(folder_, ignored);
  }

  void start() {
    fs::remove(log_);
    auto started = ChildProcess::start({.program = fs::path(PITBOX_BIN_DIR) / "pitbox-demo",
                                        .arguments = {"--folder", (folder_ / "run").string(),
                                                      "--room-port", "0", "--source-port", "0"},
                                        .environment = {},
                                        .sockets = {},
                                        .output = log_});
    ASSERT_TRUE(started.ok()) << started.status().message();
    run_ = std::move(started).take();
  }
  std::string said() const { return text_of(log_); }
  // The status line counts what reached the journal.
  bool shows_records() const {
    const std::string key = "| journaled ";
    const std::string text = said();
    const auto at = text.rfind(key);
    return at != std::string::npos && std::stoull(text.substr(at + key.size())) > 0;
  }
  std::vector<SessionFiles> sessions() const {
    auto listed = list_sessions(folder_ / "run" / "state");
    EXPECT_TRUE(listed.ok()) << listed.status().message();
    return listed.ok() ? std::move(listed).take() : std::vector<SessionFiles>{};
  }
  void stop_with(int signal) {
    run_.send(signal);
    EXPECT_EQ(run_.wait(kLinePatience).value_or(-1), 0) << said();
    EXPECT_NE(said().find("\nstopping\n"), std::string::npos);
    EXPECT_TRUE(processes_with(folder_.string()).empty());
  }

  const fs::path folder_ =
      fs::temp_directory_path() / ("pitbox-live-run-" + Uuid::mint().text().substr(0, 8));
  const fs::path log_ = folder_ / "demo.log";
  ChildProcess run_;
};

TEST_F(LiveRun, ShowsCarsUntilCtrlCLeavesNothingRunningAndStartsAgain) {
  start();
  ASSERT_TRUE(becomes_true([&] { return shows_records(); })) << said();
  const std::string page = word_behind("\n" + said(), "page");
  const std::string prefix = "http://127.0.0.1:";
  ASSERT_TRUE(page.starts_with(prefix)) << said();
  const int port = std::stoi(page.substr(prefix.size()));
  const std::string answer = fetch_page(static_cast<std::uint16_t>(port));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("<html"), std::string::npos) << answer;
  EXPECT_FALSE(processes_with(folder_.string()).empty());
  stop_with(SIGINT);
  ASSERT_EQ(sessions().size(), 1U);

  start();
  ASSERT_TRUE(becomes_true([&] { return shows_records(); })) << said();
  stop_with(SIGTERM);
  EXPECT_EQ(sessions().size(), 2U);
}

TEST_F(LiveRun, ATakenPortIsSaidAndNothingStays) {
  start();
  ASSERT_TRUE(becomes_true([&] { return !word_behind("\n" + said(), "page").empty(); })) << said();
  const std::string page = word_behind("\n" + said(), "page");
  const std::string port = std::to_string(std::stoi(page.substr(page.rfind(':') + 1)));
  const fs::path second_log = folder_ / "second.log";
  auto second = ChildProcess::start({.program = fs::path(PITBOX_BIN_DIR) / "pitbox-demo",
                                     .arguments = {"--folder", (folder_ / "second").string(),
                                                   "--room-port", port, "--source-port", "0"},
                                     .environment = {},
                                     .sockets = {},
                                     .output = second_log});
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(second.value().wait(kLinePatience).value_or(-1), 2);
  EXPECT_NE(text_of(second_log).find(port), std::string::npos) << text_of(second_log);
  EXPECT_NE(text_of(second_log).find("in use"), std::string::npos) << text_of(second_log);
  EXPECT_TRUE(processes_with((folder_ / "second").string()).empty());
  stop_with(SIGINT);
}

}  // namespace
}  // namespace pitbox
