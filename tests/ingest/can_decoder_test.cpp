// Goal: every frame becomes the rows that its Dbc says, to the last bit, or is kept as it came with
// the reason; method: every place of a signal against a bit-by-bit reader, and messages of every
// form.

#include "ingest/can_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/ingest/can_rig.h"

namespace pitbox {
namespace {

using GroupNames = std::vector<std::string>;

// The bits of a value, the most significant first, as the format's description says.
std::uint64_t slow_raw_value(const std::uint8_t* data, const DbcSignal& signal) {
  std::uint64_t value = 0;
  int bit = signal.is_motorola ? signal.start : signal.start + signal.length - 1;
  for (int i = 0; i < signal.length; ++i) {
    const std::uint64_t one = data[bit / 8] >> (bit % 8) & 1U;
    if (i == 0 && signal.is_signed && one == 1) value = ~std::uint64_t{0};
    value = value << 1U | one;
    bit += signal.is_motorola && bit % 8 == 0 ? 15 : -1;
  }
  return value;
}

bool fits_can_frame(const DbcSignal& signal, int frame_bits) {
  int bit = signal.start;
  if (!signal.is_motorola) return bit + signal.length <= frame_bits;
  for (int i = 1; i < signal.length; ++i) bit += bit % 8 == 0 ? 15 : -1;
  return bit < frame_bits;
}

// For each start, order and sign a message with signals of all lengths that fit.
Dbc dbc_of_all_places(int frame_bytes) {
  Dbc dbc;
  for (int variant = 0; variant < frame_bytes * 8 * 4; ++variant) {
    DbcMessage message;
    message.id = kCanExtended | static_cast<std::uint32_t>(variant);
    message.name = "M" + std::to_string(variant);
    message.bytes = static_cast<std::size_t>(frame_bytes);
    for (int length = 1; length <= 64; ++length) {
      DbcSignal signal;
      signal.name = "S" + std::to_string(length);
      signal.start = static_cast<std::uint16_t>(variant / 4);
      signal.length = static_cast<std::uint16_t>(length);
      signal.is_motorola = variant % 2 == 1;
      signal.is_signed = variant / 2 % 2 == 1;
      if (fits_can_frame(signal, frame_bytes * 8)) message.signals.push_back(signal);
    }
    dbc.messages.push_back(message);
  }
  return dbc;
}

void expect_all_places(int frame_bytes) {
  const Dbc dbc = dbc_of_all_places(frame_bytes);
  CanRig rig(dbc);
  std::mt19937 random(11);
  std::size_t compared = 0;
  for (const DbcMessage& message : dbc.messages) {
    CanFrame frame;
    frame.is_fd = frame_bytes > 8;
    frame.frame.can_id = message.id;
    frame.frame.len = static_cast<std::uint8_t>(frame_bytes);
    for (int i = 0; i < frame_bytes; ++i) {
      frame.frame.data[i] = static_cast<std::uint8_t>(random());
    }
    rig.hear(frame);
    const CollectedRows& rows = rig.rows("can." + message.name);
    ASSERT_EQ(rows.count, 1U);
    for (std::size_t c = 0; c < message.signals.size(); ++c) {
      const DbcSignal& signal = message.signals[c];
      ASSERT_EQ(stored_value(rows, c), slow_raw_value(frame.frame.data, signal))
          << signal.start << "|" << signal.length << "@" << !signal.is_motorola;
      ++compared;
    }
  }
  EXPECT_GT(compared, static_cast<std::size_t>(frame_bytes) * 8 * 4 * 16);
  EXPECT_EQ(rig.rows("can.raw").count + rig.rows("can.raw_fd").count, 0U);
}

TEST(CanDecoder, FindsTheBitsOfEveryPlaceInAClassicFrame) {
  expect_all_places(8);
}

TEST(CanDecoder, FindsTheBitsOfEveryPlaceInAnFdFrame) {
  expect_all_places(64);
}

TEST(CanDecoder, KeepsRawIntegersWithTheDbcsConversion) {
  CanRig rig(
      "BO_ 342 Fuel: 8 X\n SG_ Level : 56|8@1+ (2.155,6.315) [0|61] \"litre\" X\n"
      " SG_ Cold : 39|16@0- (0.5,-40) [0|0] \"C\" X\n");
  rig.hear(342, {0, 0, 0, 0, 0xFF, 0xFE, 0, 26});
  const CollectedRows& rows = rig.rows("can.Fuel");
  ASSERT_EQ(rows.count, 1U);
  EXPECT_EQ(rows.definition->channels()[0],
            (Channel{"Level", "litre", StorageType::kU8, 2.155, 6.315}));
  EXPECT_EQ(rows.definition->channels()[1], (Channel{"Cold", "C", StorageType::kI16, 0.5, -40}));
  volatile double product = 26 * 2.155;  // Rounded before the sum.
  EXPECT_EQ(rig.value("can.Fuel", "Level"), product + 6.315);
  EXPECT_EQ(rig.value("can.Fuel", "Cold"), -41);
  EXPECT_EQ(rig.groups(), GroupNames{"can.Fuel"});
  EXPECT_FALSE(rows.definition->has_source_time());
}

TEST(CanDecoder, ChoosesTheSmallestTypeThatHoldsASignal) {
  const std::vector<std::pair<int, const char*>> types = {
      {1, "8"}, {8, "8"}, {9, "16"}, {16, "16"}, {17, "32"}, {32, "32"}, {33, "64"}, {64, "64"}};
  for (const auto& [length, width] : types) {
    for (const bool is_signed : {false, true}) {
      const CanPlan plan(parse_dbc("BO_ 1 A: 8 X\n SG_ S : 0|" + std::to_string(length) + "@1" +
                                       (is_signed ? "-" : "+") + " (1,0) [0|0] \"\" X\n",
                                   "car.dbc")
                             .take());
      const Channel& channel = plan.messages()[0].groups[0].definition->channels()[0];
      EXPECT_EQ(to_string(channel.type), (is_signed ? "i" : "u") + std::string(width)) << length;
    }
  }
}

TEST(CanDecoder, KeepsTheBitsOfFloats) {
  CanRig rig(
      "BO_ 1 A: 8 X\n SG_ F : 0|32@1- (2,0) [0|0] \"\" X\n SG_ G : 39|32@0- (1,0) [0|0] \"\" X\n"
      "BO_ 2 B: 8 X\n SG_ D : 0|64@1- (1,0) [0|0] \"\" X\n"
      "SIG_VALTYPE_ 1 F : 1;\nSIG_VALTYPE_ 1 G : 1;\nSIG_VALTYPE_ 2 D : 2;\n");
  rig.hear(1, {0, 0, 0xC0, 0x3F, 0xBF, 0x80, 0, 0});
  EXPECT_EQ(rig.value("can.A", "F"), 3);
  EXPECT_EQ(rig.value("can.A", "G"), -1);
  rig.hear(2, {0, 0, 0, 0, 0, 0, 0x04, 0xC0});
  EXPECT_EQ(rig.value("can.B", "D"), -2.5);
  rig.hear(1, {0x01, 0, 0xA0, 0x7F, 0, 0, 0, 0});  // A signalling NaN.
  EXPECT_EQ(rig.rows("can.A").bytes.substr(8, 4), std::string("\x01\x00\xA0\x7F", 4));
}

const char* const kMultiplexed =
    "BO_ 1 A: 4 X\n"
    " SG_ Mux M : 0|4@1- (1,0) [0|0] \"\" X\n SG_ Count : 4|4@1+ (1,0) [0|0] \"\" X\n"
    " SG_ Two m2 : 8|8@1+ (1,0) [0|0] \"\" X\n SG_ Too m2 : 16|8@1+ (1,0) [0|0] \"\" X\n"
    " SG_ Inner m15M : 8|8@1+ (1,0) [0|0] \"\" X\n"
    " SG_ Deep m1 : 16|8@1+ (1,0) [0|0] \"\" X\n SG_ Wide m3 : 24|8@1+ (1,0) [0|0] \"\" X\n"
    "SG_MUL_VAL_ 1 Two Mux 2-2;\nSG_MUL_VAL_ 1 Too Mux 2-2;\nSG_MUL_VAL_ 1 Inner Mux 15-15;\n"
    "SG_MUL_VAL_ 1 Deep Inner 1-1, 7-9;\nSG_MUL_VAL_ 1 Wide Inner 3-3, 8-20;\n";

TEST(CanDecoder, GivesARowToEveryGroupThatAMultiplexerSelects) {
  const auto groups_of = [](const std::vector<int>& data) {
    CanRig rig{std::string(kMultiplexed)};
    rig.hear(1, data);
    return rig.groups();
  };
  EXPECT_EQ(groups_of({0x52, 7, 8, 9}), (GroupNames{"can.A", "can.A.Mux=2"}));
  // 15 is -1 as the signal says, and 15 as a multiplexer.
  EXPECT_EQ(groups_of({0x0F, 7, 8, 9}), (GroupNames{"can.A", "can.A.Inner=1,7-9", "can.A.Mux=15"}));
  EXPECT_EQ(groups_of({0x0F, 8, 8, 9}),
            (GroupNames{"can.A", "can.A.Inner=1,7-9", "can.A.Inner=3,8-20", "can.A.Mux=15"}));
  EXPECT_EQ(groups_of({0x0F, 21, 8, 9}), (GroupNames{"can.A", "can.A.Mux=15", "can.raw"}));
  EXPECT_EQ(groups_of({0x03, 7, 8, 9}), (GroupNames{"can.A", "can.raw"}));
  CanRig rig{std::string(kMultiplexed)};
  rig.hear(1, {0x5F, 8, 9, 10});
  EXPECT_EQ(rig.value("can.A", "Mux"), -1);
  EXPECT_EQ(rig.value("can.A", "Count"), 5);
  EXPECT_EQ(rig.value("can.A.Mux=15", "Inner"), 8);
  EXPECT_EQ(rig.value("can.A.Inner=1,7-9", "Deep"), 9);
  EXPECT_EQ(rig.value("can.A.Inner=3,8-20", "Wide"), 10);
  rig.hear(1, {0x03, 7, 8, 9});
  EXPECT_EQ(rig.value("can.raw", "reason"), static_cast<int>(CanRawReason::kMultiplexer));
}

TEST(CanDecoder, KeepsIndependentMultiplexersApart) {
  CanRig rig(
      "BO_ 2147483650 A: 4 X\n SG_ P M : 0|8@1+ (1,0) [0|0] \"\" X\n"
      " SG_ Q M : 8|8@1+ (1,0) [0|0] \"\" X\n SG_ OfP m1 : 16|8@1+ (1,0) [0|0] \"\" X\n"
      " SG_ OfQ m1 : 24|8@1+ (1,0) [0|0] \"\" X\n"
      "SG_MUL_VAL_ 2147483650 OfP P 1-1;\nSG_MUL_VAL_ 2147483650 OfQ Q 1-1;\n");
  rig.hear(2 | CAN_EFF_FLAG, {1, 1, 5, 6});
  EXPECT_EQ(rig.groups(), (GroupNames{"can.A", "can.A.P=1", "can.A.Q=1"}));
  rig.hear(2, {1, 1, 5, 6});  // The standard identifier of the same number is another one.
  EXPECT_EQ(rig.rows("can.raw").count, 1U);
  EXPECT_EQ(rig.rows("can.A").count, 1U);
}

const char* const kPlainMessage =
    "BO_ 1 A: 4 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ T : 16|8@1+ (1,0) [0|0] \"\" X\n";

TEST(CanDecoder, KeepsFramesAsTheyCameThatItsRowsDoNotSayWholly) {
  CanRig rig{std::string(kPlainMessage)};
  const auto reason = [&] { return static_cast<CanRawReason>(rig.value("can.raw", "reason")); };
  rig.hear(1, {1, 2, 3, 4});
  EXPECT_EQ(rig.groups(), GroupNames{"can.A"});
  rig.hear(2 | CAN_EFF_FLAG, {1, 2, 3, 4, 5, 6, 7, 0x80});
  EXPECT_EQ(reason(), CanRawReason::kNoEntry);
  EXPECT_EQ(rig.value("can.raw", "id"), 0x80000002);
  EXPECT_EQ(rig.value("can.raw", "length"), 8);
  EXPECT_EQ(rig.rows("can.raw").bytes.substr(8), "\x01\x02\x03\x04\x05\x06\x07\x80");
  rig.hear(1, {1, 2, 3});  // Shorter, and all signals are there.
  EXPECT_EQ(reason(), CanRawReason::kShorter);
  EXPECT_EQ(rig.rows("can.A").count, 2U);
  rig.hear(1, {1, 2});
  EXPECT_EQ(reason(), CanRawReason::kShorter);
  EXPECT_EQ(rig.rows("can.A").count, 2U);
  EXPECT_EQ(rig.value("can.raw", "d0"), 0x0201);
  rig.hear(1, {1, 2, 3, 4, 5});
  EXPECT_EQ(reason(), CanRawReason::kLonger);
  EXPECT_EQ(rig.rows("can.A").count, 3U);
  CanFrame remote = can_frame_with(1 | CAN_RTR_FLAG, {9, 9, 9, 9});
  rig.hear(remote);
  EXPECT_EQ(reason(), CanRawReason::kRemote);
  EXPECT_EQ(rig.value("can.raw", "length"), 4);
  EXPECT_EQ(rig.value("can.raw", "d0"), 0);
  EXPECT_EQ(rig.value("can.raw", "id"), 0x40000001);
  EXPECT_EQ(rig.rows("can.A").count, 3U);
  EXPECT_EQ(rig.rows("can.raw").count, 5U);
  EXPECT_TRUE(rig.sink.rejected.empty());
}

TEST(CanDecoder, KeepsFramesOfMessagesWithSignalsThatWereLeftOut) {
  CanRig rig(kPlainMessage + std::string(" SG_ Bad : 8|8@1+ (0,0) [0|0] \"\" X\n"));
  rig.hear(1, {1, 2, 3, 4});
  EXPECT_EQ(rig.groups(), (GroupNames{"can.A", "can.raw"}));
  EXPECT_EQ(rig.value("can.raw", "reason"), static_cast<int>(CanRawReason::kLeftOut));
  CanRig empty(std::string("BO_ 1 A: 4 X\n"));
  empty.hear(1, {1, 2, 3, 4});
  EXPECT_EQ(empty.groups(), GroupNames{"can.raw"});
  CanRig none{Dbc{}};
  none.hear(1, {1, 2, 3, 4});
  EXPECT_EQ(none.groups(), GroupNames{"can.raw"});
}

TEST(CanDecoder, KeepsFdFramesWholly) {
  CanRig rig{std::string(kPlainMessage)};
  CanFrame frame = can_frame_with(1, {1, 2, 3, 4}, true);
  frame.frame.flags = CANFD_BRS;
  rig.hear(frame);
  EXPECT_EQ(rig.groups(), GroupNames{"can.A"});
  std::vector<int> data(64);
  for (int i = 0; i < 64; ++i) data[static_cast<std::size_t>(i)] = i;
  frame = can_frame_with(7, data, true);
  frame.frame.flags = CANFD_BRS;
  rig.hear(frame);
  EXPECT_EQ(rig.value("can.raw_fd", "flags"), CANFD_BRS);
  EXPECT_EQ(rig.value("can.raw_fd", "length"), 64);
  EXPECT_EQ(rig.value("can.raw_fd", "d7"), static_cast<double>(0x3F3E3D3C3B3A3938U));
}

TEST(CanDecoder, KeepsErrorFramesInAGroupOfTheirOwn) {
  CanRig rig{std::string(kPlainMessage)};
  rig.hear(CAN_ERR_FLAG | CAN_ERR_MASK, {0, 0x18, 0, 0, 0, 0, 0, 1});
  EXPECT_EQ(rig.groups(), GroupNames{"can.error"});
  EXPECT_EQ(rig.value("can.error", "class"), CAN_ERR_MASK);
  EXPECT_EQ(rig.value("can.error", "data"), 0x0100000000001800);
}

TEST(CanDecoder, RefusesBytesThatAreNoFrame) {
  CanRig rig{std::string(kPlainMessage)};
  for (std::size_t size = 0; size <= 100; ++size) {
    const std::string bytes(size, '\0');
    const bool is_frame = size == 16 || size == 72;
    EXPECT_EQ(rig.decoder.decode(data_message(bytes), rig.sink) == DecodeOutcome::kDecoded,
              is_frame)
        << size;
  }
  CanFrame frame = can_frame_with(1, {1, 2, 3, 4});
  frame.frame.len = 9;
  EXPECT_EQ(rig.hear(frame), DecodeOutcome::kMalformed);
  frame.frame.len = 8;
  EXPECT_EQ(rig.hear(frame), DecodeOutcome::kDecoded);
  frame.is_fd = true;
  frame.frame.len = 65;
  EXPECT_EQ(rig.hear(frame), DecodeOutcome::kMalformed);
  const std::string bytes(16, '\0');
  Message truncated = data_message(bytes);
  truncated.truncated = true;
  EXPECT_EQ(rig.decoder.decode(truncated, rig.sink), DecodeOutcome::kMalformed);
  EXPECT_EQ(rig.decoder.decode(control_message(MessageKind::kSourceStarted), rig.sink),
            DecodeOutcome::kDecoded);
}

TEST(CanDecoder, HasNoState) {
  CanRig rig{std::string(kPlainMessage)};
  rig.hear(1, {1, 2, 3, 4});
  EXPECT_EQ(rig.decoder.save(), "");
  EXPECT_TRUE(rig.decoder.load("").ok());
  EXPECT_EQ(rig.decoder.load("x").code(), Code::kCorrupt);
}

TEST(CanDecoder, GivesEveryGroupANameOfItsOwn) {
  const std::string rest = ": 4 X\n SG_ S M : 0|8@1+ (1,0) [0|0] \"\" X\n";
  const std::string longest(124, 'n');
  const CanPlan plan(parse_dbc("BO_ 1 A" + rest + "BO_ 2 A" + rest + "BO_ 2147483650 A" + rest +
                                   "BO_ 3 raw" + rest + "BO_ 4 " + longest + rest +
                                   " SG_ T m1 : 8|8@1+ (1,0) [0|0] \"\" X\nBO_ 5 " + longest + "n" +
                                   rest,
                               "car.dbc")
                         .take());
  GroupNames names;
  for (const CanMessagePlan& message : plan.messages()) {
    for (const CanGroupPlan& group : message.groups) {
      names.push_back(group.definition->group().group);
    }
  }
  EXPECT_EQ(names, (GroupNames{"can.A", "can.002", "can.00000002", "can.003", "can." + longest,
                               "can.004.1", "can.005"}));
}

}  // namespace
}  // namespace pitbox
