#include "ingest/udp_payload.h"

#include <algorithm>
#include <array>

namespace pitbox {
namespace {

enum LinkType : std::uint32_t {
  kNull = 0,
  kEthernet = 1,
  kRawOld = 12,
  kRawOther = 14,
  kRaw = 101,
  kLoop = 108,
  kLinuxCooked = 113,
  kIpv4 = 228,
  kIpv6 = 229,
  kLinuxCooked2 = 276,
};
constexpr std::array kKnownLinkTypes = {kNull, kEthernet,    kRawOld, kRawOther, kRaw,
                                        kLoop, kLinuxCooked, kIpv4,   kIpv6,     kLinuxCooked2};

constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeIpv6 = 0x86DD;
constexpr std::array<std::uint16_t, 3> kVlanTypes = {0x8100, 0x88A8, 0x9100};
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::array<std::uint8_t, 3> kPassedHeaders = {0, 43, 60};
constexpr std::size_t kExtensionsMax = 8;
constexpr std::size_t kUdpHeaderBytes = 8;

using Bytes = std::span<const std::byte>;

std::uint8_t octet(Bytes bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint16_t big_endian_16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(octet(bytes, at) << 8U | octet(bytes, at + 1));
}

UdpPayload not_udp(UdpFound why) {
  return {.found = why, .port = 0, .bytes = {}};
}

UdpPayload payload_of_udp(Bytes segment) {
  if (segment.size() < kUdpHeaderBytes) return not_udp(UdpFound::kCut);
  const std::size_t length = big_endian_16(segment, 4);
  if (length < kUdpHeaderBytes || length > segment.size()) return not_udp(UdpFound::kCut);
  return {.found = UdpFound::kDatagram,
          .port = big_endian_16(segment, 2),
          .bytes = segment.subspan(kUdpHeaderBytes, length - kUdpHeaderBytes)};
}

UdpPayload payload_of_ipv4(Bytes packet) {
  constexpr std::size_t kHeaderMin = 20;
  if (packet.size() < kHeaderMin) return not_udp(UdpFound::kCut);
  const std::size_t header = static_cast<std::size_t>(octet(packet, 0) & 15U) * 4;
  const std::size_t total = big_endian_16(packet, 2);
  if (octet(packet, 9) != kProtocolUdp) return not_udp(UdpFound::kOther);
  if (header < kHeaderMin || total < header || total > packet.size()) {
    return not_udp(UdpFound::kCut);
  }
  constexpr unsigned kMoreAndOffset = 0x3FFF;
  if ((big_endian_16(packet, 6) & kMoreAndOffset) != 0) return not_udp(UdpFound::kFragment);
  return payload_of_udp(packet.subspan(header, total - header));
}

UdpPayload payload_of_ipv6(Bytes packet) {
  constexpr std::size_t kHeader = 40;
  if (packet.size() < kHeader) return not_udp(UdpFound::kCut);
  const std::size_t length = big_endian_16(packet, 4);
  if (length > packet.size() - kHeader) return not_udp(UdpFound::kCut);
  std::uint8_t next = octet(packet, 6);
  Bytes rest = packet.subspan(kHeader, length);
  for (std::size_t i = 0; i < kExtensionsMax; ++i) {
    if (next == kProtocolUdp) return payload_of_udp(rest);
    if (next == kFragmentHeader) return not_udp(UdpFound::kFragment);
    const bool is_passed =
        std::find(kPassedHeaders.begin(), kPassedHeaders.end(), next) != kPassedHeaders.end();
    if (!is_passed) return not_udp(UdpFound::kOther);
    if (rest.size() < 8) return not_udp(UdpFound::kCut);
    const std::size_t extension = (static_cast<std::size_t>(octet(rest, 1)) + 1) * 8;
    if (extension > rest.size()) return not_udp(UdpFound::kCut);
    next = octet(rest, 0);
    rest = rest.subspan(extension);
  }
  return not_udp(UdpFound::kOther);
}

// By the version that an IP packet begins with.
UdpPayload payload_of_ip(Bytes packet) {
  if (packet.empty()) return not_udp(UdpFound::kCut);
  const unsigned version = octet(packet, 0) >> 4U;
  if (version == 4) return payload_of_ipv4(packet);
  return version == 6 ? payload_of_ipv6(packet) : not_udp(UdpFound::kOther);
}

UdpPayload payload_of_type(std::uint16_t type, Bytes packet) {
  if (type == kTypeIpv4) return payload_of_ipv4(packet);
  return type == kTypeIpv6 ? payload_of_ipv6(packet) : not_udp(UdpFound::kOther);
}

UdpPayload payload_of_ethernet(Bytes frame) {
  constexpr std::size_t kAddresses = 12;
  constexpr std::size_t kTag = 4;
  std::size_t at = kAddresses;
  for (;;) {
    if (frame.size() < at + 2) return not_udp(UdpFound::kCut);
    const std::uint16_t type = big_endian_16(frame, at);
    if (std::find(kVlanTypes.begin(), kVlanTypes.end(), type) == kVlanTypes.end()) {
      return payload_of_type(type, frame.subspan(at + 2));
    }
    at += kTag;
  }
}

}  // namespace

bool is_known_link_type(std::uint32_t link_type) {
  return std::find(kKnownLinkTypes.begin(), kKnownLinkTypes.end(), link_type) !=
         kKnownLinkTypes.end();
}

UdpPayload find_udp_payload(std::uint32_t link_type, std::span<const std::byte> packet) {
  const auto behind = [&](std::size_t header) {
    return packet.size() < header ? not_udp(UdpFound::kCut) : payload_of_ip(packet.subspan(header));
  };
  switch (link_type) {
    case kEthernet:
      return payload_of_ethernet(packet);
    case kNull:
    case kLoop:
      return behind(4);
    case kLinuxCooked:
      return behind(16);
    case kLinuxCooked2:
      return behind(20);
    default:
      return behind(0);
  }
}

}  // namespace pitbox
