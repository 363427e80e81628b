// Attacks: whatever datagrams come, in whatever order, each is delivered, or refused once, or is
// none of the game's and changes nothing; what is delivered stood in the datagram where the lists
// of fields say, and no two slots' rows are under one car; a kill between two datagrams changes
// neither a record nor a count; no state exceeds its bound or changes by being saved and loaded.
//
// Input: one byte after how many datagrams to cut, one byte of options, then datagrams, each behind
// a u16 with its length. With option bit 0 each becomes one of a format, packet, size and event
// that exist, so that mutations reach what lies behind these; without, it is heard as it is.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/batch_builder.h"
#include "ingest/f1_decoder.h"
#include "proto/check.h"
#include "tests/ingest/f1_datagrams.h"
#include "tests/ingest/record_collector.h"

namespace pitbox {
namespace {

constexpr std::size_t kDatagramsMax = 24;

std::vector<std::string> datagrams_in(std::string_view input) {
  std::vector<std::string> datagrams;
  while (input.size() >= 2 && datagrams.size() < kDatagramsMax) {
    std::uint16_t size = 0;
    std::memcpy(&size, input.data(), sizeof size);
    input.remove_prefix(2);
    const std::size_t taken = std::min<std::size_t>(size % 2048, input.size());
    datagrams.emplace_back(input.substr(0, taken));
    input.remove_prefix(taken);
  }
  return datagrams;
}

void make_right(std::string& datagram) {
  datagram.resize(std::max<std::size_t>(datagram.size(), 64));
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(datagram[at]); };
  F1Head head = {.format = kF1EveryFormat[byte(0) % kF1Formats],
                 .id = static_cast<std::uint8_t>(byte(1) % kF1PacketIds),
                 .session_uid = byte(2) % 3U,
                 .session_time = static_cast<float>(byte(3)) / 7,
                 .frame = byte(4),
                 .player = byte(5)};
  if (f1_size_of(head.format, head.id) == 0) head.format = F1Format::k2026;
  if (f1_size_of(head.format, head.id) == 0) head.id = kF1EventId;
  datagram.resize(f1_size_of(head.format, head.id));
  put_head(datagram, head);
  if (head.id == kF1EventId && byte(1) < 128) {
    const auto code = f1_events()[byte(1) % f1_events().size()].code;
    datagram.replace(f1_header_bytes(head.format), code.size(), code);
  }
}

// Looks every row up in the datagram at hand.
class RowCheck final : public RecordSink {
 public:
  RowCheck(const F1Decoder& decoder, std::string_view datagram)
      : decoder_(decoder), datagram_(datagram) {}

  void rows(const RowBlock& block) override {
    CHECK(consistent(block));
    delivered += block.count;
    const bool is_old = datagram_[0] == static_cast<char>(2022 & 255);
    const auto format = static_cast<F1Format>(static_cast<std::uint8_t>(datagram_[0]) - 0xE6);
    const auto id = static_cast<std::uint8_t>(datagram_[is_old ? 5 : 6]);
    const std::string_view frame = datagram_.substr(is_old ? 18 : 19, 4);
    const std::string& group = (*block.definition)->group().group;
    for (std::size_t row = 0; row < block.count; ++row) {
      const auto bytes = block.rows.subspan(row * (*block.definition)->row_bytes());
      std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                            (*block.definition)->row_bytes());
      CHECK(text.ends_with(frame));
      text.remove_suffix(frame.size());
      std::size_t at = f1_header_bytes(format);
      if (group == "f1.header") {
        expect_fields(f1_header_fields(), format, 0, text);
      } else if (id == kF1EventId) {
        expect_fields(event_of(group).fields, format, at + kF1EventCodeBytes, text);
      } else if (const auto* records = records_of(id, group, format, at); records != nullptr) {
        const bool is_each_car = records->is_each_car;
        const std::size_t record =
            is_each_car ? slot_of(block.car) : static_cast<std::uint8_t>(text.back());
        if (!is_each_car) text.remove_suffix(1);
        CHECK(is_each_car || record == row);
        expect_fields(records->fields, format, at + record * f1_bytes(records->fields, format),
                      text);
      } else {
        CHECK(group == f1_packet_of(id)->group);
        expect_fields(f1_packet_of(id)->fields, format, at, text);
      }
    }
  }
  void reject(RejectReason, std::uint64_t records) override { refused += records; }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {
    CHECK(false);
  }

  std::uint64_t delivered = 0;
  std::uint64_t refused = 0;

