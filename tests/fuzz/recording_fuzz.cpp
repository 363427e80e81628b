// Attacks: whatever a recording says, each datagram of it lies in the file, is no longer than a UDP
// datagram can be, and comes after the one before; all that is read or passed over is there at most
// once; and a second look finds the same.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ingest/recorded_datagrams.h"
#include "proto/check.h"

namespace pitbox {
namespace {

constexpr std::size_t kUdpBytesMax = 65'535;

struct Looked {
  std::vector<std::span<const std::byte>> datagrams;
  std::vector<std::int64_t> times;
  std::uint64_t skipped = 0;
  bool is_broken = false;
};

Looked look(RecordedDatagrams datagrams, std::span<const std::byte> content) {
  Looked looked;
  const std::byte* past = content.data();
  std::size_t before = datagrams.position();
  while (const auto datagram = datagrams.next()) {
    CHECK(datagrams.position() > before && datagrams.position() <= content.size());
    before = datagrams.position();
    const std::byte* from = datagram->bytes.data();
    CHECK(datagram->bytes.size() <= kUdpBytesMax);
    CHECK(from >= past && from + datagram->bytes.size() <= content.data() + before);
    past = from + datagram->bytes.size();
    CHECK(datagram->at_ns >= 0);
    looked.datagrams.push_back(datagram->bytes);
    looked.times.push_back(datagram->at_ns);
  }
  CHECK(datagrams.position() == content.size());
  const RecordedDatagrams::Skipped& skipped = datagrams.skipped();
  looked.skipped = skipped.other + skipped.fragments + skipped.cut + skipped.untimed;
  // A record takes ten bytes at least.
  CHECK(looked.skipped + looked.datagrams.size() <= content.size() / 10);
  looked.is_broken = !datagrams.broken().empty();
  return looked;
}

}  // namespace
}  // namespace pitbox

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pitbox;
  const auto content = std::as_bytes(std::span(data, size));
  const auto opened = RecordedDatagrams::open(content);
  if (!opened.ok()) return 0;
  const Looked once = look(opened.value(), content);
  const Looked again = look(opened.value(), content);
  CHECK(once.times == again.times && once.skipped == again.skipped);
  CHECK(once.datagrams.size() == again.datagrams.size() && once.is_broken == again.is_broken);
  for (std::size_t i = 0; i < once.datagrams.size(); ++i) {
    CHECK(once.datagrams[i].data() == again.datagrams[i].data());
    CHECK(once.datagrams[i].size() == again.datagrams[i].size());
  }
  return 0;
}
