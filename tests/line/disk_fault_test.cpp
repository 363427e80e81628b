// A disk that fails under the real daemon: strace, attached to it while it records, lets its writes
// and syncs report errors or take seconds. The daemon lives, sets the file aside, another one takes
// over, and everything sent is in the journal and in the room exactly once.

#include <nlohmann/json.hpp>

#include "tests/line/expect_kept.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// A tenth of what a car sends: each system call of a traced process stops it twice.
constexpr std::uint64_t kSamplesPerSecond = 20'000;

class DiskFault : public ::testing::Test {
 protected:
  void SetUp() override { rig_.set({}); }

  // Not before the session is there: data without one opens another.
  void start_sending() {
    sender_ = std::make_unique<NumberedSender>(
        NumberedSender::Options{rig_.stage().source().port(), kSamplesPerSecond});
  }

  void given_a_session_that_records() {
    session_ = rig_.start_session("faults");
    start_sending();
    ASSERT_TRUE(
        becomes_true([&] { return rig_.status().records > 0 && rig_.status().state == "online"; }));
  }

  // From now on, `call` of the daemon meets `fault` (as in strace's -e inject); only where it
  // concerns `file`, if that is not empty.
  void inject(const std::string& call, const std::string& fault, const fs::path& file = {}) {
    const pid_t daemon = rig_.stage().daemon().pid();
    std::vector<std::string> arguments{"-f", "-qq", "-p", std::to_string(daemon)};
    arguments.insert(arguments.end(),
                     {"-e", "trace=" + call, "-e", "inject=" + call + ":" + fault});
    if (!file.empty()) arguments.insert(arguments.end(), {"-P", file.string()});
    auto started = ChildProcess::start({.program = "/usr/bin/strace",
                                        .arguments = arguments,
                                        .environment = {},
                                        .sockets = {},
                                        .output = trace()});
    ASSERT_TRUE(started.ok()) << started.status().message() << " (./dev test installs it)";
    strace_ = std::move(started).take();
    ASSERT_TRUE(becomes_true([&] { return is_traced(daemon) || !strace_.is_running(); }));
    ASSERT_TRUE(strace_.is_running()) << text_of(trace());
  }
  // The disk is well again.
  void stop_injecting() { strace_.stop(std::chrono::seconds(10)); }
  bool has_injected() { return text_of(trace()).find("INJECTED") != std::string::npos; }

  fs::path live_wal() {
    const auto found = find_session(rig_.stage().state_directory(), session_.text());
    if (!found.ok()) return {};
    return found.value().files.back().string() + "-wal";
  }
  std::size_t journal_files() {
    const auto found = find_session(rig_.stage().state_directory(), session_.text());
    return found.ok() ? found.value().files.size() : 0;
  }
  // A member of the daemon's status; null while it does not answer.
  nlohmann::json recorder_says(const std::string& member) {
    const auto answer = rig_.stage().ask(R"({"command":"status"})");
    if (!answer.ok()) return nullptr;
    auto status = nlohmann::json::parse(answer.value(), nullptr, false);
    return status.is_object() ? status["recorder"][member] : nlohmann::json();
  }

  void expect_alive_and_everything_kept() {
    EXPECT_TRUE(rig_.stage().daemon().is_running());
    const auto kept = settle(rig_.stage(), session_, *sender_);
    ASSERT_TRUE(kept.ok()) << kept.status().message() << "\n"
                           << text_of(rig_.stage().log_directory() / "pitboxd.log");
    expect_all_kept(kept.value());
    EXPECT_TRUE(rig_.stage().daemon().is_running());
  }
  // The live file is set aside by one fault, and everything goes on in the next one.
  void expect_taken_over(const std::string& call, const std::string& fault) {
    given_a_session_that_records();
    if (HasFatalFailure()) return;
    inject(call, fault, live_wal());
    if (HasFatalFailure()) return;
    EXPECT_TRUE(becomes_true([&] { return journal_files() == 2; })) << text_of(trace());
    stop_injecting();
    EXPECT_TRUE(has_injected()) << text_of(trace());
    expect_alive_and_everything_kept();
    EXPECT_EQ(journal_files(), 2U);
  }

  LineRig rig_;
  Uuid session_;
  std::unique_ptr<NumberedSender> sender_;

 private:
  fs::path trace() { return rig_.stage().log_directory() / "strace.log"; }
  // Every thread of it.
  static bool is_traced(pid_t process) {
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
      if (text_of(task.path() / "status").find("TracerPid:\t0\n") != std::string::npos) {
        return false;
      }
    }
    return true;
  }

  ChildProcess strace_;
};

TEST_F(DiskFault, ASyncThatFailsSetsTheFileAside) {
  expect_taken_over("fdatasync", "error=EIO:when=1");
}

TEST_F(DiskFault, AWriteThatFailsSetsTheFileAside) {
  expect_taken_over("pwrite64", "error=EIO:when=2");
}

TEST_F(DiskFault, AFullDiskSetsTheFileAside) {
  expect_taken_over("pwrite64", "error=ENOSPC:when=3");
}

TEST_F(DiskFault, AJournalWhoseNameCouldNotBeSyncedIsMadeAgain) {
  inject("fsync", "error=EIO:when=1");
  if (HasFatalFailure()) return;
  session_ = Uuid::mint();
  const nlohmann::json start{
      {"command", "session_start"}, {"name", "faults"}, {"id", session_.text()}};
  ASSERT_TRUE(becomes_true([&] {
    static_cast<void>(rig_.stage().ask(start.dump()));
    return rig_.status().session == session_.text();
  })) << text_of(rig_.stage().log_directory() / "pitboxd.log");
  stop_injecting();
  EXPECT_TRUE(has_injected());
  start_sending();
  ASSERT_TRUE(becomes_true([&] { return rig_.status().records > 0; }));
  expect_alive_and_everything_kept();
}

TEST_F(DiskFault, WhileEverySyncFailsTheRingHoldsAndSaysSo) {
  given_a_session_that_records();
  if (HasFatalFailure()) return;
  inject("fdatasync", "error=EIO");
  if (HasFatalFailure()) return;
  EXPECT_TRUE(becomes_true([&] { return recorder_says("state") == "holding"; }));
  EXPECT_NE(recorder_says("error").dump(), R"("")");
  stop_injecting();
  EXPECT_TRUE(becomes_true([&] { return recorder_says("state") == "recording"; }));
  expect_alive_and_everything_kept();
}

TEST_F(DiskFault, WhileSyncsTakeSecondsTheRingHoldsAndTheStatusSaysHowOldItIs) {
  given_a_session_that_records();
  if (HasFatalFailure()) return;
  inject("fdatasync", "delay_enter=3000000", live_wal());
  if (HasFatalFailure()) return;
  // Far beyond the 100 ms that a commit waits.
  EXPECT_TRUE(becomes_true([&] {
    const auto age = recorder_says("oldest_unjournaled_age_ms");
    return age.is_number() && age.get<double>() > 1'500;
  }));
  stop_injecting();
  expect_alive_and_everything_kept();
  EXPECT_EQ(journal_files(), 1U);
}

}  // namespace
}  // namespace pitbox
