// Attacks RoomDownload: whatever a room sends to `pitbox verify`, each entry it gives is one whole
// entry, put together of bytes that came, with a hash per sequence; what it refuses is kCorrupt;
// after its end it gives nothing more.
//
// Input: one byte of options (bit 0: live), then frames one after the other, each as a
// little-endian u16 length and that many bytes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/batch.h"
#include "proto/check.h"
#include "sync/room_download.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::size_t came = 0;
  std::size_t given = 0;
  bool is_over = false;
  const RoomDownload::Visit visit = [&](const DownloadedEntry& entry) -> Status {
    CHECK(!is_over && !entry.bytes.empty() && entry.bytes.size() <= kMaxBatchBytes);
    CHECK(entry.first >= 1 && entry.last >= entry.first);
    CHECK(entry.hashes.size() == entry.last - entry.first + 1);
    for (const DefinitionPtr& definition : entry.definitions) CHECK(definition != nullptr);
    given += entry.bytes.size();
    CHECK(given <= came);
    return entry.car == "stop" ? Status::rejected("seen enough") : Status();
  };
  RoomDownload download((data[0] & 1) != 0, visit);
  for (std::size_t at = 1; at + 2 <= size;) {
    const auto length = static_cast<std::size_t>(data[at] | data[at + 1] << 8);
    const std::string_view frame = input.substr(at + 2, length);
    at += 2 + frame.size();
    came += frame.size();
    is_over = download.result().has_value();
    const Status taken = download.take(frame);
    CHECK(!is_over || taken.ok());
    CHECK(taken.ok() || (taken.code() == Code::kCorrupt && download.result().has_value()));
  }
  return 0;
}
