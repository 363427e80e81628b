#include "tests/torture/numbered_records.h"

#include <cstring>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

constexpr const char* kNumberedCar = "27";
constexpr const char* kNumberedGroup = "numbered";
constexpr std::uint16_t kGroupId = 1;
constexpr std::size_t kDatagramBytesMax = 1400;

DefinitionPtr numbered_definition() {
  ChannelGroup group{.group = kNumberedGroup, .time_base = TimeBase::kCar, .channels = {}};
  group.channels.push_back({.name = "number", .unit = "", .type = StorageType::kU64});
  for (std::size_t i = 1; i < kNumberedSamples; ++i) {
    group.channels.push_back(
        {.name = "value" + std::to_string(i), .unit = "V", .type = StorageType::kI16});
  }
  return Definition::make(group).take();
}

std::int64_t source_time_of(std::uint64_t number) {
  return static_cast<std::int64_t>(number) * 100'000;
}

// REQUIRES: `row` has room for a row of the definition.
void write_row(std::uint64_t number, const Definition& definition, std::byte* row) {
  std::memcpy(row, &number, sizeof number);
  const auto value = static_cast<std::int16_t>(number % 4096);
  for (std::size_t column = 1; column < kNumberedSamples; ++column) {
    std::memcpy(row + definition.column_offset(column), &value, sizeof value);
  }
}

}  // namespace

NumberedDatagrams::NumberedDatagrams(std::uint32_t sender)
    : definition_(numbered_definition()), encoder_(sender) {}

std::string NumberedDatagrams::announcement() {
  return encoder_.announce(kGroupId, kNumberedCar, definition_).take();
}

std::string NumberedDatagrams::from(std::uint64_t first) {
  std::vector<std::int64_t> times;
  std::vector<std::byte> rows(kNumberedRecords * definition_->row_bytes());
  for (std::size_t i = 0; i < kNumberedRecords; ++i) {
    times.push_back(source_time_of(first + i));
    write_row(first + i, *definition_, rows.data() + i * definition_->row_bytes());
  }
  std::string datagram;
  const std::size_t taken =
      encoder_.append_rows(kGroupId, times, rows, kDatagramBytesMax, datagram);
  CHECK(taken == kNumberedRecords);
  return datagram;
}

std::vector<RowIdentity> numbered_rows(std::uint64_t first, std::uint64_t last) {
  const DefinitionPtr definition = numbered_definition();
  std::vector<std::byte> row(definition->row_bytes());
  std::vector<RowIdentity> rows;
  rows.reserve(last - first + 1);
  for (std::uint64_t number = first; number <= last; ++number) {
    write_row(number, *definition, row.data());
    rows.push_back(identify_row(kNumberedCar, kNumberedGroup, source_time_of(number), row));
  }
  return rows;
}

}  // namespace pitbox
