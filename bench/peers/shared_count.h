// SharedCount: a number in a file of 8 bytes that others may look at while it grows: how much was
// sent, how much arrived. Little-endian.
//
// Threads: one writes; readers map or read the file.

#pragma once

#include <cstdint>
#include <string>

#include "proto/status.h"

namespace pitbox {

class SharedCount {
 public:
  // An object that nobody looks at.
  SharedCount() = default;
  // `file` empty: the same.
  static Result<SharedCount> make(const std::string& file);
  SharedCount(SharedCount&& other) noexcept;
  SharedCount& operator=(SharedCount&& other) noexcept;
  ~SharedCount();

  void set(std::uint64_t value);

 private:
  std::uint64_t* word_ = nullptr;
};

}  // namespace pitbox
