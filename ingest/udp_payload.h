// udp_payload: the UDP datagram inside a captured packet, if there is a whole one.
//
// Link layers by their numbers in capture files (tcpdump.org/linktypes): Ethernet with VLAN tags,
// raw IP, the loopback forms and Linux "cooked" ones. IPv4 with options; IPv6 behind hop-by-hop,
// routing and destination options. Checksums are not looked at: a capture on the sending machine
// holds what the network card would have filled in.
//
// Plain functions; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pitbox {

enum class UdpFound : std::uint8_t {
  kDatagram,
  kOther,     // Another protocol.
  kFragment,  // A part of a datagram.
  kCut,       // Shorter than its headers say.
};

struct UdpPayload {
  UdpFound found = UdpFound::kOther;
  std::uint16_t port = 0;            // It was sent to.
  std::span<const std::byte> bytes;  // Of the packet given; empty unless kDatagram.
};

bool is_known_link_type(std::uint32_t link_type);
// REQUIRES: is_known_link_type().
UdpPayload find_udp_payload(std::uint32_t link_type, std::span<const std::byte> packet);

}  // namespace pitbox
