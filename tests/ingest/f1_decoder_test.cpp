// Goal: what a datagram of an F1 game says is kept under the right car, and what is not exactly
// such a datagram is refused by name; method: packets made field by field, of every format, whole,
// of wrong sizes, in wrong orders, and with restarts between them. That the fields are the right
// ones is f1_agreement_test.cpp's.

#include "ingest/f1_decoder.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>

#include "ingest/decoders.h"
#include "tests/ingest/f1_datagrams.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kRacing = 2;  // A result status.

class F1DecoderTest : public ::testing::Test {
 protected:
  DecodeOutcome hear(const std::string& datagram) {
    return decoder_->decode(data_message(datagram), sink_);
  }
  void restart() {
    const std::string state = decoder_->save();
    ASSERT_LE(state.size(), 1215U);
    decoder_ = std::make_unique<F1Decoder>();
    ASSERT_TRUE(decoder_->load(state).ok());
    ASSERT_EQ(decoder_->save(), state);
  }
  // Participants with these numbers, in the slots from 0.
  std::string participants(const std::vector<int>& numbers, const std::string& name = "NORRIS") {
    const F1Head head = {.format = format_, .id = kF1ParticipantsId, .session_uid = session_};
    std::string datagram = f1_datagram(head);
    put_at(datagram, f1_place(head, "numActiveCars"), static_cast<std::uint8_t>(numbers.size()));
    for (std::size_t slot = 0; slot < numbers.size(); ++slot) {
      put_at(datagram, f1_place(head, slot, "raceNumber"),
             static_cast<std::uint8_t>(numbers[slot]));
      datagram.replace(f1_place(head, slot, "name"), name.size(), name);
    }
    return datagram;
  }
  std::string laps(const std::vector<std::uint8_t>& statuses) {
    const F1Head head = {.format = format_, .id = kF1LapDataId, .session_uid = session_};
    std::string datagram = f1_datagram(head);
    for (std::size_t slot = 0; slot < statuses.size(); ++slot) {
      put_at(datagram, f1_place(head, slot, "resultStatus"), statuses[slot]);
    }
    return datagram;
  }
  // The speed in slot n is 100 + n.
  std::string telemetry(std::uint8_t player = 0) {
    const F1Head head = {
        .format = format_, .id = kF1CarTelemetryId, .session_uid = session_, .player = player};
    std::string datagram = f1_datagram(head);
    for (std::size_t slot = 0; slot < f1_cars(format_); ++slot) {
      put_at(datagram, f1_place(head, slot, "speed"), static_cast<std::uint16_t>(100 + slot));
    }
    return datagram;
  }
  // Of the group's rows so far, which are then forgotten.
  std::set<std::string> cars_of(const std::string& group) {
    std::set<std::string> cars;
    for (const auto& [key, rows] : sink_.groups) {
      if (key.second == group) cars.insert(key.first);
    }
    sink_.groups.clear();
    return cars;
  }
  std::uint64_t rejected(RejectReason reason) { return sink_.rejected[reason]; }

  F1Format format_ = F1Format::k2024;
  std::uint64_t session_ = 5;
  std::unique_ptr<F1Decoder> decoder_ = std::make_unique<F1Decoder>();
  RecordCollector sink_;
};

TEST_F(F1DecoderTest, RefusesEverySizeButThePacketsOwn) {
  for (const F1Format format : kF1EveryFormat) {
    for (std::uint8_t id = 0; id < kF1PacketIds; ++id) {
      if (f1_size_of(format, id) == 0) continue;
      const F1Head head = {.format = format, .id = id};
      const std::string right = id == kF1EventId ? f1_event(head, "SSTA") : f1_datagram(head);
      for (std::size_t size = 0; size <= 1480; ++size) {
        const bool is_near = size + 2 >= right.size() && size <= right.size() + 2;
        if (size > 60 && !is_near) continue;
        std::string datagram = right;
        datagram.resize(size);
        sink_ = {};
        decoder_ = std::make_unique<F1Decoder>();
        const DecodeOutcome outcome = hear(datagram);
        if (size < f1_header_bytes(format)) {
          EXPECT_EQ(outcome, DecodeOutcome::kMalformed);
        } else {
          EXPECT_EQ(outcome, DecodeOutcome::kDecoded);
          EXPECT_EQ(rejected(RejectReason::kMalformed), size == right.size() ? 0 : 1) << size;
        }
        // A header and something else.
        EXPECT_EQ(sink_.delivered > 1, size == right.size()) << int{id} << ", " << size;
        EXPECT_EQ(sink_.delivered == 0, size != right.size()) << int{id} << ", " << size;
      }
    }
  }
}

