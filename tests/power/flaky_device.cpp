#include "tests/power/flaky_device.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pitbox {
namespace {

constexpr const char* kDeviceName = "pitbox-flaky";
constexpr std::size_t kParametersMax = 256;

// What one request to the device mapper takes: its head, one target, the target's parameters.
struct MapperRequest {
  dm_ioctl head{};
  dm_target_spec target{};
  char parameters[kParametersMax]{};

  MapperRequest() {
    head.version[0] = DM_VERSION_MAJOR;
    head.data_size = sizeof *this;
    head.data_start = sizeof head;
    std::strncpy(head.name, kDeviceName, sizeof head.name - 1);
  }
};

Status mapper_failure(const std::string& step) {
  return {Code::kFatal, step + ": " + std::strerror(errno)};
}

}  // namespace

Result<std::unique_ptr<FlakyDevice>> FlakyDevice::make(const std::filesystem::path& under) {
  const int device = open(under.c_str(), O_RDONLY | O_CLOEXEC);
  if (device < 0) return mapper_failure(under.string());
  std::uint64_t bytes = 0;
  const bool has_size = ioctl(device, BLKGETSIZE64, &bytes) == 0;
  close(device);
  if (!has_size) return mapper_failure(under.string());
  const int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
  if (control < 0) return mapper_failure("/dev/mapper/control");
  std::unique_ptr<FlakyDevice> made(new FlakyDevice(control, under, bytes / 512));
  if (Status created = made->create(); !created.ok()) return created;
  if (Status restored = made->restore(); !restored.ok()) return restored;
  return made;
}

FlakyDevice::~FlakyDevice() {
  MapperRequest request;
  if (!path_.empty()) ioctl(control_, DM_DEV_REMOVE, &request);
  close(control_);
}

Status FlakyDevice::create() {
  MapperRequest request;
  if (ioctl(control_, DM_DEV_CREATE, &request) != 0) return mapper_failure("create device");
  path_ = "/dev/dm-" + std::to_string(minor(request.head.dev));
  return {};
}

Status FlakyDevice::load(const std::string& features) const {
  MapperRequest request;
  request.head.target_count = 1;
  request.target.length = sectors_;
  std::strncpy(request.target.target_type, "flakey", sizeof request.target.target_type - 1);
  const std::string parameters = under_.string() + " 0 " + features;
  CHECK(parameters.size() < kParametersMax);
  std::memcpy(request.parameters, parameters.data(), parameters.size());
  if (ioctl(control_, DM_TABLE_LOAD, &request) == 0) return {};
  return mapper_failure("load table '" + parameters + "'");
}

Status FlakyDevice::activate() const {
  MapperRequest request;
  // Without this the file system would be told to write everything first.
  request.head.flags = DM_SKIP_LOCKFS_FLAG;
  if (ioctl(control_, DM_DEV_SUSPEND, &request) == 0) return {};
  return mapper_failure("activate table");
}

// The numbers: seconds up and seconds down, again and again, and how many features follow.
Status FlakyDevice::prepare(PowerFault fault) const {
  return load(fault == PowerFault::kDropWrites ? "0 3600 1 drop_writes" : "0 3600 1 error_writes");
}

Status FlakyDevice::cut() const {
  return activate();
}

Status FlakyDevice::restore() const {
  Status loaded = load("3600 0");
  return loaded.ok() ? activate() : loaded;
}

}  // namespace pitbox
