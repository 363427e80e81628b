// Records numbered 1, 2, 3, ... as a car would send them in native datagrams, and what a ledger
// expects of them.
//
// Threads: one at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ingest/native_encoder.h"
#include "proto/batch.h"
#include "proto/definition.h"

namespace pitbox {

// Each record is a row of so many samples; each datagram has so many records.
inline constexpr std::size_t kNumberedSamples = 20;
inline constexpr std::size_t kNumberedRecords = 10;

class NumberedDatagrams {
 public:
  // `sender`: another one for each life of the sender (NATIVE.md).
  explicit NumberedDatagrams(std::uint32_t sender);
  // Says what the records mean; to be sent before any of them.
  std::string announcement();
  // Records `first` to first + kNumberedRecords - 1.
  std::string from(std::uint64_t first);

 private:
  const DefinitionPtr definition_;
  NativeEncoder encoder_;
};

// The identities of records `first` to `last`, in that order. 16 bytes each.
std::vector<RowIdentity> numbered_rows(std::uint64_t first, std::uint64_t last);

}  // namespace pitbox