TEST_F(F1DecoderTest, RefusesPacketsThatTheFormatHasNot) {
  std::uint64_t refused = 0;
  for (const F1Format format : kF1EveryFormat) {
    for (int id = 0; id < 256; ++id) {
      const auto number = static_cast<std::uint8_t>(id);
      if (f1_size_of(format, number) != 0) continue;
      std::string datagram(1349, '\0');
      put_head(datagram, {.format = format, .id = number});
      EXPECT_EQ(hear(datagram), DecodeOutcome::kDecoded);
      ++refused;
    }
  }
  EXPECT_EQ(rejected(RejectReason::kUnsupported), refused);
  EXPECT_EQ(refused, 244U + 242U + 241U + 240U + 239U);
  EXPECT_EQ(sink_.delivered, 0U);
  EXPECT_EQ(decoder_->save(), "") << "what was refused changed the session";
}

TEST_F(F1DecoderTest, RefusesYearsItDoesNotKnowAndDropsWhatIsNoYear) {
  std::string datagram = telemetry();
  for (const std::uint16_t year : std::vector<std::uint16_t>{2018, 2021, 2027, 2099}) {
    put_at(datagram, 0, year);
    EXPECT_EQ(hear(datagram), DecodeOutcome::kDecoded);
  }
  EXPECT_EQ(rejected(RejectReason::kUnsupported), 4U);
  for (const std::uint16_t year : std::vector<std::uint16_t>{0, 2017, 2100, 65535}) {
    put_at(datagram, 0, year);
    EXPECT_EQ(hear(datagram), DecodeOutcome::kMalformed);
  }
  EXPECT_EQ(hear(""), DecodeOutcome::kMalformed);
  EXPECT_EQ(sink_.delivered, 0U);
}

TEST_F(F1DecoderTest, KeepsTheSessionTimeToTheNanosecondAndRefusesWhatIsNoTime) {
  const auto hear_at = [&](float seconds) {
    hear(f1_event({.format = format_, .id = kF1EventId, .session_time = seconds}, "SSTA"));
  };
  hear_at(0);
  hear_at(1.1F);
  hear_at(-0.25F);
  hear_at(5e7F);
  EXPECT_EQ((sink_.groups[{"session", "f1.event.SSTA"}].source_ns),
            (std::vector<std::int64_t>{0, 1'100'000'024, -250'000'000, 50'000'000'000'000'000}));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 5.1e7F, -5.1e7F,
                          std::numeric_limits<float>::infinity()}) {
    hear_at(bad);
  }
  EXPECT_EQ(rejected(RejectReason::kMalformed), 4U);
  EXPECT_EQ(sink_.delivered, 1U + 4);
}

TEST_F(F1DecoderTest, CallsCarsByTheirSlotsUntilTheirNumbersAreTold) {
  hear(laps({kRacing, kRacing, kRacing}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"slot-0", "slot-1", "slot-2"}));
  hear(participants({44, 1, 255}));
  EXPECT_EQ(cars_of("f1.participants"), (std::set<std::string>{"44", "1", "255"}));
  hear(telemetry());
  EXPECT_EQ((sink_.groups[{"44", "f1.car_telemetry"}].value(0, 0)), 100);
  EXPECT_EQ((sink_.groups[{"255", "f1.car_telemetry"}].value(0, 0)), 102);
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"44", "1", "255"}));
}

TEST_F(F1DecoderTest, DoesNotCallACarByANumberThatIsNoneOrNotItsOwn) {
  hear(laps({kRacing, kRacing, kRacing, kRacing}));
  hear(participants({0, 7, 16, 7}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"),
            (std::set<std::string>{"slot-0", "slot-1", "16", "slot-3"}));
  hear(participants({0, 7, 16, 8}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"slot-0", "7", "16", "8"}));
}

TEST_F(F1DecoderTest, ANumberLeftInAnUnusedSlotTakesItFromNobody) {
  std::string list = participants({7, 16, 7});
  put_at(list, f1_place({.format = format_, .id = kF1ParticipantsId}, "numActiveCars"),
         std::uint8_t{2});
  hear(laps({kRacing, kRacing, 1}));
  hear(list);
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"7", "16"}));
}

