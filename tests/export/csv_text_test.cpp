// The text of CSV cells: numbers read back exactly, names from outside do no harm.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "export/csv_writer.h"

namespace pitbox {
namespace {

template <typename T>
std::string value_text(const Channel& channel, T raw) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, &raw, sizeof(T));
  std::string out;
  append_csv_value(channel, bytes, out);
  return out;
}

Channel raw_channel(StorageType type) {
  return {.name = "x", .unit = "", .type = type, .factor = 1, .offset = 0};
}

std::string seconds_text(std::int64_t ns) {
  std::string out;
  append_csv_seconds(ns, out);
  return out;
}

TEST(CsvValue, WritesRealsAsTheShortestTextThatReadsBackExactly) {
  EXPECT_EQ(value_text(raw_channel(StorageType::kF32), 0.1F), "0.1");
  EXPECT_EQ(value_text(raw_channel(StorageType::kF64), 0.1), "0.1");
  EXPECT_EQ(value_text(raw_channel(StorageType::kF64), -0.0), "-0");
  EXPECT_EQ(value_text(raw_channel(StorageType::kF64), 27.450222), "27.450222");
  const double awkward = 28.411754833333333;
  EXPECT_EQ(std::stod(value_text(raw_channel(StorageType::kF64), awkward)), awkward);
  EXPECT_EQ(value_text(raw_channel(StorageType::kF32), std::nanf("")), "NaN");
  EXPECT_EQ(value_text(raw_channel(StorageType::kF64), -std::numeric_limits<double>::quiet_NaN()),
            "NaN");
  EXPECT_EQ(value_text(raw_channel(StorageType::kF64), -std::numeric_limits<double>::infinity()),
            "-inf");
}

TEST(CsvValue, WritesIntegersWithAllTheirDigits) {
  EXPECT_EQ(value_text(raw_channel(StorageType::kI8), std::int8_t{-128}), "-128");
  EXPECT_EQ(value_text(raw_channel(StorageType::kU8), std::uint8_t{255}), "255");
  EXPECT_EQ(value_text(raw_channel(StorageType::kI16), std::int16_t{-2}), "-2");
  EXPECT_EQ(value_text(raw_channel(StorageType::kU16), std::uint16_t{65535}), "65535");
  EXPECT_EQ(value_text(raw_channel(StorageType::kI32), std::int32_t{-7}), "-7");
  EXPECT_EQ(value_text(raw_channel(StorageType::kU32), 4'294'967'295U), "4294967295");
  EXPECT_EQ(value_text(raw_channel(StorageType::kI64), std::numeric_limits<std::int64_t>::min()),
            "-9223372036854775808");
  EXPECT_EQ(value_text(raw_channel(StorageType::kU64), std::numeric_limits<std::uint64_t>::max()),
            "18446744073709551615");
}

TEST(CsvValue, ConvertsToPhysicalUnits) {
  Channel channel = raw_channel(StorageType::kI32);
  channel.factor = 1e-7;
  const std::string text = value_text(channel, std::int32_t{274'502'220});
  EXPECT_EQ(std::stod(text), 274'502'220 * 1e-7);
  channel = {.name = "t", .unit = "degC", .type = StorageType::kU16, .factor = 0.5, .offset = -40};
  EXPECT_EQ(value_text(channel, std::uint16_t{165}), "42.5");
}

TEST(CsvSeconds, AreExact) {
  EXPECT_EQ(seconds_text(0), "0");
  EXPECT_EQ(seconds_text(1), "0.000000001");
  EXPECT_EQ(seconds_text(1'500'000'000), "1.5");
  EXPECT_EQ(seconds_text(-1'500'000'000), "-1.5");
  EXPECT_EQ(seconds_text(-1), "-0.000000001");
  EXPECT_EQ(seconds_text(1'682'789'670'010'000'000), "1682789670.01");
  EXPECT_EQ(seconds_text(std::numeric_limits<std::int64_t>::min()), "-9223372036.854775808");
}

TEST(CsvTextCell, QuotesWhatCsvNeedsQuoted) {
  EXPECT_EQ(csv_text_cell("speed [km/h]"), "speed [km/h]");
  EXPECT_EQ(csv_text_cell("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_text_cell("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_text_cell(""), "");
}

TEST(CsvTextCell, KeepsFormulasFromBeingComputed) {
  EXPECT_EQ(csv_text_cell("=1+1"), "\"'=1+1\"");
  EXPECT_EQ(csv_text_cell("+1"), "\"'+1\"");
  EXPECT_EQ(csv_text_cell("-1"), "\"'-1\"");
  EXPECT_EQ(csv_text_cell("@SUM(A1)"), "\"'@SUM(A1)\"");
  EXPECT_EQ(csv_text_cell("\tx"), "\"'\tx\"");
}

TEST(CsvFilePart, CannotLeaveTheFolderAndKeepsNamesApart) {
  EXPECT_EQ(csv_file_part("007"), "007");
  EXPECT_EQ(csv_file_part("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
  EXPECT_EQ(csv_file_part(".."), "%2E.");
  EXPECT_EQ(csv_file_part("a b"), "a%20b");
  EXPECT_EQ(csv_file_part("a%20b"), "a%2520b");
  EXPECT_EQ(csv_file_part(std::string_view("\0x", 2)), "%00x");
  EXPECT_EQ(csv_file_part(""), "%");
}

}  // namespace
}  // namespace pitbox
