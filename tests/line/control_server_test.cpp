// Goal: whoever asks the daemon gets an answer, also when it is a refusal. Method: the real server
// on a Unix socket in a temporary directory, and the client that `pitbox` uses.

#include "apps/control/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "apps/control/control_client.h"

namespace pitbox {
namespace {

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "control-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    auto started = ControlServer::start(
        socket_file(), [](std::string_view request) { return "heard " + std::string(request); },
        counters_);
    EXPECT_TRUE(started.ok()) << started.status().message();
    server_ = std::move(started).take();
  }
  ~ControlServerTest() override {
    for (const int client : clients_) close(client);
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path socket_file() const { return folder_ / "control.sock"; }

  // A client that asked once, was answered, and stays.
  void given_client() {
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    clients_.push_back(client);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_file().c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(send(client, "me\n", 3, MSG_NOSIGNAL), 3);
    char first = 0;
    ASSERT_EQ(recv(client, &first, 1, 0), 1);
    ASSERT_EQ(first, 'h');
  }

  std::filesystem::path folder_;
  ControlCounters counters_;
  std::unique_ptr<ControlServer> server_;
  std::vector<int> clients_;
};

TEST_F(ControlServerTest, TellsTheClientThatIsOneTooManyAndTakesTheNextWhenOneHasGone) {
  const auto patience = std::chrono::seconds(10);
  for (std::size_t i = 0; i < ControlServer::kMaxClients; ++i) given_client();
  const auto refused = ask_daemon(socket_file(), "{}", patience);
  ASSERT_TRUE(refused.ok()) << refused.status().message();
  EXPECT_NE(refused.value().find("16 clients"), std::string::npos) << refused.value();
  EXPECT_EQ(counters_.clients_refused.load(), 1U);
  close(clients_.back());
  clients_.pop_back();
  // The server learns of it when it next looks at that socket.
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Result<std::string> answer = refused;
  while (answer.ok() && answer.value() != "heard {}") {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    answer = ask_daemon(socket_file(), "{}", patience);
  }
  EXPECT_TRUE(answer.ok()) << answer.status().message();
}

TEST_F(ControlServerTest, ClosesAndCountsALineThatIsTooLong) {
  const std::string longest(ControlServer::kMaxRequestBytes - 1, 'x');
  const auto patience = std::chrono::seconds(10);
  const auto answered = ask_daemon(socket_file(), longest, patience);
  ASSERT_TRUE(answered.ok()) << answered.status().message();
  EXPECT_EQ(answered.value(), "heard " + longest);
  EXPECT_FALSE(ask_daemon(socket_file(), longest + "x", patience).ok());
  EXPECT_EQ(counters_.lines_too_long.load(), 1U);
}

}  // namespace
}  // namespace pitbox
