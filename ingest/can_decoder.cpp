#include "ingest/can_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are written as values lie");

constexpr std::uint8_t reason_bit(CanRawReason reason) {
  return static_cast<std::uint8_t>(reason);
}

// The signal's value, extended to 64 bits. REQUIRES: 9 readable bytes from bits.byte on.
std::uint64_t can_value_of(const CanBits& bits, const std::byte* data) {
  const std::byte* const at = data + bits.byte;
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  std::uint64_t top = 0;
  if (bits.is_motorola) {
    top = __builtin_bswap64(word) << bits.shift;
    if (bits.has_ninth) top |= std::to_integer<std::uint64_t>(at[8]) >> (8U - bits.shift);
  } else {
    top = word >> bits.shift;
    if (bits.has_ninth) top |= std::to_integer<std::uint64_t>(at[8]) << (64U - bits.shift);
    top <<= bits.drop;
  }
  if (!bits.is_signed) return top >> bits.drop;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(top) >> bits.drop);
}

bool is_in_ranges(const std::vector<DbcRange>& ranges, std::uint64_t value) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const DbcRange& each) {
    return each.first <= value && value <= each.last;
  });
}

template <typename T>
std::byte* put_can_value(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

const DefinitionPtr& can_raw_group(bool is_fd) {
  static const DefinitionPtr kClassic = can_raw_definition();
  static const DefinitionPtr kFd = can_raw_fd_definition();
  return is_fd ? kFd : kClassic;
}

const DefinitionPtr& can_error_group() {
  static const DefinitionPtr kError = can_error_definition();
  return kError;
}

}  // namespace

CanDecoder::CanDecoder(std::string car, const Dbc& dbc)
    : car_(std::move(car)),
      plan_(dbc),
      // Values are stored as 8 bytes whatever their width: what hangs over is overwritten by the
      // next, of the last by nothing.
      row_(std::max(plan_.row_bytes_max(), can_raw_group(true)->row_bytes()) + 8),
      is_decoded_(plan_.groups_max()) {}

Status CanDecoder::load(std::string_view state) {
  if (state.empty()) return {};
  return {Code::kCorrupt, "can state: there is none to load"};
}

DecodeOutcome CanDecoder::decode(const Message& message, RecordSink& sink) {
  if (message.kind != MessageKind::kData) return DecodeOutcome::kDecoded;
  if (message.truncated) return DecodeOutcome::kMalformed;
  const std::optional<CanFrame> frame = can_frame_of(message.bytes);
  if (!frame) return DecodeOutcome::kMalformed;
  if (frame->is_error()) {
    keep_error(*frame, message.receive_ns, sink);
    return DecodeOutcome::kDecoded;
  }
  std::uint8_t reasons = reason_bit(CanRawReason::kNoEntry);
  if (frame->is_remote()) {
    reasons = reason_bit(CanRawReason::kRemote);
  } else if (const CanMessagePlan* plan = plan_.find(frame->frame.can_id & ~CAN_RTR_FLAG)) {
    reasons = decode_groups(*plan, *frame, message.receive_ns, sink);
  }
  if (reasons != 0) keep_raw(*frame, reasons, message.receive_ns, sink);
  return DecodeOutcome::kDecoded;
}

std::uint8_t CanDecoder::decode_groups(const CanMessagePlan& plan, const CanFrame& frame,
                                       std::int64_t receive_ns, RecordSink& sink) {
  if (plan.groups.empty()) return reason_bit(CanRawReason::kNoEntry);
  Data data{};
  std::memcpy(data.data(), frame.frame.data, frame.is_fd ? kCanDataBytesMax : CAN_MAX_DLEN);
  std::uint8_t reasons = plan.has_left_out ? reason_bit(CanRawReason::kLeftOut) : std::uint8_t{0};
  if (frame.frame.len < plan.bytes) reasons |= reason_bit(CanRawReason::kShorter);
  if (frame.frame.len > plan.bytes) reasons |= reason_bit(CanRawReason::kLonger);
  std::fill_n(is_decoded_.begin(), plan.groups.size(), std::uint8_t{0});
  if (plan.groups.front().when.empty()) {
    is_decoded_[0] = decode_group(plan.groups.front(), frame, data, receive_ns, sink) ? 1 : 0;
  }
  for (const CanSwitchPlan& each : plan.switches) {
    if (is_decoded_[each.home] == 0) continue;
    const std::uint64_t value = can_value_of(each.bits, data.data());
    bool is_known = false;
    for (std::size_t i = each.first; i < each.last; ++i) {
      if (!is_in_ranges(plan.groups[i].when, value)) continue;
      is_known = true;
      is_decoded_[i] = decode_group(plan.groups[i], frame, data, receive_ns, sink) ? 1 : 0;
    }
    if (!is_known) reasons |= reason_bit(CanRawReason::kMultiplexer);
  }
  return reasons;
}

bool CanDecoder::decode_group(const CanGroupPlan& plan, const CanFrame& frame, const Data& data,
                              std::int64_t receive_ns, RecordSink& sink) {
  if (frame.frame.len < plan.bytes_needed) return false;
  for (const CanBits& bits : plan.signals) {
    put_can_value(row_.data() + bits.column, can_value_of(bits, data.data()));
  }
  hand_over(plan.definition, receive_ns, sink);
  return true;
}

void CanDecoder::keep_raw(const CanFrame& frame, std::uint8_t reasons, std::int64_t receive_ns,
                          RecordSink& sink) {
  std::byte* at = put_can_value(row_.data(), frame.frame.can_id);
  at = put_can_value(at, frame.frame.len);
  at = put_can_value(at, frame.frame.flags);
  at = put_can_value(at, frame.raw_dlc);
  at = put_can_value(at, reasons);
  std::memcpy(at, frame.frame.data, frame.is_fd ? kCanDataBytesMax : CAN_MAX_DLEN);
  hand_over(can_raw_group(frame.is_fd), receive_ns, sink);
}

void CanDecoder::keep_error(const CanFrame& frame, std::int64_t receive_ns, RecordSink& sink) {
  std::byte* at = put_can_value(row_.data(), frame.frame.can_id & CAN_ERR_MASK);
  at = put_can_value(at, frame.frame.len);
  std::memcpy(at, frame.frame.data, CAN_MAX_DLEN);
  hand_over(can_error_group(), receive_ns, sink);
}

void CanDecoder::hand_over(const DefinitionPtr& definition, std::int64_t receive_ns,
                           RecordSink& sink) {
  sink.rows(RowBlock{.car = car_,
                     .definition = &definition,
                     .count = 1,
                     .source_ns = {},
                     .receive_ns = receive_ns,
                     .rows = std::span(row_).first(definition->row_bytes())});
}

}  // namespace pitbox
