#include "ingest/recorded_datagrams.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "ingest/udp_payload.h"

namespace pitbox {
namespace {

constexpr std::uint32_t kPcapMicroseconds = 0xA1B2C3D4;
constexpr std::uint32_t kPcapNanoseconds = 0xA1B23C4D;
constexpr std::size_t kPcapHeaderBytes = 24;
constexpr std::size_t kPcapRecordBytes = 16;
constexpr std::uint32_t kSectionBlock = 0x0A0D0D0A;  // The same in either byte order.
constexpr std::uint32_t kSectionMagic = 0x1A2B3C4D;
constexpr std::uint32_t kInterfaceBlock = 1;
constexpr std::uint32_t kSimplePacketBlock = 3;
constexpr std::uint32_t kEnhancedPacketBlock = 6;
constexpr std::size_t kBlockFrameBytes = 12;  // Type, length, and length again at the end.
constexpr std::size_t kSectionBytesMin = 28;
constexpr std::uint16_t kResolutionOption = 9;
constexpr std::size_t kCapRecordBytes = 10;
constexpr std::size_t kCapTried = 64;
constexpr std::size_t kCapturedBytesMax = std::size_t{256} << 10;
constexpr std::size_t kInterfacesMax = 256;
constexpr std::int64_t kNsPerSecondRecorded = 1'000'000'000;
constexpr std::uint32_t kLinkTypeBits = 0x0FFFFFFF;  // Above them stand flags.

template <typename T>
T little_endian(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint32_t swapped(std::uint32_t value) {
  return __builtin_bswap32(value);
}

// Text is no time before the year 2043.
bool begins_as_text(std::span<const std::byte> content) {
  return std::all_of(content.begin(), content.begin() + kCapRecordBytes, [](std::byte byte) {
    const auto c = static_cast<unsigned char>(byte);
    return (c >= ' ' && c <= '~') || c == '\r' || c == '\n' || c == '\t';
  });
}

bool is_cap_time(std::uint64_t time) {
  return time <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

bool looks_like_cap(std::span<const std::byte> content) {
  if (content.size() < kCapRecordBytes || begins_as_text(content)) return false;
  std::size_t at = 0;
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < kCapTried && at < content.size(); ++i) {
    if (content.size() - at < kCapRecordBytes) return false;
    const auto time = little_endian<std::uint64_t>(content, at);
    const auto length = little_endian<std::uint16_t>(content, at + 8);
    const bool is_possible = time >= before && is_cap_time(time);
    if (!is_possible || content.size() - at - kCapRecordBytes < length) return false;
    before = time;
    at += kCapRecordBytes + length;
  }
  return at > 0;
}

std::uint64_t power_of_ten(unsigned power) {
  std::uint64_t value = 1;
  for (unsigned i = 0; i < power; ++i) value *= 10;
  return value;
}

// Ticks of 10^-r or, with the top bit, 2^-r seconds. Nothing if it is no time.
std::optional<std::int64_t> ticks_to_ns(std::uint64_t ticks, std::uint8_t resolution) {
  constexpr unsigned kBinary = 0x80;
  constexpr unsigned kFineBits = 33;  // Finer than a nanosecond; times 10^9 they fit 63 bits.
  constexpr unsigned kFineDecimals = 9;
  const unsigned power = resolution & ~kBinary;
  const bool is_binary = (resolution & kBinary) != 0;
  if (power > (is_binary ? 63U : 18U)) return std::nullopt;
  const std::uint64_t per_second = is_binary ? std::uint64_t{1} << power : power_of_ten(power);
  const std::uint64_t seconds = ticks / per_second;
  std::uint64_t rest = ticks % per_second;
  if (seconds >
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / kNsPerSecondRecorded) -
          1) {
    return std::nullopt;
  }
  if (is_binary) {
    const unsigned fine = std::min(power, kFineBits);
    rest = (rest >> (power - fine)) * kNsPerSecondRecorded >> fine;
  } else if (power <= kFineDecimals) {
    rest *= power_of_ten(kFineDecimals - power);
  } else {
    rest /= power_of_ten(power - kFineDecimals);
  }
  return static_cast<std::int64_t>(seconds) * kNsPerSecondRecorded +
         static_cast<std::int64_t>(rest);
}

Status unknown_link(std::uint32_t link_type) {
  return {Code::kRejected, "a capture of link layer " + std::to_string(link_type) +
                               ", of which datagrams cannot be read"};
}

}  // namespace

std::string_view to_string(RecordedDatagrams::Container container) {
  switch (container) {
    case RecordedDatagrams::Container::kPcap:
      return "pcap";
    case RecordedDatagrams::Container::kPcapng:
      return "pcapng";
    case RecordedDatagrams::Container::kCap:
      return "cap";
  }
  return "unknown";
}

Result<RecordedDatagrams> RecordedDatagrams::open(std::span<const std::byte> content) {
  const auto magic =
      content.size() >= 4 ? little_endian<std::uint32_t>(content, 0) : std::uint32_t{0};
  for (const std::uint32_t known : {kPcapMicroseconds, kPcapNanoseconds}) {
    if (magic != known && magic != swapped(known)) continue;
    RecordedDatagrams pcap(content, Container::kPcap);
    Status begun = pcap.begin_pcap(magic);
    if (!begun.ok()) return begun;
    return pcap;
  }
  if (magic == kSectionBlock) {
    RecordedDatagrams pcapng(content, Container::kPcapng);
    if (!pcapng.take_section(0)) return Status(Code::kRejected, "a pcapng file without a section");
    return pcapng;
  }
  if (looks_like_cap(content)) return RecordedDatagrams(content, Container::kCap);
  return Status(Code::kRejected,
                "no recording of datagrams: it is neither pcap nor pcapng nor cap");
}

Status RecordedDatagrams::begin_pcap(std::uint32_t magic) {
  if (content_.size() < kPcapHeaderBytes) return {Code::kRejected, "a pcap file without a header"};
  is_swapped_ = magic == swapped(kPcapMicroseconds) || magic == swapped(kPcapNanoseconds);
  has_ns_ = magic == kPcapNanoseconds || magic == swapped(kPcapNanoseconds);
  link_type_ = word(content_, 20) & kLinkTypeBits;
  if (!is_known_link_type(link_type_)) return unknown_link(link_type_);
  at_ = kPcapHeaderBytes;
  return {};
}

std::uint32_t RecordedDatagrams::word(std::span<const std::byte> bytes, std::size_t at) const {
  const auto value = little_endian<std::uint32_t>(bytes, at);
  return is_swapped_ ? swapped(value) : value;
}

std::uint16_t RecordedDatagrams::half(std::span<const std::byte> bytes, std::size_t at) const {
  const auto value = little_endian<std::uint16_t>(bytes, at);
  return is_swapped_ ? __builtin_bswap16(value) : value;
}

void RecordedDatagrams::break_off(std::string_view why) {
  broken_ = "byte " + std::to_string(at_) + ": " + std::string(why);
  at_ = content_.size();
}

std::optional<RecordedDatagrams::Datagram> RecordedDatagrams::next() {
  while (at_ < content_.size()) {
    if (container_ == Container::kCap) return next_cap();
    const auto packet = container_ == Container::kPcap ? next_pcap() : next_pcapng();
    if (!packet) continue;
    if (auto datagram = datagram_of(*packet)) return datagram;
  }
  return std::nullopt;
}

std::optional<RecordedDatagrams::Datagram> RecordedDatagrams::datagram_of(const Packet& packet) {
  const UdpPayload payload = find_udp_payload(packet.link_type, packet.bytes);
  switch (payload.found) {
    case UdpFound::kDatagram:
      return Datagram{.at_ns = packet.at_ns, .port = payload.port, .bytes = payload.bytes};
    case UdpFound::kOther:
      ++skipped_.other;
      break;
    case UdpFound::kFragment:
      ++skipped_.fragments;
      break;
    case UdpFound::kCut:
      ++skipped_.cut;
      break;
  }
  return std::nullopt;
}

std::optional<RecordedDatagrams::Datagram> RecordedDatagrams::next_cap() {
  if (!has(kCapRecordBytes)) return break_off("it ends within a record's head"), std::nullopt;
  const auto time = little_endian<std::uint64_t>(content_, at_);
  const auto length = little_endian<std::uint16_t>(content_, at_ + 8);
  if (!has(kCapRecordBytes + length)) {
    return break_off("it ends within a datagram"), std::nullopt;
  }
  if (!is_cap_time(time)) return break_off("a time that is none"), std::nullopt;
  const auto bytes = content_.subspan(at_ + kCapRecordBytes, length);
  at_ += kCapRecordBytes + length;
  return Datagram{.at_ns = static_cast<std::int64_t>(time), .port = 0, .bytes = bytes};
}

std::optional<RecordedDatagrams::Packet> RecordedDatagrams::next_pcap() {
  if (!has(kPcapRecordBytes)) return break_off("it ends within a record's head"), std::nullopt;
  const auto head = content_.subspan(at_, kPcapRecordBytes);
  const std::size_t length = word(head, 8);
  if (length > kCapturedBytesMax) return break_off("a packet too long to be one"), std::nullopt;
  if (!has(kPcapRecordBytes + length)) return break_off("it ends within a packet"), std::nullopt;
  const std::int64_t fraction = word(head, 4);
  Packet packet{.at_ns = word(head, 0) * kNsPerSecondRecorded +
                         fraction * (has_ns_ ? std::int64_t{1} : std::int64_t{1000}),
                .link_type = link_type_,
                .bytes = content_.subspan(at_ + kPcapRecordBytes, length)};
  at_ += kPcapRecordBytes + length;
  return packet;
}

// One block; nothing if it is no packet.
std::optional<RecordedDatagrams::Packet> RecordedDatagrams::next_pcapng() {
  if (!has(kBlockFrameBytes)) return break_off("it ends within a block's head"), std::nullopt;
  if (little_endian<std::uint32_t>(content_, at_) == kSectionBlock) {
    if (!take_section(at_)) break_off("a section that is none");
    return std::nullopt;
  }
  const std::uint32_t type = word(content_, at_);
  const std::size_t length = word(content_, at_ + 4);
  if (length < kBlockFrameBytes || length % 4 != 0 || !has(length)) {
    return break_off("a block that does not fit into the file"), std::nullopt;
  }
  const auto body = content_.subspan(at_ + 8, length - kBlockFrameBytes);
  at_ += length;
  if (type == kInterfaceBlock) take_interface(body);
  if (type == kSimplePacketBlock) ++skipped_.untimed;
  return type == kEnhancedPacketBlock ? take_packet(body) : std::nullopt;
}

// A section begins with what its byte order is, and forgets the interfaces of the one before.
bool RecordedDatagrams::take_section(std::size_t at) {
  if (content_.size() - at < kSectionBytesMin) return false;
  const auto magic = little_endian<std::uint32_t>(content_, at + 8);
  if (magic != kSectionMagic && magic != swapped(kSectionMagic)) return false;
  is_swapped_ = magic != kSectionMagic;
  const std::size_t length = word(content_, at + 4);
  if (length < kSectionBytesMin || length % 4 != 0 || length > content_.size() - at) return false;
  interfaces_.clear();
  at_ = at + length;
  return true;
}

void RecordedDatagrams::take_interface(std::span<const std::byte> body) {
  if (interfaces_.size() >= kInterfacesMax) return;
  Interface& interface = interfaces_.emplace_back();
  interface.link_type = std::numeric_limits<std::uint16_t>::max();  // None that is known.
  if (body.size() < 8) return;
  interface.link_type = half(body, 0);
  for (std::size_t at = 8; body.size() - at >= 4;) {
    const std::uint16_t code = half(body, at);
    const std::size_t length = half(body, at + 2);
    const std::size_t padded = (length + 3) / 4 * 4;
    if (code == 0 || body.size() - at - 4 < padded) return;
    if (code == kResolutionOption && length == 1) {
      interface.resolution = static_cast<std::uint8_t>(body[at + 4]);
    }
    at += 4 + padded;
  }
}

std::optional<RecordedDatagrams::Packet> RecordedDatagrams::take_packet(
    std::span<const std::byte> body) {
  constexpr std::size_t kHead = 20;
  if (body.size() < kHead) return ++skipped_.cut, std::nullopt;
  const std::uint32_t number = word(body, 0);
  const std::size_t length = word(body, 12);
  if (length > body.size() - kHead) return ++skipped_.cut, std::nullopt;
  if (number >= interfaces_.size() || !is_known_link_type(interfaces_[number].link_type)) {
    return ++skipped_.other, std::nullopt;
  }
  const Interface& interface = interfaces_[number];
  const std::uint64_t ticks = std::uint64_t{word(body, 4)} << 32U | word(body, 8);
  const auto at_ns = ticks_to_ns(ticks, interface.resolution);
  if (!at_ns) return ++skipped_.untimed, std::nullopt;
  return Packet{
      .at_ns = *at_ns, .link_type = interface.link_type, .bytes = body.subspan(kHead, length)};
}

}  // namespace pitbox
