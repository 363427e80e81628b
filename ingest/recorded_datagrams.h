// RecordedDatagrams: UDP datagrams out of a recording, in the order of the file, each with its
// time.
//
//   pcap     classic capture files, of either byte order, in micro- or nanoseconds
//   pcapng   with any number of sections and interfaces, times at any resolution
//   cap      repeated <u64 time in ns><u16 length><payload>, little-endian, without any header
//
// A file is a cap if it is neither of the others, does not begin as text, and its first records, up
// to 64, fit into it with times that do not go back.
//
// Bytes of a recording are hostile: every length is checked against what is there, and a file that
// ends in the middle of a record gives what came before, and says so (broken()).
//
// Limits: a packet of at most 256 KiB, 256 interfaces in a section.
//
// Threads: one. `content` must outlive the object and what it gave.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/status.h"

namespace pitbox {

class RecordedDatagrams {
 public:
  enum class Container : std::uint8_t { kPcap, kPcapng, kCap };
  struct Datagram {
    std::int64_t at_ns = 0;  // Since 1970 in captures; of some clock in a cap.
    std::uint16_t port = 0;  // It was sent to; 0 in a cap, which does not say.
    std::span<const std::byte> bytes;
  };
  struct Skipped {
    std::uint64_t other = 0;  // No UDP.
    std::uint64_t fragments = 0;
    std::uint64_t cut = 0;  // Captured in part only.
    std::uint64_t untimed = 0;
  };

  // kRejected, saying why, if it is none of these, or of a link layer that is not known.
  static Result<RecordedDatagrams> open(std::span<const std::byte> content);

  // Nothing at the end.
  std::optional<Datagram> next();

  Container container() const { return container_; }
  const Skipped& skipped() const { return skipped_; }
  // At the end: empty, or where and how the file breaks off.
  const std::string& broken() const { return broken_; }
  std::size_t position() const { return at_; }

 private:
  struct Interface {
    std::uint16_t link_type = 0;
    std::uint8_t resolution = 6;  // As in the file: a power of ten, or of two with the top bit.
  };
  struct Packet {
    std::int64_t at_ns = 0;
    std::uint32_t link_type = 0;
    std::span<const std::byte> bytes;
  };

  RecordedDatagrams(std::span<const std::byte> content, Container container)
      : content_(content), container_(container) {}
  Status begin_pcap(std::uint32_t magic);
  std::optional<Packet> next_pcap();
  std::optional<Packet> next_pcapng();
  std::optional<Datagram> next_cap();
  bool take_section(std::size_t at);
  void take_interface(std::span<const std::byte> body);
  std::optional<Packet> take_packet(std::span<const std::byte> body);
  std::optional<Datagram> datagram_of(const Packet& packet);
  bool has(std::size_t bytes) const { return content_.size() - at_ >= bytes; }
  std::uint32_t word(std::span<const std::byte> bytes, std::size_t at) const;
  std::uint16_t half(std::span<const std::byte> bytes, std::size_t at) const;
  void break_off(std::string_view why);

  std::span<const std::byte> content_;
  Container container_;
  std::size_t at_ = 0;
  bool is_swapped_ = false;  // The file is big-endian.
  bool has_ns_ = false;      // pcap: fractions are nanoseconds.
  std::uint32_t link_type_ = 0;
  std::vector<Interface> interfaces_;
  Skipped skipped_;
  std::string broken_;
};

std::string_view to_string(RecordedDatagrams::Container container);

}  // namespace pitbox
