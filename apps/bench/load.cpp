#include "apps/bench/load.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ingest/native_encoder.h"
#include "proto/batch.h"
#include "proto/check.h"

namespace pitbox {
namespace {

// ingest/NATIVE.md
constexpr std::size_t kSequenceAt = 24;
constexpr std::size_t kBaseTimeAt = 32;
constexpr std::size_t kRowsAt = 48;

std::string car_name(std::uint32_t car) {
  return std::to_string(car + 1);
}

std::uint16_t group_number(std::uint32_t car, std::uint32_t group) {
  return static_cast<std::uint16_t>(car * SyntheticCar::groups().size() + group);
}

template <typename Value>
void add_at(char* at, Value change) {
  Value value;
  std::memcpy(&value, at, sizeof value);
  value += change;
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

Result<Load> Load::make(std::size_t cars, std::uint32_t sender) {
  if (cars < 1 || cars > kCarsMax) {
    return Status(Code::kRejected, "1 to " + std::to_string(kCarsMax) + " cars");
  }
  Load load;
  load.cars_ = cars;
  const auto& groups = SyntheticCar::groups();
  for (std::uint32_t car = 0; car < cars; ++car) {
    SyntheticCar values(car + 1);
    for (std::uint32_t group = 0; group < groups.size(); ++group) {
      if (Status added = load.add_group(car, group, values, sender); !added.ok()) return added;
    }
  }
  std::stable_sort(load.datagrams_.begin(), load.datagrams_.end(),
                   [](const Datagram& a, const Datagram& b) { return a.due_ns < b.due_ns; });
  return load;
}

Status Load::add_group(std::uint32_t car, std::uint32_t group, SyntheticCar& values,
                       std::uint32_t sender) {
  const SyntheticCar::Group& its = SyntheticCar::groups()[group];
  NativeEncoder encoder(sender);
  auto announcement = encoder.announce(group_number(car, group), car_name(car), its.definition);
  if (!announcement.ok()) return announcement.status();
  announcements_.push_back(std::move(announcement).take());
  const std::int64_t datagram_ns = its.period_ns * static_cast<std::int64_t>(its.rows_per_datagram);
  const auto count = static_cast<std::uint64_t>(SyntheticCar::kLoopNs / datagram_ns);
  if (car == 0) per_loop_.push_back(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t begins = static_cast<std::int64_t>(i) * datagram_ns;
    std::vector<std::int64_t> times;
    std::vector<std::byte> rows;
    for (std::size_t row = 0; row < its.rows_per_datagram; ++row) {
      times.push_back(begins + static_cast<std::int64_t>(row) * its.period_ns);
      values.append_row(its, times.back(), rows);
    }
    std::string datagram;
    const std::size_t taken =
        encoder.append_rows(group_number(car, group), times, rows, kDatagramBytes, datagram);
    CHECK(taken == its.rows_per_datagram && datagram.size() == kDatagramBytes);
    datagrams_.push_back(
        {.at = bytes_.size(), .due_ns = begins + datagram_ns, .car = car, .group = group});
    bytes_ += datagram;
  }
  return {};
}

double Load::samples_per_second() const {
  return static_cast<double>(datagrams_.size() * SyntheticCar::kSamplesPerDatagram) * 1e9 /
         static_cast<double>(SyntheticCar::kLoopNs);
}

std::span<const char> Load::next() {
  const Datagram& datagram = datagrams_[next_];
  char* const at = bytes_.data() + datagram.at;
  if (loop_ > 0) {
    add_at<std::uint64_t>(at + kSequenceAt, per_loop_[datagram.group]);
    add_at<std::int64_t>(at + kBaseTimeAt, SyntheticCar::kLoopNs);
  }
  if (++next_ == datagrams_.size()) {
    next_ = 0;
    ++loop_;
  }
  return {at, kDatagramBytes};
}

LoadTotals Load::totals(std::uint64_t count) const {
  LoadTotals totals{.datagrams = count};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t loop = i / datagrams_.size();
    const Datagram& datagram = datagrams_[i % datagrams_.size()];
    const SyntheticCar::Group& group = SyntheticCar::groups()[datagram.group];
    const auto rows =
        std::as_bytes(std::span(bytes_).subspan(datagram.at + kRowsAt, kDatagramBytes - kRowsAt));
    const std::size_t row_bytes = group.definition->row_bytes();
    // What stands in the datagram now is of a later loop.
    const std::int64_t ends =
        datagram.due_ns + static_cast<std::int64_t>(loop) * SyntheticCar::kLoopNs;
    for (std::size_t row = 0; row < group.rows_per_datagram; ++row) {
      const std::int64_t at =
          ends - static_cast<std::int64_t>(group.rows_per_datagram - row) * group.period_ns;
      totals.add(identify_row(car_name(datagram.car), group.definition->group().group, at,
                              rows.subspan(row * row_bytes, row_bytes)));
    }
    totals.samples += SyntheticCar::kSamplesPerDatagram;
  }
  return totals;
}

}  // namespace pitbox
