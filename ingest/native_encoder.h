// NativeEncoder: the sending side of NATIVE.md, for whatever feeds Pitbox: the simulator, a test, a
// logger's firmware. It makes packets; sending them is the caller's.
//
// Threads: one at a time. Memory: one entry for each group announced.
//
//   NativeEncoder encoder(sender);                     // A random number, new at each start.
//   send(encoder.announce(1, "007", definition).take());
//   while (!times.empty()) {
//     datagram.clear();
//     std::size_t taken = encoder.append_rows(1, times, rows, 1400, datagram);
//     send(datagram);
//     ... drop `taken` rows from the front of `times` and `rows`
//   }

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "proto/definition.h"
#include "proto/status.h"

namespace pitbox {

class NativeEncoder {
 public:
  explicit NativeEncoder(std::uint32_t sender) : sender_(sender) {}

  // The packet that says what `group` means from now on; send it first, and again now and then
  // where packets may be lost. Announcing the same again changes nothing. kRejected if the car's
  // name is not 1..kMaxNameBytes of plain text or the packet would exceed 65,507 bytes.
  Result<std::string> announce(std::uint16_t group, std::string_view car, DefinitionPtr definition);

  // Appends one packet to `datagram` with as many of the rows, from the front, as fit when the
  // datagram may grow to `bytes_max`; returns how many. 0, and no change, if not one fits. Equally
  // spaced times cost nothing, others 4 bytes a row and at most 4.29 s a packet.
  // REQUIRES: `group` is announced; `source_ns` has one time per row, or is empty if the definition
  // has no source time; `rows` is a whole number of rows, the same number.
  std::size_t append_rows(std::uint16_t group, std::span<const std::int64_t> source_ns,
                          std::span<const std::byte> rows, std::size_t bytes_max,
                          std::string& datagram);

  // Numbered rows packets of `group` so far.
  std::uint64_t sequence(std::uint16_t group) const;
  std::uint32_t sender() const { return sender_; }

 private:
  struct Group {
    DefinitionPtr definition;
    std::uint64_t check = 0;
    std::uint64_t sequence = 0;
  };

  const std::uint32_t sender_;
  std::map<std::uint16_t, Group> groups_;
};

}  // namespace pitbox
