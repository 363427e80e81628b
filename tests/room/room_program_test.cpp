// Threaded. Goal: the program says where it listens, ends in order, and whatever it acknowledged is
// there after SIGKILL. Method: the real program as a child process, and a client of plain sockets.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "conversation.h"
#include "room_visitor.h"
#include "web_client.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not in every <unistd.h>.

namespace pitbox {
namespace {

using namespace pitbox::testing;  // NOLINT(google-build-using-namespace): the tests' language.

// The real program, in a process of its own.
class Program {
 public:
  explicit Program(const std::filesystem::path& store) {
    int out[2] = {};
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    const std::string binary = std::string(PITBOX_BIN_DIR) + "/pitbox-room";
    const std::string directory = store.string();
    std::string words[] = {binary,    "--port",    "0",           "--store",
                           directory, "--no-auth", "--log-level", "error"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&pid_, binary.c_str(), &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    char c = 0;
    while (::read(out[0], &c, 1) == 1 && c != '\n') line_.push_back(c);
    ::close(out[0]);
    const std::size_t at = line_.find("127.0.0.1:");
    if (at != std::string::npos) port_ = std::stoi(line_.substr(at + 10));
  }
  ~Program() {
    if (pid_ > 0) end(SIGKILL);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Sends the signal and waits; the exit code, or -1 if a signal ended it.
  int end(int signal) {
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int port() const { return port_; }
  const std::string& line() const { return line_; }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
  std::string line_;
};

class RoomProgram : public RoomVisitor {};

TEST_F(RoomProgram, SaysWhereItListensAndEndsInOrderOnSigterm) {
  Program program(directory_.path() / "store");
  ASSERT_GT(program.port(), 0) << program.line();
  EXPECT_EQ(program.line(), "pitbox-room listening on http://127.0.0.1:" +
                                std::to_string(program.port()) + "/ (0 rooms)");
  port_ = program.port();
  auto box = connect_box();
  give(*box, batch(1));
  box->expect(words::Frame::kAck);
  EXPECT_EQ(program.end(SIGTERM), 0);
  EXPECT_EQ(box->expect(words::Frame::kGoodbye).goodbye().reason(), "server_closing");
  const auto file = directory_.path() / "store" / (session_.text() + ".db");
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-wal")) << "one plain file is left";
}

// Streams, 20 batches ahead of each Ack, and kills the program after so many Acks, with batches and
// commits under way. Gives what was acknowledged, also by Acks that were on their way.
RangeSet stream_and_kill(Program& program, WebClient& box, std::uint64_t next, int acks) {
  RangeSet acknowledged;
  const auto note = [&](const std::string& message) {
    const auto frame = parse_frame(message);
    if (!frame.ok() || !frame.value().has_ack()) return false;
    if (frame.value().ack().through() > 0) acknowledged.add({1, frame.value().ack().through()});
    return true;
  };
  while (acks > 0) {
    for (int i = 0; i < 20; ++i, ++next) {
      for (const words::Frame& part : parts(batch(next, static_cast<int>(next), 500))) {
        EXPECT_TRUE(box.send(part));
      }
    }
    const auto message = box.next();
    if (!message.has_value()) break;
    acks -= note(*message) ? 1 : 0;
  }
  program.end(SIGKILL);
  while (auto message = box.next()) note(*message);
  return acknowledged;
}

TEST_F(RoomProgram, EverythingAcknowledgedIsThereAfterSigkill) {
  RangeSet acknowledged;
  for (const int acks : {1, 7, 2, 19, 5, 11}) {
    Program program(directory_.path() / "store");
    port_ = program.port();
    auto box = connect();
    box->send(hello(box_, session_));
    const words::Frame welcome = box->expect(words::Frame::kWelcome);
    RangeSet held;
    for (const auto& file : welcome.welcome().held()) held.add_all(to_range_set(file.ranges()));
    for (const Range& range : acknowledged.ranges()) {
      ASSERT_TRUE(held.contains(range)) << range.first << ".." << range.last;
    }
    box->send(define(definition_of("motion")));
    acknowledged.add_all(stream_and_kill(program, *box, held.through() + 1, acks));
  }
  ASSERT_GT(acknowledged.count(), 20U);
  // And with the bytes that were sent, each once.
  Program program(directory_.path() / "store");
  port_ = program.port();
  auto viewer = connect();
  viewer->send(subscribe(session_, false, true));
  Received received;
  while (!received.history_end.has_value()) {
    const auto message = viewer->next();
    ASSERT_TRUE(message.has_value());
    received.add(parse_frame(*message).take());
  }
  RangeSet found;
  for (const Entry& entry : received.entries) {
    EXPECT_FALSE(found.contains(entry.sequence)) << "twice";
    found.add(entry.sequence);
    EXPECT_EQ(entry.bytes, batch(entry.sequence, static_cast<int>(entry.sequence), 500).bytes);
  }
  for (const Range& range : acknowledged.ranges()) EXPECT_TRUE(found.contains(range));
}

}  // namespace
}  // namespace pitbox
