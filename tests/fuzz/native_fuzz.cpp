// Attacks: any bytes, from any sender, cut anywhere, with a kill at the cut, give the same records
// and refusals as the same bytes at once; no state exceeds its bound or changes by being saved and
// loaded; nobody gets more rows counted than he sent bytes.
//
// Input: one byte where to cut, one byte of options, then packets. With option bit 0 the packets'
// checks are made right first, so that mutations reach what lies behind them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "ingest/native_decoder.h"
#include "proto/check.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

// Follows the packets by their lengths; announcements get their check, rows that of their group.
void make_checks_right(std::string& bytes) {
  std::map<std::uint16_t, std::uint64_t> checks;
  std::size_t at = 0;
  while (bytes.size() - at >= kNativeHeaderBytes) {
    const auto rest = std::as_bytes(std::span(bytes)).subspan(at);
    const auto header = load_native<NativeHeader>(rest.data());
    if (header.length < kNativeHeaderBytes || header.length > rest.size()) return;
    std::uint64_t check = checks[header.group];
    if (header.kind == static_cast<std::uint8_t>(NativeKind::kAnnounce)) {
      check = native_check(rest.first(header.length).subspan(kNativeHeaderBytes));
      checks[header.group] = check;
    }
    std::memcpy(bytes.data() + at + offsetof(NativeHeader, check), &check, sizeof check);
    at += header.length;
  }
}

void expect_state_holds(const NativeDecoder& decoder, bool is_stream) {
  const std::string state = decoder.save();
  CHECK(state.size() <= kMaxDecoderStateBytes);
  NativeDecoder loaded(is_stream);
  CHECK(loaded.load(state).ok());
  CHECK(loaded.save() == state);
}

std::uint64_t sum_of(const std::map<RejectReason, std::uint64_t>& rejected) {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : rejected) sum += count;
  return sum;
}

void run(std::string_view bytes, std::size_t cut, bool is_stream) {
  RecordCollector whole;
  NativeDecoder at_once(is_stream);
  at_once.decode(data_message(bytes), whole);
  expect_state_holds(at_once, is_stream);
  CHECK(whole.delivered + sum_of(whole.rejected) <= bytes.size());
  if (!is_stream) return;

  RecordCollector pieces;
  NativeDecoder before(true);
  before.decode(data_message(bytes.substr(0, cut)), pieces);
  expect_state_holds(before, true);
  NativeDecoder after(true);
  CHECK(after.load(before.save()).ok());
  after.decode(data_message(bytes.substr(cut)), pieces);
  CHECK(pieces.same_as(whole));
  CHECK(after.save() == at_once.save());
  after.decode(control_message(MessageKind::kSourceStarted), pieces);
  expect_state_holds(after, true);
}

}  // namespace
}  // namespace pitbox

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pitbox;
  if (size < 2) return 0;
  std::string bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  NativeDecoder stranger(true);
  if (stranger.load(bytes).ok()) expect_state_holds(stranger, true);
  if ((data[1] & 1) != 0) make_checks_right(bytes);
  const std::size_t cut = bytes.size() * data[0] / 255;
  run(bytes, cut, true);
  run(bytes, cut, false);
  return 0;
}
