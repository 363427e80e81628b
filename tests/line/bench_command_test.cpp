// `pitbox bench`: its figures are those of a run that kept everything, and there are none
// otherwise. No figure is compared with anything: a benchmark is not a test.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/bench/load.h"
#include "apps/launch/child_process.h"
#include "tests/buffer/journal_rig.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

using nlohmann::json;

class BenchCommand : public testing::Test {
 protected:
  // The exit code; what it printed is in output().
  int run(const std::vector<std::string>& arguments) {
    auto started = ChildProcess::start({.program = std::filesystem::path(PITBOX_BIN_DIR) / "pitbox",
                                        .arguments = arguments,
                                        .environment = {{"TMPDIR", directory_.path().string()}},
                                        .sockets = {},
                                        .output = directory_.path() / "output"});
    EXPECT_TRUE(started.ok());
    if (!started.ok()) return -1;
    return started.value().wait(std::chrono::minutes(3)).value_or(-1);
  }
  std::string output() const { return text_of(directory_.path() / "output"); }

  TestFolder directory_;
};

TEST_F(BenchCommand, IngestPrintsFiguresOfARunThatKeptEverythingAndLeavesNothing) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  const int code = run({"bench", "ingest", "--cars", "2", "--seconds", "2", "--rate", "300000",
                        "--gso", "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(code, 1);
  EXPECT_NE(output().find("not a release build"), std::string::npos) << output();
#else
  ASSERT_EQ(code, 0) << output();
  const json figures = json::parse(text_of(file));
  for (const char* name :
       {"samples", "seconds", "samples_per_second", "samples_per_cpu_second", "dropped",
        "bytes_per_sample", "commit_ms", "limits", "lag_s", "threads", "resident_mib"}) {
    EXPECT_TRUE(figures.contains(name)) << name;
  }
  EXPECT_EQ(figures.at("dropped"), 0);
  EXPECT_EQ(figures.at("samples").get<std::uint64_t>() % SyntheticCar::kSamplesPerDatagram, 0U);
  EXPECT_GT(figures.at("samples"), 300'000);
  EXPECT_NE(output().find("per CPU-second"), std::string::npos) << output();
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("pitbox-bench")) << entry.path();
  }
#endif
}

TEST_F(BenchCommand, RefusesWhatItCannotDoAndSaysWhy) {
  EXPECT_EQ(run({"bench", "ingest", "--rate", "fast"}), 2);
  EXPECT_EQ(run({"bench", "ingest", "--cars", "61"}), 2);
  EXPECT_EQ(run({"bench", "load", "--to", "tcp://127.0.0.1:1"}), 2);
  EXPECT_EQ(run({"bench"}), 2);
  const std::string said = output();
  for (const char* words : {"--rate must be samples/s", "61 not in range", "udp://ADDRESS:PORT"}) {
    EXPECT_NE(said.find(words), std::string::npos) << words << "\n" << said;
  }
}

// The same datagrams come again with other times and sequences, and the books know.
TEST(Load, SendsEachLoopWithTimesAndSequencesOfItsOwn) {
  auto made = Load::make(2, 7);
  ASSERT_TRUE(made.ok());
  Load& load = made.value();
  const auto number_at = [](std::span<const char> datagram, std::size_t at) {
    std::int64_t number = 0;
    std::memcpy(&number, datagram.data() + at, sizeof number);
    return number;
  };
  const auto first = load.next();
  const std::int64_t sequence = number_at(first, 24);
  const std::int64_t base = number_at(first, 32);
  for (std::size_t i = 1; i < load.size(); ++i) load.next();
  const auto again = load.next();
  EXPECT_EQ(again.data(), first.data());
  EXPECT_GT(number_at(again, 24), sequence);
  EXPECT_EQ(number_at(again, 32), base + SyntheticCar::kLoopNs);
  const LoadTotals one = load.totals(load.size());
  const LoadTotals two = load.totals(2 * load.size());
  EXPECT_EQ(two.samples, 2 * one.samples);
  EXPECT_EQ(one.samples, load.size() * SyntheticCar::kSamplesPerDatagram);
  EXPECT_NE(two.content_hash, 2 * one.content_hash);
}

}  // namespace
}  // namespace pitbox
