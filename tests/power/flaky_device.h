// FlakyDevice: a device-mapper device of target "flakey" over another block device. It passes
// everything on, until power is cut: from then on writes vanish though they report success, or they
// fail.
//
// What vanishes is what the kernel had not yet given to the device. A write that was given to it
// stays, synced or not: a volatile cache inside the device is not modelled.
//
// Threads: one. Needs root and the module dm-flakey.

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "proto/status.h"

namespace pitbox {

enum class PowerFault : std::uint8_t { kDropWrites, kFailWrites };

class FlakyDevice {
 public:
  // REQUIRES: nothing else has `under` open.
  static Result<std::unique_ptr<FlakyDevice>> make(const std::filesystem::path& under);
  // Removes the device, if nobody has it open.
  ~FlakyDevice();
  FlakyDevice(const FlakyDevice&) = delete;
  FlakyDevice& operator=(const FlakyDevice&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // What cut() will bring. Costs the time that cut() then saves.
  Status prepare(PowerFault fault) const;
  // From the return on nothing is written. Writes that were begun are finished; the file system is
  // not asked to write what it holds.
  Status cut() const;
  // Everything passes again. REQUIRES: nobody has the device open, or it will see what it believes
  // it wrote.
  Status restore() const;

 private:
  FlakyDevice(int control, std::filesystem::path under, std::uint64_t sectors)
      : control_(control), under_(std::move(under)), sectors_(sectors) {}
  Status create();
  Status load(const std::string& features) const;
  Status activate() const;

  const int control_;
  const std::filesystem::path under_;
  const std::uint64_t sectors_;
  std::filesystem::path path_;
};

}  // namespace pitbox
