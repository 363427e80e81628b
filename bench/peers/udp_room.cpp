#include "bench/peers/udp_room.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace pitbox {
namespace {

// What a datagram of 1448 bytes costs in a receive buffer at most, with what the kernel keeps
// beside it.
constexpr std::size_t kCostBytes = 4096;

}  // namespace

std::size_t UdpRoom::take(std::size_t most) {
  if (left_ == 0) left_ = (buffer_bytes_ - std::min(waiting_bytes(), buffer_bytes_)) / kCostBytes;
  const std::size_t count = std::min(left_, most);
  left_ -= count;
  return count;
}

// Columns: slot, local address, remote address, state, SEND:RECEIVE queue.
std::size_t UdpRoom::waiting_bytes() const {
  std::array<char, 16> local{};
  std::snprintf(local.data(), local.size(), "0100007F:%04X", static_cast<unsigned>(port_));
  std::ifstream table("/proc/net/udp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string slot;
    std::string address;
    std::string remote;
    std::string state;
    std::string queues;
    words >> slot >> address >> remote >> state >> queues;
    const std::size_t colon = queues.find(':');
    if (address != local.data() || colon == std::string::npos) continue;
    std::size_t waiting = buffer_bytes_;
    std::from_chars(queues.data() + colon + 1, queues.data() + queues.size(), waiting, 16);
    return waiting;
  }
  return buffer_bytes_;
}

}  // namespace pitbox
