// Goal: a definition has one spelling and one name, and what breaks a limit is refused at the door.
// Method: each limit and one beyond it, damaged bytes, a golden name.

#include "proto/definition.h"

#include <gtest/gtest.h>

#include <limits>

#include "proto/definition.pb.h"

namespace pitbox {
namespace {

ChannelGroup engine() {
  return {"engine",
          TimeBase::kCar,
          {{"rpm", "1/min", StorageType::kU16, 0.25, 0.0},
           {"oil temperature", "°C", StorageType::kI8, 1.0, -40.0},
           {"lambda", "", StorageType::kF32, 1.0, 0.0}}};
}

Code code_of(ChannelGroup group) {
  return Definition::make(std::move(group)).status().code();
}

std::string hex(const DefinitionName& name) {
  std::string out;
  for (const std::uint8_t byte : name) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

TEST(Definition, IsNamedByItsBytesForEver) {
  const auto definition = Definition::make(engine()).take();
  EXPECT_EQ(hex(definition->name()),
            "65a0bea14b2571d20c8df63efb6cddbc754fccabbeb814ce576d3d60fe7e7e03");
  EXPECT_EQ(definition->prefix(), std::stoull(hex(definition->name()).substr(0, 16), nullptr, 16));
}

TEST(Definition, LaysOutItsRowsWithoutPadding) {
  const auto definition = Definition::make(engine()).take();
  EXPECT_EQ(definition->row_bytes(), 7U);
  EXPECT_EQ(definition->column_offset(0), 0U);
  EXPECT_EQ(definition->column_offset(1), 2U);
  EXPECT_EQ(definition->column_offset(2), 3U);
  EXPECT_TRUE(definition->has_source_time());
  EXPECT_EQ(definition->find("lambda"), 2);
  EXPECT_EQ(definition->find("boost"), -1);
}

TEST(Definition, ComesBackFromItsBytes) {
  const auto made = Definition::make(engine()).take();
  const auto parsed = Definition::parse(made->bytes());
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed.value()->group(), engine());
  EXPECT_EQ(parsed.value()->name(), made->name());
}

TEST(Definition, IsRefusedAtEveryTruncation) {
  const std::string bytes(Definition::make(engine()).take()->bytes());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto parsed = Definition::parse(bytes.substr(0, size));
    // Cut between two channels it is another definition, and has another name.
    if (parsed.ok()) {
      EXPECT_LT(parsed.value()->channels().size(), 3U);
    }
  }
}

TEST(Definition, IsRefusedInAnySpellingButItsOwn) {
  const std::string bytes(Definition::make(engine()).take()->bytes());
  EXPECT_FALSE(Definition::parse(bytes + std::string("\x38\x01", 2)).ok());       // Unknown field.
  EXPECT_FALSE(Definition::parse(std::string("\x10\x01", 2) + bytes).ok());       // Field twice.
  EXPECT_FALSE(Definition::parse(std::string("\x0A\x81\x00g", 4) + bytes).ok());  // Long varint.
  words::GroupDefinition message;
  ASSERT_TRUE(message.ParseFromString(bytes));
  message.mutable_channels(0)->set_offset(-0.0);
  EXPECT_FALSE(Definition::parse(message.SerializeAsString()).ok());
}

TEST(Definition, GivesEqualGroupsOneName) {
  ChannelGroup group = engine();
  group.channels[0].offset = -0.0;
  EXPECT_EQ(Definition::make(group).take()->name(), Definition::make(engine()).take()->name());
}

TEST(Definition, HoldsNumbersToTheirLimits) {
  const double bad[] = {0.0, std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()};
  for (const double factor : bad) {
    auto group = engine();
    group.channels[1].factor = factor;
    EXPECT_EQ(code_of(group), Code::kRejected);
  }
  auto group = engine();
  group.channels[1].offset = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(code_of(group), Code::kRejected);
  for (const int type : {0, 11, 255}) {
    group = engine();
    group.channels[0].type = static_cast<StorageType>(type);
    EXPECT_EQ(code_of(group), Code::kRejected);
  }
  group = engine();
  group.time_base = static_cast<TimeBase>(3);
  EXPECT_EQ(code_of(group), Code::kRejected);
}

TEST(Definition, HoldsTextToItsLimits) {
  const auto with_name = [](const std::string& name) {
    auto group = engine();
    group.channels[0].name = name;
    return code_of(group);
  };
  EXPECT_EQ(with_name(std::string(kMaxNameBytes, 'x')), Code::kOk);
  EXPECT_EQ(with_name(std::string(kMaxNameBytes + 1, 'x')), Code::kRejected);
  EXPECT_EQ(with_name(""), Code::kRejected);
  EXPECT_EQ(with_name("Öldruck 油圧 🏎"), Code::kOk);
  for (const char* bad : {"a\nb", "\x7F", "\xC2\x80", "\xFF", "\xC0\xAF", "\xE0\x80\xAF",
                          "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_EQ(with_name(bad), Code::kRejected) << bad;
  }
  EXPECT_EQ(with_name(std::string("a\0b", 3)), Code::kRejected);
  EXPECT_EQ(with_name("lambda"), Code::kRejected);  // Taken by another channel.
  auto group = engine();
  group.channels[0].unit = std::string(kMaxNameBytes + 1, 'x');
  EXPECT_EQ(code_of(group), Code::kRejected);
  group = engine();
  group.group.clear();
  EXPECT_EQ(code_of(group), Code::kRejected);
}

ChannelGroup group_with(std::size_t channels, StorageType type) {
  ChannelGroup group{"g", TimeBase::kNone, {}};
  for (std::size_t c = 0; c < channels; ++c) {
    group.channels.push_back({std::to_string(c), "", type, 1.0, 0.0});
  }
  return group;
}

TEST(Definition, HoldsChannelsAndRowBytesToTheirLimits) {
  EXPECT_EQ(code_of(group_with(0, StorageType::kU8)), Code::kRejected);
  EXPECT_EQ(code_of(group_with(kMaxChannels, StorageType::kF32)), Code::kOk);
  EXPECT_EQ(code_of(group_with(kMaxChannels + 1, StorageType::kU8)), Code::kRejected);
  EXPECT_EQ(code_of(group_with(kMaxRowBytes / 8, StorageType::kF64)), Code::kOk);
  EXPECT_EQ(code_of(group_with(kMaxRowBytes / 8 + 1, StorageType::kF64)), Code::kRejected);
}

TEST(Definition, ParsesTheLargestThatCanBeMade) {
  ChannelGroup group = group_with(kMaxChannels, StorageType::kF32);
  for (Channel& channel : group.channels) {
    channel.name += std::string(kMaxNameBytes - channel.name.size(), 'n');
    channel.unit = std::string(kMaxNameBytes, 'u');
    channel.factor = 0.1;
    channel.offset = 0.1;
  }
  const auto made = Definition::make(group);
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(Definition::parse(made.value()->bytes()).ok());
}

TEST(RawValue, ReadsEveryStorageType) {
  const std::uint64_t ones = ~std::uint64_t{0};
  const auto* bytes = reinterpret_cast<const std::byte*>(&ones);
  EXPECT_EQ(raw_value(StorageType::kI8, bytes), -1.0);
  EXPECT_EQ(raw_value(StorageType::kU8, bytes), 255.0);
  EXPECT_EQ(raw_value(StorageType::kI16, bytes), -1.0);
  EXPECT_EQ(raw_value(StorageType::kU16, bytes), 65535.0);
  EXPECT_EQ(raw_value(StorageType::kI32, bytes), -1.0);
  EXPECT_EQ(raw_value(StorageType::kU32, bytes), 4294967295.0);
  EXPECT_EQ(raw_value(StorageType::kI64, bytes), -1.0);
  EXPECT_EQ(raw_value(StorageType::kU64, bytes), 0x1p64);
  const float single = 1.5F;
  EXPECT_EQ(raw_value(StorageType::kF32, reinterpret_cast<const std::byte*>(&single)), 1.5);
  const double real = -2.25;
  EXPECT_EQ(raw_value(StorageType::kF64, reinterpret_cast<const std::byte*>(&real)), -2.25);
  const Channel rpm{"rpm", "", StorageType::kU8, 0.5, 3.0};
  EXPECT_EQ(physical(rpm, bytes), 130.5);
}

}  // namespace
}  // namespace pitbox
