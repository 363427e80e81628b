// Goal: what candump writes is read frame by frame, and what it never writes is refused with its
// line; method: lines of both styles, each fault of each field, and every cut of good lines.

#include "ingest/candump.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pitbox {
namespace {

CandumpLine read_candump(std::string_view line) {
  auto read = parse_candump_line(line);
  EXPECT_TRUE(read.ok()) << line << ": " << read.status().message();
  CandumpLine none;
  return read.ok() ? std::move(read).take() : none;
}

std::vector<int> candump_data(const CandumpLine& line) {
  return {line.frame.frame.data, line.frame.frame.data + line.frame.frame.len};
}

using CandumpBytes = std::vector<int>;

TEST(Candump, ReadsItsLogStyle) {
  const std::string text = "(1631416514.717133) can0 0D2#0000FFFF1000000a";
  const CandumpLine line = read_candump(text);
  EXPECT_EQ(line.kind, CandumpKind::kFrame);
  EXPECT_EQ(line.time_ns, 1'631'416'514'717'133'000);
  EXPECT_EQ(line.interface, "can0");
  EXPECT_EQ(line.frame.frame.can_id, 0xD2U);
  EXPECT_FALSE(line.frame.is_fd);
  EXPECT_EQ(candump_data(line), (CandumpBytes{0, 0, 0xFF, 0xFF, 0x10, 0, 0, 0x0A}));
  for (const char* direction : {" T", " R", " \r", "  T  "}) {
    EXPECT_EQ(candump_data(read_candump(text + std::string(direction))), candump_data(line));
  }
  EXPECT_EQ(read_candump("can0 123#").frame.frame.len, 0);
  EXPECT_EQ(read_candump("can0 123#").time_ns, std::nullopt);
  EXPECT_EQ(read_candump("(0.5) can0 00000123#00").frame.frame.can_id, 0x80000123U);
  EXPECT_EQ(read_candump("(0.5) can0 00000123#00").time_ns, 500'000'000);
  EXPECT_EQ(read_candump("(12.123456789) can0 1FFFFFFF#").frame.frame.can_id, 0x9FFFFFFFU);
  EXPECT_EQ(read_candump("(12.123456789) can0 1FFFFFFF#").time_ns, 12'123'456'789);
}

TEST(Candump, ReadsRemoteErrorAndFdFramesOfTheLogStyle) {
  const CandumpLine remote = read_candump("(1.0) can0 123#R8");
  EXPECT_EQ(remote.frame.frame.can_id, 0x123U | CAN_RTR_FLAG);
  EXPECT_EQ(remote.frame.frame.len, 8);
  EXPECT_TRUE(remote.frame.is_remote());
  EXPECT_EQ(read_candump("can0 123#R").frame.frame.len, 0);
  const CandumpLine error = read_candump("can0 20000088#0000001800000000");
  EXPECT_TRUE(error.frame.is_error());
  EXPECT_EQ(error.frame.frame.can_id, 0x88U | CAN_ERR_FLAG);
  const CandumpLine fd = read_candump("can0 123##5" + std::string(128, 'a'));
  EXPECT_TRUE(fd.frame.is_fd);
  EXPECT_EQ(fd.frame.frame.flags, 5);
  EXPECT_EQ(candump_data(fd), CandumpBytes(64, 0xAA));
  EXPECT_EQ(read_candump("can0 123##0").frame.frame.len, 0);
  EXPECT_EQ(read_candump("can0 123#0011223344556677_E").frame.raw_dlc, 14);
}

TEST(Candump, ReadsItsPrettyStyle) {
  const CandumpLine line = read_candump("  vcan0  0C8   [8]  F0 00 00 00 00 00 00 01");
  EXPECT_EQ(line.interface, "vcan0");
  EXPECT_EQ(line.frame.frame.can_id, 0xC8U);
  EXPECT_FALSE(line.frame.is_fd);
  EXPECT_EQ(candump_data(line), (CandumpBytes{0xF0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(read_candump(" (000.000120)  can0  123   [0]").time_ns, 120'000);
  EXPECT_EQ(read_candump("  can0  12333   [0]").frame.frame.can_id, 0x80012333U);
  EXPECT_EQ(read_candump("  can0  00000123   [0]").frame.frame.can_id, 0x80000123U);
  EXPECT_TRUE(read_candump("  can0  123  [02]  01 02").frame.is_fd);
  EXPECT_TRUE(read_candump("  can0  123 [010]  00 01 02 03 04 05 06 07 08 09").frame.is_fd);
  EXPECT_EQ(read_candump("  can0  RX - -  123   [1]  11   '.'").frame.frame.len, 1);
  EXPECT_EQ(read_candump("  can0  TX B E  123  [01]  11").frame.frame.len, 1);
  const CandumpLine remote = read_candump("  can0  123   [4]  remote request");
  EXPECT_TRUE(remote.frame.is_remote());
  EXPECT_EQ(remote.frame.frame.len, 4);
  EXPECT_TRUE(read_candump("  can0  20000004   [8]  00 01 00 00 00 00 00 00   ERRORFRAME")
                  .frame.is_error());
  EXPECT_EQ(read_candump("(1.5) vcan0 ERROR").kind, CandumpKind::kErrorNote);
  EXPECT_EQ(read_candump("  vcan0  ERROR").interface, "vcan0");
  EXPECT_EQ(read_candump(" \t\r").kind, CandumpKind::kBlank);
}

TEST(Candump, RefusesWhatItNeverWrites) {
  for (const char* line : {
           "can0",
           "(1.5",
           "(1) can0 123#",
           "(.5) can0 123#",
           "(1.) can0 123#",
           "(a.5) can0 123#",
           "(-1.5) can0 123#",
           "(1.0123456789) can0 123#",
           "(9000000001.0) can0 123#",
           "(1.5) interface-of-16b 123#",
           "(1.5)",
           "can0 12#",
           "can0 1234#",
           "can0 123456789#",
           "can0 800#",
           "can0 20000000000#",
           "can0 40000001#",
           "can0 3FFFFFFFF#",
           "can0 12G#",
           "can0 #00",
           "can0 123#0",
           "can0 123#0G",
           "can0 123#-1",
           "can0 123#001122334455667788",
           "can0 123#R9",
           "can0 123#RR",
           "can0 123##",
           "can0 123##G",
           "can0 123##01",
           "can0 123#00_9",
           "can0 123#0011223344556677_8",
           "can0 123#0011223344556677_10",
           "can0 123#0011223344556677_",
           "can0 123#00 X",
           "can0 123#00 T T",
           "can0 ERROR 1",
           "can0 123 [1]",
           "can0 123 [1] 1",
           "can0 123 [1] 111",
           "can0 123 [1] 11 22",
           "can0 123 [2] 11",
           "can0 123 [9] 11",
           "can0 123 [65] 11",
           "can0 123 [] 11",
           "can0 123 1 11",
           "can0 123 [1 11",
           "can0 123 [0] remote",
           "can0 TX 123 [0]",
           "can0 TX - 123 [0]",
           "can0 12 [0]",
           "can0 FFFFFFFF [0]",
           "can0 123 [08] remote request",
       }) {
    const auto read = parse_candump_line(line);
    EXPECT_FALSE(read.ok()) << line;
    EXPECT_EQ(read.status().code(), Code::kCorrupt) << line;
  }
  EXPECT_FALSE(parse_candump_line("can0 123##0" + std::string(130, '0')).ok());
  EXPECT_TRUE(parse_candump_line(std::string(512, ' ')).ok());
  EXPECT_FALSE(parse_candump_line(std::string(513, ' ')).ok());
}

TEST(Candump, TellsTheLineOfARefusalAndGoesOnBehindIt) {
  CandumpReader reader("can0 123#00\n\n\nwhat is this\n");
  EXPECT_TRUE(reader.next()->ok());
  EXPECT_EQ(reader.line(), 1U);
  const auto refused = reader.next();
  EXPECT_EQ(refused->status().message(),
            "line 4: its identifier is none of 3 to 8 hexadecimal digits");
  EXPECT_EQ(reader.line(), 4U);
  EXPECT_FALSE(reader.next().has_value());
}

TEST(Candump, ReadsALastLineWithoutAnEnd) {
  CandumpReader reader("can0 123#00\ncan0 124#01");
  EXPECT_EQ(reader.next()->value().frame.frame.can_id, 0x123U);
  EXPECT_EQ(reader.next()->value().frame.frame.can_id, 0x124U);
  EXPECT_FALSE(reader.next().has_value());
}

}  // namespace
}  // namespace pitbox