TEST_F(F1DecoderTest, ForgetsWhoDroveWithTheSession) {
  hear(participants({44, 1}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"44", "1"}));
  session_ = 6;
  hear(laps({kRacing, kRacing}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"slot-0", "slot-1"}));
  EXPECT_EQ(decoder_->participants()[0].number, 0);
  EXPECT_EQ(decoder_->participants()[0].name, "");
}

TEST_F(F1DecoderTest, KeepsOneHeaderOfEachSession) {
  for (const std::uint64_t session : {5U, 5U, 0U, 0U, 5U}) {
    session_ = session;
    hear(telemetry(7));
    restart();
  }
  const CollectedRows& headers = sink_.groups[{"session", "f1.header"}];
  const auto value_of = [&](std::size_t row, const char* channel) {
    return headers.value(row, static_cast<std::size_t>(headers.definition->find(channel)));
  };
  ASSERT_EQ(headers.count, 3U);
  EXPECT_EQ(value_of(0, "sessionUID"), 5);
  EXPECT_EQ(value_of(1, "sessionUID"), 0);
  EXPECT_EQ(value_of(2, "packetFormat"), 2024);
  EXPECT_EQ(value_of(2, "playerCarIndex"), 7);
  EXPECT_EQ(value_of(2, "frameIdentifier"), 90);
}

