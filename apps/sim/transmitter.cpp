#include "apps/sim/transmitter.h"

#include <utility>

namespace pitbox {

Transmitter::Transmitter(Simulator& simulator, std::uint32_t sender, Send send,
                         LedgerWriter* ledger)
    : simulator_(simulator), encoder_(sender), send_(std::move(send)), ledger_(ledger) {
  datagram_.reserve(kDatagramBytes);
}

std::size_t Transmitter::definition_count() const {
  return simulator_.car_numbers().size() * simulator_.channel_set().groups().size();
}

std::uint16_t Transmitter::group_number(std::size_t car, std::size_t group) const {
  return static_cast<std::uint16_t>(car * simulator_.channel_set().groups().size() + group);
}

Status Transmitter::announce(std::size_t count) {
  const auto& groups = simulator_.channel_set().groups();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t car = next_announcement_ / groups.size();
    const std::size_t group = next_announcement_ % groups.size();
    const auto packet = encoder_.announce(group_number(car, group), simulator_.car_numbers()[car],
                                          groups[group].definition);
    if (!packet.ok()) return packet.status();
    CHECK(packet.value().size() <= kDatagramBytes);
    Status sent = send_(packet.value());
    if (!sent.ok()) return sent;
    ++totals_.datagrams;
    totals_.bytes += packet.value().size();
    next_announcement_ = (next_announcement_ + 1) % definition_count();
  }
  return {};
}

Status Transmitter::run_to(std::int64_t milliseconds) {
  failure_ = Status();
  simulator_.advance_to(milliseconds, [this](const SimulatedRows& rows) { append(rows); });
  send_pending();
  return failure_;
}

// Fills the datagram in hand and sends it whenever no further row fits. A datagram has one car's
// rows, as one from a car would.
void Transmitter::append(const SimulatedRows& rows) {
  if (!datagram_.empty() && datagram_car_ != rows.car_index) send_pending();
  datagram_car_ = rows.car_index;
  const Definition& definition = **rows.definition;
  const std::uint16_t number = group_number(rows.car_index, rows.group_index);
  auto times = rows.source_ns;
  auto bytes = rows.rows;
  while (!times.empty() && failure_.ok()) {
    const std::size_t taken = encoder_.append_rows(number, times, bytes, kDatagramBytes, datagram_);
    if (taken == 0) {
      CHECK(!datagram_.empty());  // A row and its header fit an empty datagram: channel_set.cpp.
      send_pending();
      continue;
    }
    PendingRows part{.car = rows.car, .group = definition.group().group, .counts = {}};
    part.counts = {.rows = taken, .samples = taken * definition.channels().size()};
    for (std::size_t i = 0; i < taken; ++i) {
      const auto row = bytes.subspan(i * definition.row_bytes(), definition.row_bytes());
      identities_.push_back(identify_row(rows.car, part.group, times[i], row));
      part.contents += identities_.back().content;
    }
    pending_.push_back(part);
    times = times.subspan(taken);
    bytes = bytes.subspan(taken * definition.row_bytes());
  }
}

void Transmitter::send_pending() {
  if (datagram_.empty()) return;
  Status sent = failure_.ok() ? send_(datagram_) : failure_;
  if (sent.ok()) {
    ++totals_.datagrams;
    totals_.bytes += datagram_.size();
    for (const PendingRows& part : pending_) {
      totals_.add_rows(part.car, part.group, part.counts, part.contents);
    }
    if (ledger_ != nullptr) {
      for (const RowIdentity& identity : identities_) ledger_->add(identity);
    }
  } else {
    failure_ = std::move(sent);
  }
  datagram_.clear();
  pending_.clear();
  identities_.clear();
}

}  // namespace pitbox