 private:
  static const F1Event& event_of(std::string_view group) {
    const auto events = f1_events();
    const auto found = std::find_if(events.begin(), events.end(), [&](const F1Event& each) {
      return group.ends_with(each.code);
    });
    CHECK(found != events.end());
    return *found;
  }

  // Null if the group is of what stands in the packet once. `at` becomes the first record's place.
  static const F1Records* records_of(std::uint8_t id, std::string_view group, F1Format format,
                                     std::size_t& at) {
    for (const F1Field& field : f1_packet_of(id)->fields) {
      if (field.type != F1Type::kRecords || !f1_has(field, format)) continue;
      if (field.records->group != group) continue;
      at += static_cast<std::size_t>(f1_offset(f1_packet_of(id)->fields, field.name, format));
      return field.records;
    }
    return nullptr;
  }

  std::size_t slot_of(std::string_view car) const {
    const auto all = decoder_.participants();
    const auto is_it = [&](const F1Participant& each) { return each.car == car; };
    CHECK(std::count_if(all.begin(), all.end(), is_it) == 1);
    return static_cast<std::size_t>(std::find_if(all.begin(), all.end(), is_it) - all.begin());
  }

  // What stands at `at` is the row, field by field.
  void expect_fields(std::span<const F1Field> fields, F1Format format, std::size_t at,
                     std::string_view row) const {
    for (const F1Field& field : fields) {
      if (!f1_has(field, format)) continue;
      const std::size_t size = f1_count(field, format) * f1_width(field, format);
      if (field.type < F1Type::kText) {
        CHECK(row.size() >= size && row.substr(0, size) == datagram_.substr(at, size));
        row.remove_prefix(size);
      }
      at += size;
    }
    CHECK(row.empty());
  }

  const F1Decoder& decoder_;
  const std::string_view datagram_;
};

void expect_f1_state_holds(const F1Decoder& decoder) {
  const std::string state = decoder.save();
  CHECK(state.size() <= 1215);
  F1Decoder loaded;
  CHECK(loaded.load(state).ok());
  CHECK(loaded.save() == state);
}

// Each datagram alone: refused once at most, and not without reason.
void hear_alone(F1Decoder& decoder, std::string_view datagram) {
  const std::string before = decoder.save();
  const std::uint64_t version = decoder.state_version();
  RowCheck sink(decoder, datagram);
  const DecodeOutcome outcome = decoder.decode(data_message(datagram), sink);
  CHECK(sink.refused <= 1 && (sink.refused == 0 || sink.delivered == 0));
  if (outcome == DecodeOutcome::kMalformed) CHECK(sink.refused == 0 && sink.delivered == 0);
  const bool is_taken = outcome == DecodeOutcome::kDecoded && sink.refused == 0;
  const bool is_changed = decoder.save() != before;
  if (!is_taken) CHECK(!is_changed);
  if (!is_changed) return;
  CHECK(decoder.state_version() != version);
  expect_f1_state_holds(decoder);
}

class RowsInOrder final : public RecordSink {
 public:
  void rows(const RowBlock& block) override {
    heard += std::string(block.car) + '\t' + (*block.definition)->group().group + '\t' +
             std::to_string(block.source_ns[0]) + '\t';
    heard.append(reinterpret_cast<const char*>(block.rows.data()), block.rows.size());
  }
  void reject(RejectReason reason, std::uint64_t records) override {
    heard += "reject " + std::string(to_string(reason)) + std::to_string(records);
  }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}
  std::string heard;
};

}  // namespace
}  // namespace pitbox

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pitbox;
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  F1Decoder stranger;
  if (stranger.load(text).ok()) expect_f1_state_holds(stranger);
  std::vector<std::string> datagrams = datagrams_in(text);
  if ((data[1] & 1) != 0) std::for_each(datagrams.begin(), datagrams.end(), make_right);

  F1Decoder alone;
  for (const std::string& each : datagrams) hear_alone(alone, each);

  RowsInOrder whole;
  F1Decoder at_once;
  for (const std::string& each : datagrams) at_once.decode(data_message(each), whole);
  RowsInOrder pieces;
  F1Decoder before;
  F1Decoder after;
  const std::size_t cut = std::min<std::size_t>(data[0], datagrams.size());
  for (std::size_t i = 0; i < cut; ++i) before.decode(data_message(datagrams[i]), pieces);
  CHECK(after.load(before.save()).ok());
  for (std::size_t i = cut; i < datagrams.size(); ++i) {
    after.decode(data_message(datagrams[i]), pieces);
  }
  CHECK(pieces.heard == whole.heard);
  CHECK(after.save() == at_once.save());
  return 0;
}
