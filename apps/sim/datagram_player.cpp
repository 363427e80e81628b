#include "apps/sim/datagram_player.h"

#include <algorithm>
#include <map>
#include <string>

namespace pitbox {
namespace {

using PortCounts = std::map<std::uint16_t, std::uint64_t>;

constexpr std::size_t kPortsNamed = 8;

PortCounts count_ports(RecordedDatagrams datagrams) {
  PortCounts counts;
  while (const auto datagram = datagrams.next()) ++counts[datagram->port];
  return counts;
}

std::string ports_text(const PortCounts& counts) {
  std::string text;
  std::size_t named = 0;
  for (const auto& [port, count] : counts) {
    if (!text.empty()) text += ", ";
    if (++named > kPortsNamed) return text + "and more";
    text += std::to_string(port) + " (" + std::to_string(count) + ")";
  }
  return text;
}

}  // namespace

Result<DatagramPlayer> DatagramPlayer::make(std::span<const std::byte> recording,
                                            std::optional<std::uint16_t> port) {
  auto opened = RecordedDatagrams::open(recording);
  if (!opened.ok()) return opened.status();
  const PortCounts counts = count_ports(opened.value());
  if (counts.empty()) return Status(Code::kRejected, "it holds no UDP datagram");
  if (port && !counts.contains(*port)) {
    return Status(Code::kRejected, "no datagram of it went to port " + std::to_string(*port) +
                                       "; they went to " + ports_text(counts));
  }
  if (!port && counts.size() > 1) {
    return Status(Code::kRejected, "its datagrams went to several ports, say which with --port: " +
                                       ports_text(counts));
  }
  return DatagramPlayer(opened.value(), port.value_or(counts.begin()->first));
}

std::optional<DatagramPlayer::Piece> DatagramPlayer::next() {
  while (const auto datagram = datagrams_.next()) {
    if (datagram->port != port_) continue;
    if (!first_ns_) first_ns_ = datagram->at_ns;
    std::int64_t since = 0;
    if (!__builtin_sub_overflow(datagram->at_ns, *first_ns_, &since)) {
      at_ns_ = std::max(at_ns_, since);
    }
    return Piece{.bytes = datagram->bytes, .at_ns = at_ns_};
  }
  return std::nullopt;
}

}  // namespace pitbox
