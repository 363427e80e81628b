// What is sent is what the books say: datagrams decoded by the receiver's own decoder give the rows
// of the ledger, once each; the lap engine finds the laps the cars drove; and what was not accepted
// is not in the books.

#include "apps/sim/transmitter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "export/row_ledger.h"
#include "ingest/gps_lap_engine.h"
#include "ingest/native_decoder.h"

namespace pitbox {
namespace {

constexpr std::uint32_t kSender = 77;

// Decodes datagrams as a receiver would, and keeps what it decoded.
class Receiver final : public RecordSink {
 public:
  void receive(std::string_view datagram) {
    const Message message{.number = ++number_,
                          .receive_ns = static_cast<std::int64_t>(number_),
                          .bytes = std::as_bytes(std::span(datagram))};
    EXPECT_EQ(decoder_.decode(message, *this), DecodeOutcome::kDecoded);
    largest = std::max(largest, datagram.size());
  }
  void rows(const RowBlock& block) override {
    const Definition& definition = **block.definition;
    for (std::size_t i = 0; i < block.count; ++i) {
      const auto row = block.rows.subspan(i * definition.row_bytes(), definition.row_bytes());
      identities.push_back(
          identify_row(block.car, definition.group().group, block.source_ns[i], row));
    }
    samples += block.count * definition.channels().size();
    if (laps_engine) laps_engine->rows(block, laps);
  }
  void reject(RejectReason, std::uint64_t records) override { rejected += records; }
  void gap(std::string_view, std::string_view, std::uint64_t count, std::string_view) override {
    gaps += count;
  }

  std::vector<RowIdentity> identities;
  std::unique_ptr<LapEngine> laps_engine;
  std::vector<LapRecord> laps;
  std::uint64_t samples = 0;
  std::uint64_t rejected = 0;
  std::uint64_t gaps = 0;
  std::size_t largest = 0;

