#include "buffer/clock.h"

#include <fstream>

#include <ctime>

#include "proto/check.h"

namespace pitbox {
namespace {

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  CHECK(clock_gettime(id, &now) == 0);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

class SystemClock final : public Clock {
 public:
  BootNs boot_now() const override { return read_clock(CLOCK_BOOTTIME); }
  WallNs wall_now() const override { return read_clock(CLOCK_REALTIME); }
  std::string boot_id() const override { return boot_id_; }

 private:
  const std::string boot_id_ = read_boot_id();
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock kClock;
  return kClock;
}

}  // namespace pitbox
