// DatagramPlayer: the datagrams of a recording that were sent to one port, each with the time since
// the first of them. Times never go back: a clock that was set while it was recorded stands still
// here until it is past where it was.
//
// Threads: one. `recording` must outlive the player.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ingest/recorded_datagrams.h"
#include "proto/status.h"

namespace pitbox {

class DatagramPlayer {
 public:
  // kRejected if it is no recording of datagrams, if none went to `port`, or if no port is given
  // and they went to several: these are then named.
  static Result<DatagramPlayer> make(std::span<const std::byte> recording,
                                     std::optional<std::uint16_t> port);

  struct Piece {
    std::span<const std::byte> bytes;
    std::int64_t at_ns = 0;
  };
  // Nothing at the end.
  std::optional<Piece> next();
  std::size_t position() const { return datagrams_.position(); }
  const RecordedDatagrams& recording() const { return datagrams_; }

 private:
  DatagramPlayer(const RecordedDatagrams& datagrams, std::uint16_t port)
      : datagrams_(datagrams), port_(port) {}

  RecordedDatagrams datagrams_;
  std::uint16_t port_;
  std::optional<std::int64_t> first_ns_;
  std::int64_t at_ns_ = 0;
};

}  // namespace pitbox
