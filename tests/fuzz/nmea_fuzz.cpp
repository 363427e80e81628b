// Attacks: any bytes on a stream, cut anywhere, with a kill at the cut, give the same records and
// refusals as the same bytes at once; no state exceeds its bound or changes by being saved and
// loaded; every position kept is one on earth or NaN.
//
// Input: one byte where to cut, one byte of options, then text. With option bit 0 the checksums are
// made right first, so that mutations reach what lies behind them.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ingest/nmea_decoder.h"
#include "proto/check.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

// Wherever `$...*HH` stands without another `$` between, HH becomes right.
void make_checksums_right(std::string& text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (std::size_t at = 0; at + 2 < text.size(); ++at) {
    if (text[at] != '*') continue;
    const std::size_t start = text.rfind('$', at);
    if (start == std::string::npos) continue;
    unsigned sum = 0;
    for (std::size_t i = start + 1; i < at; ++i) sum ^= static_cast<unsigned char>(text[i]);
    text[at + 1] = kDigits[sum >> 4];
    text[at + 2] = kDigits[sum & 15];
  }
}

void expect_state_holds(const NmeaDecoder& decoder) {
  const std::string state = decoder.save();
  CHECK(state.size() <= kMaxDecoderStateBytes);
  NmeaDecoder loaded("1", true);
  CHECK(loaded.load(state).ok());
  CHECK(loaded.save() == state);
}

void expect_positions_on_earth(const RecordCollector& sink) {
  const auto found = sink.groups.find({"1", "gps"});
  if (found == sink.groups.end()) return;
  for (std::size_t row = 0; row < found->second.count; ++row) {
    CHECK(!(std::abs(found->second.value(row, 0)) > 90));
    CHECK(!(std::abs(found->second.value(row, 1)) > 180));
    const bool is_valid = found->second.value(row, 4) != 0;
    CHECK(!is_valid || std::isfinite(found->second.value(row, 0)));
  }
}

}  // namespace
}  // namespace pitbox

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pitbox;
  if (size < 2) return 0;
  std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  NmeaDecoder stranger("1", true);
  if (stranger.load(text).ok()) expect_state_holds(stranger);
  if ((data[1] & 1) != 0) make_checksums_right(text);
  const std::size_t cut = text.size() * data[0] / 255;

  RecordCollector whole;
  NmeaDecoder at_once("1", true);
  at_once.decode(data_message(text), whole);
  expect_positions_on_earth(whole);

  RecordCollector pieces;
  NmeaDecoder before("1", true);
  before.decode(data_message(std::string_view(text).substr(0, cut)), pieces);
  expect_state_holds(before);
  NmeaDecoder after("1", true);
  CHECK(after.load(before.save()).ok());
  after.decode(data_message(std::string_view(text).substr(cut)), pieces);
  expect_state_holds(after);
  CHECK(pieces.same_as(whole));
  after.decode(control_message(MessageKind::kSourceStarted), pieces);
  CHECK(after.save().empty());

  RecordCollector alone;
  NmeaDecoder datagrams("1", false);
  if (datagrams.decode(data_message(text), alone) == DecodeOutcome::kMalformed) {
    CHECK(alone.delivered == 0 && alone.rejected.empty());
  }
  expect_state_holds(datagrams);
  return 0;
}
