// Goal: out of a capture come the datagrams that were in it, whatever wrote it, and nothing of a
// file that lies; method: files built byte by byte, cut at every byte, and the recordings of real
// games.

#include "ingest/recorded_datagrams.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ingest/udp_payload.h"
#include "tests/ingest/shared_data.h"

namespace pitbox {
namespace {

constexpr std::uint32_t kEthernetLink = 1;

// Bytes of a file, in the order that is asked for.
class FileBytes {
 public:
  explicit FileBytes(bool is_big = false) : is_big_(is_big) {}
  FileBytes& u8(unsigned value) { return number(value, 1); }
  FileBytes& u16(std::uint64_t value) { return number(value, 2); }
  FileBytes& u32(std::uint64_t value) { return number(value, 4); }
  FileBytes& u64(std::uint64_t value) { return number(value, 8); }
  FileBytes& raw(std::string_view bytes) {
    text += bytes;
    return *this;
  }
  std::string text;

 private:
  FileBytes& number(std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
      const unsigned shift = 8 * (is_big_ ? bytes - 1 - i : i);
      text.push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
    }
    return *this;
  }
  const bool is_big_;
};

std::string udp_segment(std::uint16_t port, std::string_view payload) {
  FileBytes out(true);
  out.u16(50'000).u16(port).u16(8 + payload.size()).u16(0).raw(payload);
  return out.text;
}

std::string ipv4_packet(std::string_view segment, unsigned protocol = 17, unsigned fragment = 0,
                        std::string_view ip_options = {}) {
  FileBytes out(true);
  const std::size_t header = 20 + ip_options.size();
  out.u8(0x40 + static_cast<unsigned>(header / 4)).u8(0).u16(header + segment.size());
  out.u16(1).u16(fragment).u8(64).u8(protocol).u16(0).u32(0x7F000001).u32(0x7F000001);
  out.raw(ip_options).raw(segment);
  return out.text;
}

std::string ipv6_packet(std::string_view rest, unsigned next) {
  FileBytes out(true);
  out.u32(0x60000000).u16(rest.size()).u8(next).u8(64).raw(std::string(32, '\0')).raw(rest);
  return out.text;
}

std::string ethernet_frame(unsigned type, std::string_view packet, unsigned vlans = 0) {
  FileBytes out(true);
  out.raw(std::string(12, 'a'));
  for (unsigned i = 0; i < vlans; ++i) out.u16(0x8100).u16(7);
  out.u16(type).raw(packet);
  return out.text;
}

std::string a_frame(std::uint16_t port, std::string_view payload) {
  return ethernet_frame(0x0800, ipv4_packet(udp_segment(port, payload)));
}

std::span<const std::byte> as_bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct PcapForm {
  std::uint32_t magic = 0xA1B2C3D4;
  bool is_big = false;
  std::uint32_t link_type = kEthernetLink;
};

std::string pcap_file(const PcapForm& form, const std::vector<std::string>& packets) {
  FileBytes out(form.is_big);
  out.u32(form.magic).u16(2).u16(4).u32(0).u32(0).u32(65'535).u32(form.link_type);
  std::uint32_t second = 1'700'000'000;
  for (const std::string& packet : packets) {
    out.u32(second++).u32(250'000).u32(packet.size()).u32(packet.size()).raw(packet);
  }
  return out.text;
}

std::string block(bool is_big, std::uint32_t type, const std::string& body) {
  FileBytes out(is_big);
  const std::string padded = body + std::string((4 - body.size() % 4) % 4, '\0');
  out.u32(type).u32(12 + padded.size()).raw(padded).u32(12 + padded.size());
  return out.text;
}

std::string pcapng_section(bool is_big) {
  FileBytes body(is_big);
  body.u32(0x1A2B3C4D).u16(1).u16(0).u64(~std::uint64_t{0});
  return block(is_big, 0x0A0D0D0A, body.text);
}

// `resolution` < 0: the option is left out.
std::string pcapng_interface(bool is_big, unsigned link_type, int resolution = -1) {
  FileBytes body(is_big);
  body.u16(link_type).u16(0).u32(65'535);
  if (resolution >= 0) {
    body.u16(2).u16(5).raw("eth-0pad").u16(9).u16(1).u8(static_cast<unsigned>(resolution));
    body.u8(0).u16(0).u32(0);
  }
  return block(is_big, 1, body.text);
}

std::string pcapng_packet(bool is_big, std::uint32_t interface, std::uint64_t ticks,
                          const std::string& packet) {
  FileBytes body(is_big);
  body.u32(interface).u32(ticks >> 32U).u32(ticks & 0xFFFFFFFFU);
  body.u32(packet.size()).u32(packet.size()).raw(packet);
  return block(is_big, 6, body.text);
}

struct Read {
  std::vector<std::string> payloads;
  std::vector<std::int64_t> times;
  std::vector<std::uint16_t> ports;
  RecordedDatagrams::Skipped skipped;
  std::string broken;
};

Read read_datagrams(const std::string& file) {
  Read read;
  auto opened = RecordedDatagrams::open(as_bytes_of(file));
  EXPECT_TRUE(opened.ok()) << opened.status().message();
  if (!opened.ok()) return read;
  RecordedDatagrams datagrams = opened.value();
  while (const auto datagram = datagrams.next()) {
    read.payloads.emplace_back(text_of(datagram->bytes));
    read.times.push_back(datagram->at_ns);
    read.ports.push_back(datagram->port);
  }
  read.skipped = datagrams.skipped();
  read.broken = datagrams.broken();
  return read;
}

using Texts = std::vector<std::string>;

TEST(RecordedDatagrams, AreReadOfEveryFormOfPcap) {
  const std::vector<PcapForm> forms = {
      {0xA1B2C3D4, false}, {0xA1B2C3D4, true}, {0xA1B23C4D, false}, {0xA1B23C4D, true}};
  for (const PcapForm& form : forms) {
    const Read read =
        read_datagrams(pcap_file(form, {a_frame(20'777, "one"), a_frame(20'777, "")}));
    EXPECT_EQ(read.payloads, (Texts{"one", ""}));
    const std::int64_t fraction = form.magic == 0xA1B23C4D ? 250'000 : 250'000'000;
    EXPECT_EQ(read.times, (std::vector<std::int64_t>{1'700'000'000'000'000'000 + fraction,
                                                     1'700'000'001'000'000'000 + fraction}));
    EXPECT_EQ(read.ports, (std::vector<std::uint16_t>{20'777, 20'777}));
    EXPECT_TRUE(read.broken.empty());
  }
}

TEST(RecordedDatagrams, AreReadOfEveryLinkLayer) {
  const std::string v4 = ipv4_packet(udp_segment(9, "x"));
  const std::string v6 = ipv6_packet(udp_segment(9, "x"), 17);
  const std::string four(4, '\2');
  const std::vector<std::pair<std::uint32_t, std::string>> packets = {
      {0, four + v4},
      {0, four + v6},
      {1, ethernet_frame(0x0800, v4)},
      {1, ethernet_frame(0x86DD, v6)},
      {1, ethernet_frame(0x0800, v4, 2)},
      {12, v4},
      {14, v6},
      {101, v4},
      {108, four + v4},
      {113, std::string(16, 's') + v4},
      {228, v4},
      {229, v6},
      {276, std::string(20, 's') + v6}};
  for (const auto& [link_type, packet] : packets) {
    SCOPED_TRACE(link_type);
    EXPECT_EQ(read_datagrams(pcap_file({.link_type = link_type}, {packet})).payloads, Texts{"x"});
  }
  const std::string other = pcap_file({.link_type = 105}, {v4});
  const auto refused = RecordedDatagrams::open(as_bytes_of(other));
  EXPECT_EQ(refused.status().code(), Code::kRejected);
  EXPECT_NE(refused.status().message().find("105"), std::string::npos);
}

TEST(RecordedDatagrams, CountWhatIsNoWholeDatagram) {
  const std::string udp = udp_segment(9, "payload");
  const auto read_one = [](const std::string& packet) {
    return read_datagrams(pcap_file({.link_type = 101}, {packet}));
  };
  EXPECT_EQ(read_one(ipv4_packet(udp, 6)).skipped.other, 1U);
  EXPECT_EQ(read_one(ipv4_packet(udp, 17, 0x2000)).skipped.fragments, 1U);
  EXPECT_EQ(read_one(ipv4_packet(udp, 17, 100)).skipped.fragments, 1U);
  EXPECT_EQ(read_one(ipv4_packet(udp, 17, 0x4000)).payloads, Texts{"payload"});  // Don't fragment.
  EXPECT_EQ(read_one(ipv4_packet(udp, 17, 0, "optional")).payloads, Texts{"payload"});
  EXPECT_EQ(read_one(ipv6_packet(udp, 44)).skipped.fragments, 1U);
  EXPECT_EQ(read_one(ipv6_packet(udp, 58)).skipped.other, 1U);
  const std::string hop("\x11\0\0\0\0\0\0\0", 8);
  EXPECT_EQ(read_one(ipv6_packet(hop + udp, 0)).payloads, Texts{"payload"});
  EXPECT_EQ(read_one("\x70nothing that has a version").skipped.other, 1U);
  const std::string whole = ipv4_packet(udp);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Read read = read_one(whole.substr(0, size));
    EXPECT_EQ(read.skipped.cut, 1U) << size;
    EXPECT_TRUE(read.payloads.empty());
  }
  // What a card pads a short frame with is none of it.
  EXPECT_EQ(read_one(whole + std::string(20, '\0')).payloads, Texts{"payload"});
}

TEST(RecordedDatagrams, OfAPcapThatBreaksOffAreThoseBeforeThat) {
  const std::string first = a_frame(9, "first");
  const std::string one = pcap_file({}, {first});
  const std::string file = pcap_file({}, {first, a_frame(9, "second")});
  for (std::size_t size = one.size(); size < file.size(); ++size) {
    const Read read = read_datagrams(file.substr(0, size));
    EXPECT_EQ(read.payloads, Texts{"first"}) << size;
    EXPECT_EQ(read.broken.empty(), size == one.size()) << size;
  }
  for (std::size_t size = 0; size < 24; ++size) {
    const std::string head = file.substr(0, size);
    EXPECT_FALSE(RecordedDatagrams::open(as_bytes_of(head)).ok()) << size;
  }
  std::string absurd = file;
  absurd.replace(24 + 8, 4, "\xFF\xFF\xFF\x7F");
  EXPECT_NE(read_datagrams(absurd).broken.find("too long"), std::string::npos);
}

TEST(RecordedDatagrams, AreReadOfPcapngInEitherByteOrder) {
  for (const bool is_big : {false, true}) {
    const std::string file =
        pcapng_section(is_big) + pcapng_interface(is_big, 1) + pcapng_interface(is_big, 105) +
        pcapng_interface(is_big, 101, 9) +
        pcapng_packet(is_big, 0, 1'500'000, a_frame(20'777, "micro")) +
        pcapng_packet(is_big, 1, 1'500'000, a_frame(20'777, "radio")) +
        block(is_big, 5, "statistics of no interest") +
        pcapng_packet(is_big, 2, 1'500'000, ipv4_packet(udp_segment(1, "nano"))) +
        pcapng_packet(is_big, 3, 1, a_frame(1, "nowhere")) +
        // A new section has interfaces of its own, and may have the other byte order.
        pcapng_section(!is_big) + pcapng_interface(!is_big, 1, 0x80 + 10) +
        pcapng_packet(!is_big, 0, 1536, a_frame(5, "binary"));
    const Read read = read_datagrams(file);
    EXPECT_EQ(read.payloads, (Texts{"micro", "nano", "binary"}));
    EXPECT_EQ(read.times, (std::vector<std::int64_t>{1'500'000'000, 1'500'000, 1'500'000'000}));
    EXPECT_EQ(read.skipped.other, 2U);
    EXPECT_TRUE(read.broken.empty()) << read.broken;
  }
}

TEST(RecordedDatagrams, OfAPcapngThatLiesAreThoseBeforeThat) {
  const std::string good = pcapng_section(false) + pcapng_interface(false, 1) +
                           pcapng_packet(false, 0, 1, a_frame(9, "a"));
  const std::string file = good + pcapng_packet(false, 0, 2, a_frame(9, "b"));
  for (std::size_t size = good.size() + 1; size < file.size(); ++size) {
    const Read read = read_datagrams(file.substr(0, size));
    EXPECT_EQ(read.payloads, Texts{"a"}) << size;
    EXPECT_FALSE(read.broken.empty()) << size;
  }
  for (const std::uint32_t length : {0U, 8U, 13U, 0xFFFFFFFCU}) {
    std::string lying = good;
    lying += FileBytes().u32(6).u32(length).u32(length).u32(0).text;
    const Read read = read_datagrams(lying);
    EXPECT_EQ(read.payloads, Texts{"a"}) << length;
    EXPECT_FALSE(read.broken.empty()) << length;
  }
  // A captured length beyond its block, a time beyond all times, a resolution that is none.
  std::string longer = pcapng_packet(false, 0, 1, a_frame(9, "c"));
  longer[8 + 12 + 3] = '\x7F';
  EXPECT_EQ(read_datagrams(good + longer).skipped.cut, 1U);
  EXPECT_EQ(read_datagrams(good + pcapng_packet(false, 0, ~std::uint64_t{0}, a_frame(9, "c")))
                .skipped.untimed,
            1U);
  EXPECT_EQ(read_datagrams(pcapng_section(false) + pcapng_interface(false, 1, 40) +
                           pcapng_packet(false, 0, 1, a_frame(9, "c")))
                .skipped.untimed,
            1U);
}

TEST(RecordedDatagrams, AreReadOfACap) {
  const std::string one = FileBytes().u64(7).u16(3).raw("one").text;
  const std::string file = one + FileBytes().u64(9).u16(0).text;
  const Read read = read_datagrams(file);
  EXPECT_EQ(read.payloads, (Texts{"one", ""}));
  EXPECT_EQ(read.times, (std::vector<std::int64_t>{7, 9}));
  EXPECT_EQ(read.ports, (std::vector<std::uint16_t>{0, 0}));
  for (std::size_t size = 1; size < file.size(); ++size) {
    if (size == one.size()) continue;
    const std::string cut = file.substr(0, size);
    EXPECT_FALSE(RecordedDatagrams::open(as_bytes_of(cut)).ok()) << size;
  }
  const std::string back = FileBytes().u64(9).u16(0).u64(7).u16(0).text;
  EXPECT_FALSE(RecordedDatagrams::open(as_bytes_of(back)).ok());
  const std::string text = "$GPRMC,170148.12,A," + std::string(20'000, '0');
  EXPECT_FALSE(RecordedDatagrams::open(as_bytes_of(text)).ok());
}

TEST(RecordedDatagrams, OfALongCapThatBreaksOffAreThoseBeforeThat) {
  std::string file;
  for (int i = 0; i < 100; ++i) file += FileBytes().u64(7).u16(3).raw("one").text;
  const Read read = read_datagrams(file.substr(0, file.size() - 1));
  EXPECT_EQ(read.payloads.size(), 99U);
  EXPECT_NE(read.broken.find("within a datagram"), std::string::npos);
  // Found by fuzzing: beyond what is looked at first, a time before all times.
  const Read absurd = read_datagrams(file + FileBytes().u64(~std::uint64_t{0}).u16(0).text);
  EXPECT_EQ(absurd.payloads.size(), 100U);
  EXPECT_NE(absurd.broken.find("a time that is none"), std::string::npos);
}

// Each datagram of two real recordings names the format that the manifest says.
TEST(RecordedDatagrams, OfRealGamesAreWhole) {
  for (const char* name : {"f1/f1_2023_garage_a.cap", "f1/f1_2023_garage_b.cap"}) {
    SKIP_WITHOUT(shared_data(name));
    const std::string file = read_whole(shared_data(name));
    const Read read = read_datagrams(file);
    EXPECT_TRUE(read.broken.empty());
    EXPECT_GT(read.payloads.size(), 10U);
    std::size_t bytes = 0;
    for (const std::string& payload : read.payloads) {
      bytes += 10 + payload.size();
      ASSERT_GE(payload.size(), 29U);
      EXPECT_EQ(payload.substr(0, 2), "\xE7\x07");  // 2023
    }
    EXPECT_EQ(bytes, file.size());
  }
}

}  // namespace
}  // namespace pitbox
