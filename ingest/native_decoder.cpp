#include "ingest/native_decoder.h"

#include <cstring>
#include <optional>
#include <utility>

#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kNativeStateFormat = 1;

// u8 length and the text, from the front of `rest`. Nothing if it is not all there.
std::optional<std::string_view> take_text(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const std::size_t size = static_cast<std::uint8_t>(rest[0]);
  if (rest.size() < 1 + size) return std::nullopt;
  const std::string_view text = rest.substr(1, size);
  rest.remove_prefix(1 + size);
  return text;
}

template <typename T>
T take(std::string_view& rest) {
  T value;
  std::memcpy(&value, rest.data(), sizeof value);
  rest.remove_prefix(sizeof value);
  return value;
}

struct Announcement {
  std::string_view car;
  ChannelGroup group;
};

constexpr std::size_t kChannelBytesMin = 1 + 2 + 1 + 16;  // type, a name of one byte, no unit.

// Nothing if `body` is not an announcement's. What the values may be is Definition's to say.
std::optional<Announcement> read_announcement(std::string_view body) {
  if (body.size() < kNativeAnnounceHeaderBytes - kNativeHeaderBytes) return std::nullopt;
  Announcement out;
  const auto time_base = take<std::uint8_t>(body);
  const auto reserved = take<std::uint8_t>(body);
  const std::size_t channels = take<std::uint16_t>(body);
  if (time_base > static_cast<std::uint8_t>(TimeBase::kUtc) || reserved != 0) return std::nullopt;
  out.group.time_base = static_cast<TimeBase>(time_base);
  const auto car = take_text(body);
  const auto name = car ? take_text(body) : std::nullopt;
  if (!name || car->empty() || car->size() > kMaxNameBytes || !is_plain_text(*car)) {
    return std::nullopt;
  }
  out.car = *car;
  out.group.group = *name;
  if (channels * kChannelBytesMin > body.size()) return std::nullopt;
  out.group.channels.reserve(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    if (body.empty()) return std::nullopt;
    Channel channel;
    channel.type = static_cast<StorageType>(take<std::uint8_t>(body));
    const auto text = take_text(body);
    const auto unit = text ? take_text(body) : std::nullopt;
    if (!unit || body.size() < 2 * sizeof(double)) return std::nullopt;
    channel.name = *text;
    channel.unit = *unit;
    channel.factor = take<double>(body);
    channel.offset = take<double>(body);
    out.group.channels.push_back(std::move(channel));
  }
  if (!body.empty()) return std::nullopt;
  return out;
}

// Whether the fields agree with each other and with the definition.
bool is_sound(const NativeRowsHeader& header, const Definition& definition, std::size_t length) {
  const auto timing = static_cast<NativeTiming>(header.timing);
  if (definition.has_source_time() == (timing == NativeTiming::kNone)) return false;
  if (timing == NativeTiming::kNone && header.base_ns != 0) return false;
  if (timing != NativeTiming::kPeriod && header.period_ns != 0) return false;
  const std::size_t stamp_bytes = timing == NativeTiming::kOffsets ? 4 : 0;
  return length ==
         kNativeRowsHeaderBytes + header.row_count * (stamp_bytes + definition.row_bytes());
}

}  // namespace

// Gives a stream's packets to the decoder.
class NativeDecoder::PacketReader final : public NativeStreams::Listener {
 public:
  PacketReader(NativeDecoder& decoder, std::int64_t receive_ns, RecordSink& sink)
      : decoder_(decoder), receive_ns_(receive_ns), sink_(sink) {}

  void packet(std::span<const std::byte> bytes) override {
    decoder_.packet(bytes, receive_ns_, sink_);
  }
  void refuse(RejectReason reason, std::uint64_t records) override {
    sink_.reject(reason, records);
  }

 private:
  NativeDecoder& decoder_;
  const std::int64_t receive_ns_;
  RecordSink& sink_;
};

DecodeOutcome NativeDecoder::decode(const Message& message, RecordSink& sink) {
  if (!is_stream_) return decode_datagram(message, sink);
  PacketReader reader(*this, message.receive_ns, sink);
  bool changed = false;
  switch (message.kind) {
    case MessageKind::kData:
      changed = streams_.data(message.connection, message.bytes, reader);
      break;
    case MessageKind::kStreamClosed:
      changed = streams_.closed(message.connection, reader);
      break;
    case MessageKind::kSourceStarted:
      changed = streams_.all_closed(reader);
      break;
  }
  if (changed) ++version_;
  return DecodeOutcome::kDecoded;
}

DecodeOutcome NativeDecoder::decode_datagram(const Message& message, RecordSink& sink) {
  if (message.kind != MessageKind::kData) return DecodeOutcome::kDecoded;
  std::span<const std::byte> rest = message.bytes;
  bool is_first = true;
  do {
    const auto frame = rest.empty() ? NativeFrame{} : native_frame(rest, kNativePacketBytesMax);
    if (frame.kind != NativeFrame::Kind::kPacket) {
      if (is_first) return DecodeOutcome::kMalformed;
      sink.reject(RejectReason::kMalformed, 1);
      break;
    }
    packet(rest.first(frame.size), message.receive_ns, sink);
    rest = rest.subspan(frame.size);
    is_first = false;
  } while (!rest.empty());
  return DecodeOutcome::kDecoded;
}

