// Laps that a car counts itself: from datagrams through the real daemon to the table of laps,
// without any line on a map, also when the daemon is killed in the middle of a lap.

#include <array>
#include <cstring>

#include "apps/sim/sender.h"
#include "ingest/native_encoder.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr std::uint16_t kLapGroup = 1;

class CountedLaps : public testing::Test {
 protected:
  void given_a_car() {
    rig_.set({.decoder = "native"});
    if (HasFatalFailure()) return;
    session_ = rig_.start_session("counted");
    auto dialled = Sender::open(rig_.stage().source().address(), [] { return false; });
    ASSERT_TRUE(dialled.ok()) << dialled.status().message();
    sender_ = std::move(dialled).take();
    const auto definition =
        Definition::make({.group = "timing",
                          .time_base = TimeBase::kNone,
                          .channels = {{"lap", "", StorageType::kU16, 1, 0},
                                       {"last_lap_time", "ms", StorageType::kU32, 1, 0}}});
    ASSERT_TRUE(definition.ok());
    const auto announced = encoder_.announce(kLapGroup, "27", definition.value());
    ASSERT_TRUE(announced.ok());
    ASSERT_TRUE(sender_->send(announced.value()).ok());
  }
  void row(std::uint16_t lap, std::uint32_t last_ms) {
    std::array<std::byte, 6> bytes{};
    std::memcpy(bytes.data(), &lap, sizeof lap);
    std::memcpy(bytes.data() + sizeof lap, &last_ms, sizeof last_ms);
    std::string datagram;
    ASSERT_EQ(encoder_.append_rows(kLapGroup, {}, bytes, 1400, datagram), 1U);
    ASSERT_TRUE(sender_->send(datagram).ok());
    ++sent_;
    ASSERT_TRUE(becomes_true([&] { return rig_.status().records >= sent_; }));
  }
  nlohmann::json laps() {
    const auto printed = rig_.pitbox({"laps", session_.text(), "--json"});
    EXPECT_EQ(printed.exit_code, 0) << printed.output;
    return nlohmann::json::parse(printed.output);
  }
  // These laps come faster than they were driven, so they are not in order of their beginning.
  static nlohmann::json lap_of(const nlohmann::json& laps, int number) {
    for (const auto& lap : laps) {
      if (lap.at("lap") == number) return lap;
    }
    return {};
  }

  LineRig rig_;
  Uuid session_;
  std::unique_ptr<Sender> sender_;
  NativeEncoder encoder_{4711};
  std::uint64_t sent_ = 0;
};

TEST_F(CountedLaps, AreTheCarsOwn) {
  given_a_car();
  if (HasFatalFailure()) return;
  row(1, 0);
  row(2, 92'345);
  row(2, 92'345);
  rig_.stage().kill_daemon();
  ASSERT_TRUE(rig_.stage().start_daemon().ok());
  row(3, 91'200);
  rig_.end_session();
  const auto told = laps();
  ASSERT_EQ(told.size(), 2U) << told.dump(2);
  EXPECT_EQ(lap_of(told, 1).at("lapTimeMs"), 92'345);
  EXPECT_EQ(lap_of(told, 1).at("evidence"), "counter");
  EXPECT_EQ(lap_of(told, 2).at("lapTimeMs"), 91'200);
}

TEST_F(CountedLaps, StandOutWhereTheyAreTheFastest) {
  given_a_car();
  if (HasFatalFailure()) return;
  row(1, 0);
  row(2, 92'345);
  row(3, 91'200);
  row(4, 91'300);
  rig_.end_session();
  const auto told = laps();
  ASSERT_EQ(told.size(), 3U) << told.dump(2);
  EXPECT_EQ(lap_of(told, 1).at("best"), "");
  EXPECT_EQ(lap_of(told, 1).at("gapMs"), 1'145);
  EXPECT_EQ(lap_of(told, 2).at("best"), "session");
  EXPECT_EQ(lap_of(told, 2).at("gapMs"), 0);
  EXPECT_EQ(lap_of(told, 3).at("gapMs"), 100);
  const auto table = rig_.pitbox({"laps", session_.text()});
  EXPECT_NE(table.output.find("1:31.200P"), std::string::npos) << table.output;
  EXPECT_NE(table.output.find("+0:01.145"), std::string::npos) << table.output;
  EXPECT_EQ(table.output.find('\x1b'), std::string::npos) << "no colours into a file";
  const auto csv = rig_.pitbox({"laps", session_.text(), "--csv"});
  EXPECT_TRUE(csv.output.starts_with("car,lap,kind,lap_time_ms,gap_ms,best,started_at,evidence\n"))
      << csv.output;
  EXPECT_NE(csv.output.find("27,1,timed,92345,1145,,"), std::string::npos) << csv.output;
  EXPECT_NE(rig_.pitbox({"laps", session_.text(), "--csv", "--json"}).exit_code, 0);
}

}  // namespace
}  // namespace pitbox
