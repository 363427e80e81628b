#include "bench/peers/datagram_book.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "proto/check.h"

namespace pitbox {
namespace {

// ingest/NATIVE.md, "Header".
constexpr std::string_view kMagic = "PXN1";
constexpr std::size_t kKindAt = 8;
constexpr char kRowsKind = 2;
constexpr std::size_t kGroupAt = 10;
constexpr std::size_t kSequenceAt = 24;

constexpr std::uint64_t kWhole = ~std::uint64_t{0};

}  // namespace

std::optional<DatagramNumber> number_of(std::string_view datagram) {
  if (datagram.size() != Load::kDatagramBytes || !datagram.starts_with(kMagic) ||
      datagram[kKindAt] != kRowsKind) {
    return std::nullopt;
  }
  std::uint16_t group = 0;
  std::uint64_t sequence = 0;
  std::memcpy(&group, datagram.data() + kGroupAt, sizeof group);
  std::memcpy(&sequence, datagram.data() + kSequenceAt, sizeof sequence);
  return DatagramNumber{.group = group, .sequence = sequence};
}

Status DatagramBook::take(std::string_view datagram) {
  const auto number = number_of(datagram);
  if (!number) {
    return Status::corrupt(std::to_string(datagram.size()) + " bytes that are no datagram of ours");
  }
  return take(*number);
}

Status DatagramBook::take_row(const DatagramNumber& number, std::size_t row, std::size_t rows) {
  CHECK(rows >= 1 && rows <= 64 && row < rows);
  if (number.group >= kGroupsMax || number.sequence < 1 || number.sequence > kSequencesMax) {
    return Status::corrupt("datagram " + std::to_string(number.sequence) + " of group " +
                           std::to_string(number.group) + ", which no load has");
  }
  if (number.group >= groups_.size()) groups_.resize(number.group + 1);
  auto& group = groups_[number.group];
  if (number.sequence > group.size()) group.resize(number.sequence);
  std::uint64_t& seen = group[number.sequence - 1];
  const std::uint64_t bit = std::uint64_t{1} << row;
  if ((seen & bit) != 0) {
    ++repeated_;
    return {};
  }
  seen |= bit;
  const std::uint64_t all = rows == 64 ? kWhole : (std::uint64_t{1} << rows) - 1;
  if (seen != all) return {};
  seen = kWhole;
  ++distinct_;
  return {};
}

std::string DatagramBook::to_json() const {
  nlohmann::ordered_json ranges = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const auto& group = groups_[i];
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    const auto is_whole = [](std::uint64_t seen) { return seen == kWhole; };
    auto at = std::find_if(group.begin(), group.end(), is_whole);
    while (at != group.end()) {
      const auto after = std::find_if_not(at, group.end(), is_whole);
      list.push_back({at - group.begin() + 1, after - group.begin()});
      at = std::find_if(after, group.end(), is_whole);
    }
    if (!list.empty()) ranges[std::to_string(i)] = std::move(list);
  }
  const nlohmann::ordered_json json = {
      {"distinct", distinct_}, {"repeated", repeated_}, {"ranges", std::move(ranges)}};
  return json.dump();
}

}  // namespace pitbox
