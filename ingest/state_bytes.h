// StateWriter and StateReader: the bytes in which decoders and the lap engine keep their state
// between two lives. Little-endian, no padding, texts with a one-byte length. A reader that ran out
// of bytes gives zeros from then on and says so at the end, so a loader checks once and not at
// every field. Values; one thread each.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pitbox {

static_assert(std::endian::native == std::endian::little, "states are written as values lie");

class StateWriter {
 public:
  template <typename T>
  void put(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  // REQUIRES: at most 255 bytes.
  void text(std::string_view text) {
    put(static_cast<std::uint8_t>(text.size()));
    out_.append(text);
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  std::size_t size() const { return out_.size(); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class StateReader {
 public:
  explicit StateReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T get() {
    T value{};
    if (const std::string_view bytes = raw(sizeof(T)); bytes.size() == sizeof(T)) {
      std::memcpy(&value, bytes.data(), sizeof(T));
    }
    return value;
  }
  std::string_view text() { return raw(get<std::uint8_t>()); }
  std::string_view raw(std::size_t size) {
    if (size > rest_.size()) {
      is_short_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  bool is_short() const { return is_short_; }
  // Everything was there and nothing is left.
  bool is_done() const { return !is_short_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_short_ = false;
};

}  // namespace pitbox