void NativeDecoder::packet(std::span<const std::byte> bytes, std::int64_t receive_ns,
                           RecordSink& sink) {
  const auto header = load_native<NativeHeader>(bytes.data());
  if (header.flags == 0 && header.kind == static_cast<std::uint8_t>(NativeKind::kRows)) {
    rows(header, bytes, receive_ns, sink);
  } else if (header.flags == 0 && header.kind == static_cast<std::uint8_t>(NativeKind::kAnnounce)) {
    announce(header, bytes, receive_ns, sink);
  } else {
    sink.reject(RejectReason::kUnsupported, 1);
  }
}

void NativeDecoder::announce(const NativeHeader& header, std::span<const std::byte> bytes,
                             std::int64_t receive_ns, RecordSink& sink) {
  const NativeGroup* known = groups_.find(header.sender, header.group);
  if (known != nullptr && known->check == header.check) return;
  const auto body = bytes.subspan(kNativeHeaderBytes);
  if (native_check(body) != header.check) {
    sink.reject(RejectReason::kChecksum, 1);
    return;
  }
  auto announcement = read_announcement({reinterpret_cast<const char*>(body.data()), body.size()});
  if (!announcement) {
    sink.reject(RejectReason::kMalformed, 1);
    return;
  }
  auto definition = Definition::make(std::move(announcement->group));
  if (!definition.ok()) {
    sink.reject(RejectReason::kMalformed, 1);
    return;
  }
  NativeGroup group{.sender = header.sender,
                    .id = header.group,
                    .check = header.check,
                    .car = std::string(announcement->car),
                    .definition = std::move(definition).take(),
                    .window = {.highest = header.sequence},
                    .heard_ns = receive_ns};
  if (!groups_.announce(std::move(group))) sink.reject(RejectReason::kLimit, 1);
  ++version_;  // Also after a refusal: silences may have been written down.
}

void NativeDecoder::rows(const NativeHeader& header, std::span<const std::byte> bytes,
                         std::int64_t receive_ns, RecordSink& sink) {
  NativeRowsHeader head;
  if (bytes.size() >= kNativeRowsHeaderBytes) {
    head = load_native<NativeRowsHeader>(bytes.data() + kNativeHeaderBytes);
  }
  // A row has at least a byte, so nobody gets more rows counted than he sent bytes.
  if (head.row_count == 0 || head.row_count > bytes.size() - kNativeRowsHeaderBytes ||
      head.timing > static_cast<std::uint8_t>(NativeTiming::kOffsets) || head.reserved != 0) {
    sink.reject(RejectReason::kMalformed, 1);
    return;
  }
  NativeGroup* group = groups_.find(header.sender, header.group);
  if (group == nullptr || group->check != header.check) {
    sink.reject(RejectReason::kUnknownGroup, head.row_count);
    return;
  }
  if (!is_sound(head, *group->definition, bytes.size())) {
    sink.reject(RejectReason::kMalformed, 1);
    return;
  }
  ++version_;
  group->heard_ns = receive_ns;
  const SequenceWindow::Verdict verdict = group->window.note(header.sequence);
  if (verdict.has_gap) sink.gap(group->car, "sequence", verdict.lost, "messages");
  if (!verdict.is_taken) {
    sink.reject(RejectReason::kDuplicate, head.row_count);
    return;
  }
  const std::byte* body = bytes.data() + kNativeRowsHeaderBytes;
  if (!read_times(head, body)) {
    sink.reject(RejectReason::kLimit, head.row_count);
    return;
  }
  const std::size_t row_bytes = head.row_count * group->definition->row_bytes();
  sink.rows(RowBlock{.car = group->car,
                     .definition = &group->definition,
                     .count = head.row_count,
                     .source_ns = source_ns_,
                     .receive_ns = receive_ns,
                     .rows = bytes.last(row_bytes)});
}

bool NativeDecoder::read_times(const NativeRowsHeader& header, const std::byte* offsets) {
  const auto timing = static_cast<NativeTiming>(header.timing);
  source_ns_.resize(timing == NativeTiming::kNone ? 0 : header.row_count);
  std::int64_t offset = 0;
  for (std::size_t row = 0; row < source_ns_.size(); ++row) {
    if (timing == NativeTiming::kOffsets) {
      offset = load_native<std::uint32_t>(offsets + 4 * row);
    } else {
      offset = static_cast<std::int64_t>(row) * header.period_ns;
    }
    if (__builtin_add_overflow(header.base_ns, offset, &source_ns_[row])) return false;
  }
  return true;
}

std::string NativeDecoder::save() const {
  StateWriter out;
  out.put(kNativeStateFormat);
  groups_.save(out);
  streams_.save(out);
  return out.take();
}

Status NativeDecoder::load(std::string_view state) {
  if (state.empty()) return {};
  StateReader in(state);
  const auto format = in.get<std::uint8_t>();
  NativeGroups groups;
  NativeStreams streams;
  Status loaded = format == kNativeStateFormat
                      ? groups.load(in)
                      : Status(Code::kCorrupt, "native state: unknown format");
  if (loaded.ok()) loaded = streams.load(in);
  if (loaded.ok() && !in.is_done()) loaded = Status(Code::kCorrupt, "native state: wrong length");
  if (!loaded.ok()) return loaded;
  groups_ = std::move(groups);
  streams_ = std::move(streams);
  return {};
}

}  // namespace pitbox
