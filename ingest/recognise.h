// Recogniser: which decoder understands what is heard somewhere. Each decoder is tried on the same
// messages, so whatever there is a decoder for is recognised, without being described twice.
//
// Threads: one. Memory: the decoders, and at most kNamesMax names of cars and of groups for each.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"

namespace pitbox {

class Recogniser {
 public:
  static constexpr std::size_t kNamesMax = 64;

  struct Tried {
    std::string_view decoder;
    std::uint64_t understood = 0;  // Messages of which nothing was refused as not its format.
    std::uint64_t records = 0;
    std::uint64_t refused = 0;  // Records.
    std::set<std::string> cars;
    std::set<std::string> groups;
  };

  // `is_stream`: messages are pieces of one stream.
  explicit Recogniser(bool is_stream);
  ~Recogniser();
  Recogniser(const Recogniser&) = delete;
  Recogniser& operator=(const Recogniser&) = delete;

  void hear(std::span<const std::byte> bytes);

  std::uint64_t messages() const { return messages_; }
  // The decoder that understood most, if it understood more than half of all and gave records; else
  // null.
  const Tried* best() const;

 private:
  class Sink;
  struct Candidate;

  std::vector<Candidate> candidates_;
  std::uint64_t messages_ = 0;
};

}  // namespace pitbox