TEST_F(F1DecoderTest, SkipsSlotsThatNobodyIsIn) {
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry").size(), 22U) << "nothing was told yet: all are kept";
  hear(participants({1, 2, 3, 4}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"), (std::set<std::string>{"1", "2", "3", "4"}));
  // Finished, out, disqualified and so on are all somebody.
  hear(laps({0, 3, 1, 4, 5, 6, 7}));
  EXPECT_EQ(cars_of("f1.lap_data"),
            (std::set<std::string>{"2", "4", "slot-4", "slot-5", "slot-6"}));
  hear(telemetry());
  EXPECT_EQ(cars_of("f1.car_telemetry"),
            (std::set<std::string>{"2", "4", "slot-4", "slot-5", "slot-6"}));
  EXPECT_TRUE(sink_.rejected.empty()) << "padding is no record";
}

TEST_F(F1DecoderTest, ListsSayThemselvesHowFarTheyGo) {
  hear(laps({kRacing}));
  hear(participants({10, 20, 30}));
  EXPECT_EQ(cars_of("f1.participants"), (std::set<std::string>{"10", "20", "30"}));
  const F1Head head = {.format = format_, .id = kF1ClassificationId, .session_uid = session_};
  std::string results = f1_datagram(head);
  put_at(results, f1_place(head, "numCars"), std::uint8_t{2});
  hear(results);
  EXPECT_EQ(cars_of("f1.final_classification"), (std::set<std::string>{"10", "20"}));
  put_at(results, f1_place(head, 5, "resultStatus"), std::uint8_t{3});
  hear(results);
  EXPECT_EQ(cars_of("f1.final_classification"), (std::set<std::string>{"10", "20", "slot-5"}));
}

TEST_F(F1DecoderTest, PutsWhatIsThePlayersUnderHisCar) {
  hear(participants({44, 1}));
  for (const auto& [player, car] : std::map<int, std::string>{
           {1, "1"}, {0, "44"}, {21, "slot-21"}, {22, "session"}, {255, "session"}}) {
    hear(telemetry(static_cast<std::uint8_t>(player)));
    EXPECT_EQ(cars_of("f1.car_telemetry.player"), std::set<std::string>{car}) << player;
    hear(f1_datagram({.format = format_,
                      .id = kF1MotionExId,
                      .session_uid = session_,
                      .player = static_cast<std::uint8_t>(player)}));
    EXPECT_EQ(cars_of("f1.motion_ex"), std::set<std::string>{car}) << player;
  }
}

TEST_F(F1DecoderTest, IgnoresWhatFollowsAnEventsPayload) {
  const F1Head head = {.format = format_, .id = kF1EventId, .session_uid = session_};
  hear(
      f1_event(head, "STLG", std::string("\x05") + "\xAA\xBB\xCC\xDD\xEE\xFF\x11\x22\x33\x44\x55"));
  const CollectedRows& rows = sink_.groups[{"session", "f1.event.STLG"}];
  ASSERT_EQ(rows.definition->channels().size(), 2U);
  EXPECT_EQ(rows.bytes, std::string("\x05\x5A\0\0\0", 5));
  hear(f1_event(head, "LGOT", std::string(12, '\xEE')));
  EXPECT_EQ((sink_.groups[{"session", "f1.event.LGOT"}].bytes), std::string("\x5A\0\0\0", 4));
  for (const char* code : {"XXXX", "stlg", "STL", ""}) hear(f1_event(head, code));
  EXPECT_EQ(rejected(RejectReason::kUnsupported), 4U);
}

TEST_F(F1DecoderTest, PutsEventsUnderTheCarTheyName) {
  hear(participants({44, 1, 16}));
  const F1Head head = {.format = format_, .id = kF1EventId, .session_uid = session_};
  hear(f1_event(head, "PENA", std::string("\0\0\x02\x01", 4)));
  hear(f1_event(head, "OVTK", std::string("\x01\x02", 2)));
  hear(f1_event(head, "RTMT", std::string("\x09", 1)));
  hear(f1_event(head, "FTLP", std::string("\xFF", 1)));
  hear(f1_event(head, "BUTN", std::string("\x01", 1)));
  for (const auto& [car, code] : std::multimap<std::string, std::string>{{"16", "PENA"},
                                                                         {"1", "OVTK"},
                                                                         {"slot-9", "RTMT"},
                                                                         {"session", "FTLP"},
                                                                         {"session", "BUTN"}}) {
    EXPECT_EQ((sink_.groups[{car, "f1.event." + code}].count), 1U) << code;
  }
}

TEST_F(F1DecoderTest, AHistoryHasSoManyRowsAsItSays) {
  const F1Head head = {.format = format_, .id = kF1SessionHistoryId};
  std::string history = f1_datagram(head);
  for (const auto& [said, kept] :
       std::map<int, std::size_t>{{0, 0}, {3, 3}, {100, 100}, {255, 100}}) {
    put_at(history, f1_place(head, "numLaps"), static_cast<std::uint8_t>(said));
    sink_ = {};
    hear(history);
    const CollectedRows& laps_of = sink_.groups[{"slot-0", "f1.session_history.laps"}];
    ASSERT_EQ(laps_of.count, kept) << said;
    for (std::size_t row = 0; row < kept; ++row) {
      const int index = laps_of.definition->find("index");
      ASSERT_EQ(laps_of.value(row, static_cast<std::size_t>(index)), static_cast<double>(row));
    }
  }
  hear(laps({kRacing}));
  sink_ = {};
  put_at(history, f1_place(head, "carIdx"), std::uint8_t{1});
  hear(history);
  EXPECT_EQ(sink_.groups.count({"slot-1", "f1.session_history"}), 1U) << "another session's";
}

TEST_F(F1DecoderTest, AHistoryOfAnEmptySlotIsPadding) {
  hear(laps({kRacing}));
  sink_ = {};
  const F1Head head = {.format = format_, .id = kF1SessionHistoryId, .session_uid = session_};
  std::string history = f1_datagram(head);
  put_at(history, f1_place(head, "carIdx"), std::uint8_t{1});
  hear(history);
  EXPECT_EQ(sink_.delivered, 0U);
  EXPECT_TRUE(sink_.rejected.empty());
  put_at(history, f1_place(head, "carIdx"), std::uint8_t{255});
  hear(history);
  EXPECT_EQ(cars_of("f1.session_history"), std::set<std::string>{"session"});
}

TEST_F(F1DecoderTest, GivesTheSameRecordsHoweverOftenItIsRestarted) {
  const auto play = [&](bool with_restarts) {
    decoder_ = std::make_unique<F1Decoder>();
    sink_ = {};
    for (int round = 0; round < 4; ++round) {
      session_ = round < 2 ? 5 : 0;
      format_ = round == 1 ? F1Format::k2026 : F1Format::k2023;
      for (const std::string& datagram :
           {telemetry(), participants({44, 0, 7 + round, 7}, "P\xC3\x89REZ"), telemetry(3),
            laps({kRacing, 1, kRacing, 3}), telemetry(1)}) {
        hear(datagram);
        if (with_restarts) restart();
      }
    }
    return sink_;
  };
  const RecordCollector whole = play(false);
  EXPECT_TRUE(play(true).same_as(whole));
  EXPECT_GT(whole.delivered, 100U);
}

TEST_F(F1DecoderTest, ChangesItsStateOnlyWithWhatTheStateHolds) {
  hear(participants({44, 1}));
  hear(laps({kRacing, kRacing}));
  const std::uint64_t version = decoder_->state_version();
  const std::string state = decoder_->save();
  hear(telemetry());
  hear(participants({44, 1}));
  hear(laps({kRacing, kRacing}));
  hear(f1_event({.id = kF1EventId, .session_uid = session_}, "SSTA"));
  EXPECT_EQ(decoder_->state_version(), version);
  const auto expect_change = [&](const std::string& datagram) {
    const std::uint64_t before = decoder_->state_version();
    hear(datagram);
    EXPECT_NE(decoder_->state_version(), before);
  };
  expect_change(laps({kRacing}));
  expect_change(participants({44, 2}));
  expect_change(participants({44, 2}, "PIASTRI"));
  expect_change(participants({44}, "PIASTRI"));
  session_ = 8;
  expect_change(telemetry());
  EXPECT_NE(decoder_->save(), state);
}

TEST_F(F1DecoderTest, KeepsDriversNamesAsPlainText) {
  for (const F1Format format : kF1EveryFormat) {
    format_ = format;
    session_ = 100 + static_cast<std::uint64_t>(format);
    hear(participants({11, 4}, "P\xC3\x89REZ"));
    EXPECT_EQ(decoder_->participants()[0].name, "P\xC3\x89REZ");
    EXPECT_EQ(decoder_->participants()[1].car, "4");
    EXPECT_EQ(decoder_->participants()[2].name, "");
    hear(participants({11}, std::string("A\x1B[31m\xC3\0B", 8)));
    EXPECT_EQ(decoder_->participants()[0].name, "A [31m ");
    const bool is_short = format >= F1Format::k2025;
    const std::string full(is_short ? 32 : 48, 'x');  // No NUL: it fills the field.
    hear(participants({11}, full));
    EXPECT_EQ(decoder_->participants()[0].name, full);
    restart();
    EXPECT_EQ(decoder_->participants()[0].name, full);
  }
}

TEST_F(F1DecoderTest, RefusesStatesThatAreNotItsOwn) {
  hear(participants({44, 1}));
  hear(laps({kRacing, kRacing}));
  const std::string state = decoder_->save();
  const auto refuses = [](const std::string& bytes) {
    F1Decoder fresh;
    return fresh.load(bytes).code() == Code::kCorrupt && fresh.save().empty();
  };
  for (std::size_t size = 1; size < state.size(); ++size) {
    EXPECT_TRUE(refuses(state.substr(0, size))) << size;
  }
  EXPECT_TRUE(refuses(state + "x"));
  for (const auto& [at, byte] : std::map<std::size_t, char>{
           {0, 2}, {9, 4}, {9, 2}, {9, 1}, {10, 25}, {14, 1}, {16, '\x1F'}, {17, '\n'}}) {
    std::string bad = state;
    bad[at] = byte;
    EXPECT_TRUE(refuses(bad)) << at;
  }
}

TEST_F(F1DecoderTest, AFormatHasEachGroupOnceAndEqualLayoutsAreOneDefinition) {
  std::map<std::string, std::set<DefinitionName>> definitions;
  std::size_t parts = 0;
  for (const F1Format format : kF1EveryFormat) {
    std::set<std::string> groups;
    const auto note = [&](const F1Part& part) {
      const std::string& group = part.definition->group().group;
      EXPECT_TRUE(groups.insert(group).second) << group;
      definitions[group].insert(part.definition->name());
      ++parts;
    };
    for (const F1PacketPlan& plan : f1_catalog(format).packets) {
      for (const F1Part& part : plan.parts) note(part);
    }
    for (const F1EventPlan& plan : f1_catalog(format).events) note(plan.part);
  }
  EXPECT_EQ(parts, 21U + 23 + 25 + 27 + 31 + 5 * 21);  // Of packets by format, and of events.
  EXPECT_EQ(definitions["f1.event.FTLP"].size(), 1U);
  EXPECT_EQ(definitions["f1.event.RTMT"].size(), 2U);
  EXPECT_EQ(definitions["f1.car_telemetry"].size(), 2U);
  EXPECT_EQ(definitions["f1.motion_ex"].size(), 4U);
}

TEST_F(F1DecoderTest, IsThereByNameForDatagramsOnly) {
  EXPECT_TRUE(make_decoder("f1", {}).ok());
  EXPECT_EQ(make_decoder("f1", {.is_stream = true}).status().code(), Code::kRejected);
  decoder_->decode(control_message(MessageKind::kSourceStarted), sink_);
  EXPECT_EQ(decoder_->save(), "");
}

}  // namespace
}  // namespace pitbox