 private:
  NativeDecoder decoder_{false};
  std::uint64_t number_ = 0;
};

std::unique_ptr<Simulator> given_a_simulator(const SimulatorOptions& options) {
  return std::move(Simulator::make(options)).take();
}

class TransmitterTest : public ::testing::Test {
 protected:
  TransmitterTest() {
    std::filesystem::create_directories(folder_);
    ledger_ = std::move(LedgerWriter::create(folder_ / "sent.ledger")).take();
  }
  ~TransmitterTest() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      ("pitbox_transmitter_" + std::to_string(::getpid()) + "_" +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::unique_ptr<LedgerWriter> ledger_;
};

TEST_F(TransmitterTest, SendsExactlyWhatTheLedgerSays) {
  auto simulator = given_a_simulator({.cars = 3, .seed = 9});
  Receiver receiver;
  Transmitter transmitter(
      *simulator, kSender,
      [&](std::string_view datagram) {
        receiver.receive(datagram);
        return Status();
      },
      ledger_.get());
  ASSERT_TRUE(transmitter.announce(transmitter.definition_count()).ok());
  for (int at = 10; at <= 1000; at += 10) {
    ASSERT_TRUE(transmitter.run_to(at).ok());
    if (at % 200 == 0) {
      ASSERT_TRUE(ledger_->flush(transmitter.totals()).ok());
    }
  }
  EXPECT_EQ(receiver.rejected, 0U);
  EXPECT_EQ(receiver.gaps, 0U);
  EXPECT_LE(receiver.largest, kDatagramBytes);
  auto ledger = std::move(read_ledger(folder_ / "sent.ledger")).take();
  EXPECT_FALSE(ledger.was_cut_off);
  EXPECT_EQ(ledger.totals, transmitter.totals());
  EXPECT_EQ(ledger.totals.samples, 3U * 132'700U);
  EXPECT_EQ(ledger.totals.samples, receiver.samples);
  std::uint64_t contents = 0;
  for (const RowIdentity& row : receiver.identities) contents += row.content;
  EXPECT_EQ(ledger.totals.content_hash, contents);
  const RowComparison comparison = compare_rows(ledger.rows, receiver.identities);
  EXPECT_TRUE(comparison.is_equal());
  EXPECT_EQ(comparison.expected, comparison.actual);
}

TEST_F(TransmitterTest, SendsTheSameBytesForTheSameSeed) {
  const auto bytes_of = [](std::uint64_t seed) {
    auto simulator = given_a_simulator({.cars = 2, .seed = seed, .gt3 = true});
    std::string all;
    Transmitter transmitter(
        *simulator, kSender,
        [&](std::string_view datagram) {
          all += datagram;
          return Status();
        },
        nullptr);
    EXPECT_TRUE(transmitter.announce(transmitter.definition_count()).ok());
    for (int at = 10; at <= 2000; at += 10) EXPECT_TRUE(transmitter.run_to(at).ok());
    return std::pair(all, transmitter.totals().content_hash);
  };
  EXPECT_EQ(bytes_of(4), bytes_of(4));
  EXPECT_NE(bytes_of(4).second, bytes_of(5).second);
}

TEST_F(TransmitterTest, DoesNotCountWhatWasNotAccepted) {
  auto simulator = given_a_simulator({.cars = 1, .seed = 9});
  Receiver receiver;
  int sends = 0;
  Transmitter transmitter(
      *simulator, kSender,
      [&](std::string_view datagram) -> Status {
        if (++sends % 7 == 0) return {Code::kTryAgain, "stopped"};
        receiver.receive(datagram);
        return {};
      },
      ledger_.get());
  while (sends < 11) (void)transmitter.announce(1);
  (void)transmitter.announce(1);
  int failures = 0;
  for (int at = 10; at <= 500; at += 10) failures += transmitter.run_to(at).ok() ? 0 : 1;
  EXPECT_GT(failures, 0);
  ASSERT_TRUE(ledger_->flush(transmitter.totals()).ok());
  auto ledger = std::move(read_ledger(folder_ / "sent.ledger")).take();
  EXPECT_GT(ledger.rows.size(), 0U);
  EXPECT_EQ(ledger.rows.size(), transmitter.totals().rows);
  EXPECT_TRUE(compare_rows(ledger.rows, receiver.identities).is_equal());
}

TEST_F(TransmitterTest, EveryAnnouncementFitsItsDatagram) {
  auto simulator = given_a_simulator({.cars = kMaxSimulatedCars});
  std::size_t datagrams = 0;
  Transmitter transmitter(
      *simulator, kSender,
      [&](std::string_view datagram) {
        EXPECT_LE(datagram.size(), kDatagramBytes);
        ++datagrams;
        return Status();
      },
      nullptr);
  ASSERT_TRUE(transmitter.announce(transmitter.definition_count()).ok());
  EXPECT_EQ(datagrams, kMaxSimulatedCars * simulator->channel_set().groups().size());
  EXPECT_LE(datagrams, 512U) << "what a receiver remembers";
}

GeoLine line(const SimLine& from) {
  return {GeoPoint{from.left.latitude, from.left.longitude},
          GeoPoint{from.right.latitude, from.right.longitude}};
}

// The engine sees 20 Hz positions with a wander of 0.2 m; at 70 m/s that is 3 ms,
// at the pit lane's 17 m/s 12 ms.
TEST_F(TransmitterTest, TheLapEngineFindsTheLapsThatWereDriven) {
  auto simulator = given_a_simulator({.cars = 1, .seed = 21, .rate_scale = 0.001});
  const SimTrack& track = simulator->track();
  Receiver receiver;
  auto engine = GpsLapEngine::make({.start_finish = line(track.start_finish()),
                                    .sectors = {line(track.sector(0)), line(track.sector(1))},
                                    .pit_entry = line(track.pit_entry()),
                                    .pit_exit = line(track.pit_exit())});
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  receiver.laps_engine = std::move(engine).take();
  Transmitter transmitter(
      *simulator, kSender,
      [&](std::string_view datagram) {
        receiver.receive(datagram);
        return Status();
      },
      nullptr);
  ASSERT_TRUE(transmitter.announce(transmitter.definition_count()).ok());
  std::vector<double> truth;  // Lap times in ms.
  std::uint32_t lap = 0;
  double crossed = 0;
  for (int at = 50; at <= 1'500'000; at += 50) {
    ASSERT_TRUE(transmitter.run_to(at).ok());
    const SimCar& car = simulator->car(0);
    if (car.lap() == lap) continue;
    if (lap > 0) truth.push_back(car.last_crossing_ms() - crossed);
    crossed = car.last_crossing_ms();
    lap = car.lap();
  }
  ASSERT_GE(truth.size(), 10U);
  ASSERT_EQ(receiver.laps.size(), truth.size() + 1) << "the out lap and every other";
  EXPECT_EQ(receiver.laps[0].kind, LapKind::kOut);
  int pit_laps = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const LapRecord& found = receiver.laps[i + 1];
    const double tolerance = found.kind == LapKind::kPit ? 25 : 6;
    EXPECT_NEAR(static_cast<double>(found.lap_time_ms), truth[i], tolerance) << "lap " << found.lap;
    ASSERT_EQ(found.sector_time_ms.size(), 3U);
    EXPECT_EQ(found.sector_time_ms[0] + found.sector_time_ms[1] + found.sector_time_ms[2],
              found.lap_time_ms);
    if (found.kind == LapKind::kPit) {
      ++pit_laps;
    } else {
      EXPECT_NEAR(truth[i], 120'000, 7'000);
    }
  }
  EXPECT_GE(pit_laps, 1);
}

}  // namespace
}  // namespace pitbox
