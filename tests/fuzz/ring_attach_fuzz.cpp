// Whatever bytes the ring file holds, open() makes a ring of it: the one that was there, if all of
// it fits together, or a new one. Then every message can be read inside the mapping, to the end;
// what was attached is found the same again by the next open(), with nothing more to recover; and
// the ring works.
//
// Input: first byte, bit 0: the rest is the file; otherwise the rest is patches {region, offset
// u16, length, bytes} to a file with three messages and two received datagrams, and bit 1 repairs
// the header's check afterwards, so that its fields are read, too.

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "buffer/clock.h"
#include "buffer/ring.h"
#include "buffer/ring_layout.h"
#include "proto/check.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.
namespace fs = std::filesystem;

fs::path folder() {
  static const fs::path kFolder = [] {
    const fs::path root =
        fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    return root / ("ring-fuzz-" + std::to_string(getpid()));
  }();
  return kFolder;
}

MessageRing::Options options() {
  MessageRing::Options made;
  made.file = folder() / "ring";
  made.ring_bytes = std::size_t{1} << 20;
  made.slot_count = 4;
  made.slot_bytes = 128;
  return made;
}

void put(std::string& file, std::size_t offset, const void* bytes, std::size_t length) {
  if (offset + length <= file.size()) std::memcpy(file.data() + offset, bytes, length);
}

// Three messages, and two datagrams that the kernel wrote before the process died.
std::string given_file() {
  {
    const auto ring = MessageRing::open(options());
    CHECK(ring.ok());
    const std::array<std::byte, 40> bytes{};
    for (int i = 0; i < 3; ++i) CHECK(ring.value()->publish(7, 1, bytes).ok());
  }
  std::ifstream in(options().file, std::ios::binary);
  std::string file{std::istreambuf_iterator<char>(in), {}};
  const RingGeometry geometry = geometry_of(options());
  for (std::size_t slot = 0; slot < 2; ++slot) {
    const std::uint32_t length = 100;
    put(file, geometry.headers_offset() + slot * sizeof(mmsghdr) + offsetof(mmsghdr, msg_len),
        &length, sizeof length);
  }
  return file;
}

void patch(std::string& file, const std::uint8_t* data, std::size_t size) {
  const RingGeometry geometry = geometry_of(options());
  const std::array<std::size_t, 4> regions = {0, geometry.headers_offset(),
                                              geometry.controls_offset(), geometry.ring_offset()};
  while (size >= 4) {
    const std::size_t offset = regions[data[0] % regions.size()] + data[1] + data[2] * 256U;
    const std::size_t length = std::min<std::size_t>(data[3], size - 4);
    put(file, offset, data + 4, length);
    data += 4 + length;
    size -= 4 + length;
  }
}

void repair_check(std::string& file) {
  RingFileHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  const RingGeometry geometry{header.ring_bytes, header.slot_count, header.slot_bytes,
                              header.is_stream == 1};
  const RingFileHeader right = new_header(geometry, header.ring_id, system_clock().boot_id());
  put(file, offsetof(RingFileHeader, check), &right.check, sizeof right.check);
}

struct Found {
  std::uint64_t id = 0;
  std::uint64_t last_number = 0;
  std::uint64_t head = 0;
  std::size_t payload_bytes = 0;
  std::uint8_t mix = 0;  // Of every byte: a span outside the mapping would not survive it.
  friend bool operator==(const Found&, const Found&) = default;
};

Found read_everything(const MessageRing& ring) {
  Found found{.id = ring.id(), .last_number = ring.last_number(), .head = ring.head()};
  std::uint64_t position = ring.tail();
  for (;;) {
    const std::uint64_t before = position;
    const auto message = ring.read(position);
    CHECK(message.ok());
    if (!message.value()) break;
    CHECK(position > before && position <= ring.head());
    found.payload_bytes += message.value()->bytes.size();
    for (const std::byte byte : message.value()->bytes) {
      found.mix = static_cast<std::uint8_t>(found.mix * 31 + std::to_integer<int>(byte));
    }
  }
  CHECK(position == ring.head());
  CHECK(ring.tail_number() <= ring.last_number());
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  fs::create_directories(folder());
  static const std::string kGiven = given_file();
  std::string file;
  if ((data[0] & 1U) != 0) {
    file.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  } else {
    file = kGiven;
    patch(file, data + 1, size - 1);
    if ((data[0] & 2U) != 0) repair_check(file);
  }
  std::ofstream(options().file, std::ios::binary | std::ios::trunc) << file;

  Found first;
  {
    const auto ring = MessageRing::open(options());
    CHECK(ring.ok());
    CHECK(ring.value()->was_attached() || ring.value()->last_number() == 0);
    first = read_everything(*ring.value());
  }
  const auto again = MessageRing::open(options());
  CHECK(again.ok() && again.value()->recovered() == 0);
  const bool is_replaced = first.last_number == 0 && again.value()->id() != first.id;
  CHECK(is_replaced || read_everything(*again.value()) == first ||
        again.value()->head() == first.head + 64);  // Source started, said once more.
  const std::array<std::byte, 8> bytes{};
  const Status status = again.value()->publish(7, 1, bytes);
  CHECK(status.ok() || status.code() == Code::kFull);
  fs::remove_all(folder());
  return 0;
}
