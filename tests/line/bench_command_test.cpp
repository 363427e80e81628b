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
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
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
                        "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(code, 1);
  EXPECT_NE(output().find("not a release build"), std::string::npos) << output();
#else
  ASSERT_EQ(code, 0) << output();
  const json synthetic = json::parse(text_of(file));
  const json simulated = synthetic.at("beside").at("simulated");
  for (const json& figures : {synthetic, simulated}) {
    for (const char* name :
         {"samples", "seconds", "samples_per_second", "samples_per_cpu_second", "dropped",
          "bytes_per_sample", "commit_ms", "limits", "lag_s", "threads", "resident_mib"}) {
      EXPECT_TRUE(figures.contains(name)) << name;
    }
    EXPECT_EQ(figures.at("dropped"), 0);
    EXPECT_GT(figures.at("samples"), 300'000);
    EXPECT_GT(figures.at("limits").at("null_sink"), 0);
  }
  EXPECT_EQ(synthetic.at("samples").get<std::uint64_t>() % SyntheticCar::kSamplesPerDatagram, 0U);
  EXPECT_NE(synthetic.at("limits").at("zstd"), simulated.at("limits").at("zstd"));
  EXPECT_NE(output().find("per CPU-second"), std::string::npos) << output();
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("pitbox-bench")) << entry.path();
  }
#endif
}

TEST_F(BenchCommand, IngestTakesRunsOfDatagramsThatTheKernelCut) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  const int code = run({"bench", "ingest", "--cars", "2", "--seconds", "1", "--rate", "300000",
                        "--gso", "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(code, 1);
#else
  ASSERT_EQ(code, 0) << output();
  EXPECT_FALSE(json::parse(text_of(file)).contains("beside"));
#endif
}

// What a made journal holds is what a daemon would have recorded: nothing is damaged, every batch
// decodes, and the next daemon (here: the next make-journal) finds its session open.
TEST_F(BenchCommand, MakesAJournalThatIsWholeAndLeftOpen) {
  const std::string state = (directory_.path() / "state").string();
  ASSERT_EQ(run({"bench", "make-journal", "--state", state, "--bytes", "300K", "--cars", "2"}), 0)
      << output();
  EXPECT_NE(output().find("left open"), std::string::npos) << output();
  const auto sessions = list_sessions(state);
  ASSERT_TRUE(sessions.ok());
  ASSERT_EQ(sessions.value().size(), 1U);
  EXPECT_TRUE(sessions.value().front().open);
  auto reader = JournalReader::open(sessions.value().front().files.at(0));
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  const auto totals = reader.value()->totals();
  ASSERT_TRUE(totals.ok());
  EXPECT_GT(totals.value().samples, 300'000U);
  EXPECT_EQ(totals.value().samples % SyntheticCar::kSamplesPerDatagram, 0U);
  EXPECT_EQ(run({"fsck", state}), 0) << output();
  EXPECT_EQ(run({"bench", "make-journal", "--state", state, "--bytes", "1K"}), 2);
  EXPECT_NE(output().find("a session is open there; end it first"), std::string::npos) << output();
}

TEST_F(BenchCommand, LinkDrainsABacklogBesideALiveCar) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  const int code = run({"bench", "link", "--bytes", "2M", "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(code, 1);
#else
  ASSERT_EQ(code, 0) << output();
  const json figures = json::parse(text_of(file));
  EXPECT_GE(figures.at("bytes"), 2'000'000);
  EXPECT_GT(figures.at("live_ms").at("rows"), 0);
  EXPECT_GT(figures.at("limits").at("websocket_mb_per_second"), 0);
#endif
}

TEST_F(BenchCommand, StartFollowsOneFileThroughKills) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  const int code =
      run({"bench", "start", "--bytes", "2M", "--kills", "3", "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(code, 1);
#else
  ASSERT_EQ(code, 0) << output();
  const json figures = json::parse(text_of(file));
  EXPECT_GE(figures.at("bytes"), 2'000'000);
  EXPECT_EQ(figures.at("starts"), 3);
  EXPECT_GT(figures.at("start_ms").at("p50"), 0);
#endif
}

TEST_F(BenchCommand, SoakLooksAllTheTimeAndDraws) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  const std::filesystem::path chart = directory_.path() / "soak.svg";
  const int code = run({"bench", "soak", "--hours", "0.001", "--cars", "1", "--json", file.string(),
                        "--chart", chart.string()});
  const json figures = json::parse(text_of(file));
  EXPECT_EQ(code, 0) << output();
  EXPECT_TRUE(figures.at("holds").get<bool>()) << "so short a run says nothing of memory";
  EXPECT_GT(figures.at("series").at("seconds").size(), 4U);
  EXPECT_GT(figures.at("records"), 1000);
  EXPECT_NE(text_of(chart).find("<polyline"), std::string::npos);
}

TEST_F(BenchCommand, CodecTellsItsSizesByLengthAgainstABound) {
  const std::filesystem::path file = directory_.path() / "figures.json";
  for (const char* car : {"synthetic", "simulated"}) {
    const int code =
        run({"bench", "codec", "--car", car, "--seconds", "1", "--json", file.string()});
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
    EXPECT_EQ(code, 1);
#else
    ASSERT_EQ(code, 0) << output();
    const json figures = json::parse(text_of(file));
    ASSERT_EQ(figures.at("batches").size(), 4U) << "50, 100, 200 ms and the whole second";
    EXPECT_LT(figures.at("batches").at(3).at("bytes_per_sample"),
              figures.at("raw_bytes_per_sample"));
#endif
  }
  EXPECT_EQ(run({"bench", "codec", "--log", file.string() + ".ld"}), 2);
  EXPECT_NE(output().find("cannot read"), std::string::npos) << output();
}

TEST_F(BenchCommand, RefusesWhatItCannotDoAndSaysWhy) {
  EXPECT_EQ(run({"bench", "ingest", "--rate", "fast"}), 2);
  EXPECT_EQ(run({"bench", "ingest", "--cars", "61"}), 2);
  EXPECT_EQ(run({"bench", "ingest", "--car", "simulated", "--gso"}), 2);
  EXPECT_EQ(run({"bench", "ingest", "--cars", "47"}), 2);
  EXPECT_EQ(run({"bench", "load", "--to", "tcp://127.0.0.1:1"}), 2);
  EXPECT_EQ(run({"bench"}), 2);
  EXPECT_EQ(run({"bench", "--laptop", "disk"}), 2);
  EXPECT_NE(output().find("--laptop"), std::string::npos) << output();
  EXPECT_EQ(output().find("fdatasync"), std::string::npos) << "it ran: " << output();
  EXPECT_EQ(run({"bench", "--json", "x.json", "disk"}), 2);
  const std::string said = output();
  for (const char* words : {"--rate must be samples/s", "61 not in range", "udp://ADDRESS:PORT",
                            "datagrams of one length", "of simulated cars 46 at most"}) {
    EXPECT_NE(said.find(words), std::string::npos) << words << "\n" << said;
  }
}

}  // namespace
}  // namespace pitbox
