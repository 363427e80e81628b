#include "buffer/ring_messages.h"

#include <cstring>

#include "buffer/message.h"
#include "buffer/store_point.h"

namespace pitbox {
namespace {

// Positions, numbers and generations only grow; none gets here in a century of a billion a second.
// What is beyond was not counted, and would run over.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 62U;

bool is_control(const RingMessageHeader& header) {
  return header.kind != static_cast<std::uint8_t>(MessageKind::kData);
}

bool is_sound(const RingMessageHeader& header, std::uint64_t position, std::uint64_t size_max) {
  return header.mark == mark_of(position) && header.size % 8 == 0 && header.size <= size_max &&
         header.payload_bytes <= size_max && header.size == message_size(header.payload_bytes) &&
         header.kind >= static_cast<std::uint8_t>(MessageKind::kData) &&
         header.kind <= static_cast<std::uint8_t>(MessageKind::kSourceStarted);
}

// What the message before `header` must have had as number, 0 if none was.
std::uint64_t number_before(const RingMessageHeader& header) {
  return is_control(header) ? header.number : header.number - 1;
}

}  // namespace

std::uint64_t RingMessages::write(std::uint64_t position, RingMessageHeader header,
                                  std::span<const std::byte> payload) const {
  const std::uint64_t size = message_size(payload.size());
  CHECK(size <= size_max());
  header.size = static_cast<std::uint32_t>(size);
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.mark = mark_of(position);
  const RingMessageTrailer trailer{.size = header.size, .mark = header.mark};

  std::byte* const start = at(position);
  std::memcpy(start, &header, sizeof header);
  after_store();
  if (!payload.empty()) std::memcpy(start + sizeof header, payload.data(), payload.size());
  after_store();
  std::memcpy(start + size - sizeof trailer, &trailer, sizeof trailer);
  after_store();
  return position + size;
}

std::optional<RingMessageHeader> RingMessages::starting_at(std::uint64_t position,
                                                           std::uint64_t end) const {
  if (position % 8 != 0 || position >= end || end - position < kMessageOverhead) {
    return std::nullopt;
  }
  RingMessageHeader header;
  std::memcpy(&header, at(position), sizeof header);
  if (!is_sound(header, position, size_max()) || header.size > end - position) return std::nullopt;
  RingMessageTrailer trailer;
  std::memcpy(&trailer, at(position) + header.size - sizeof trailer, sizeof trailer);
  if (trailer.size != header.size || trailer.mark != header.mark) return std::nullopt;
  return header;
}

std::optional<RingMessageHeader> RingMessages::ending_at(std::uint64_t position) const {
  if (position % 8 != 0 || position < kMessageOverhead) return std::nullopt;
  RingMessageTrailer trailer;
  std::memcpy(&trailer, at(position - sizeof trailer), sizeof trailer);
  if (trailer.size < kMessageOverhead || trailer.size > size_max() || trailer.size > position) {
    return std::nullopt;
  }
  return starting_at(position - trailer.size, position);
}

Result<RingSurvey> survey_ring(const RingMessages& messages, const RingFileHeader& header) {
  const std::uint64_t head = header.head;
  const std::uint64_t tail = header.tail;
  RingSurvey survey;
  if (header.area_generation == 0 || header.area_generation > kCountMax) {
    return Status(Code::kCorrupt, "area generation");
  }
  if (head % 8 != 0 || tail % 8 != 0 || tail > head || head - tail > messages.ring_bytes() ||
      head > kCountMax) {
    return Status(Code::kCorrupt, "head and tail do not fit each other");
  }
  if (head == 0) return survey;

  const auto last = messages.ending_at(head);
  if (!last) return Status(Code::kCorrupt, "no message ends at head");
  if (last->number > kCountMax) return Status(Code::kCorrupt, "message number");
  if (last->generation > header.area_generation) {
    return Status(Code::kCorrupt, "the last message is newer than the area");
  }

  std::optional<std::uint64_t> number;
  std::uint64_t generation = 0;
  for (std::uint64_t position = tail; position < head;) {
    const auto message = messages.starting_at(position, head);
    if (!message) return Status(Code::kCorrupt, "no message where one should start");
    if (!number) survey.tail_number = number_before(*message);
    if (number && number_before(*message) != *number) {
      return Status(Code::kCorrupt, "message numbers have a hole");
    }
    if (!is_control(*message) && message->number == 0) {
      return Status(Code::kCorrupt, "a data message without a number");
    }
    if (message->generation < generation) return Status(Code::kCorrupt, "area generations fall");
    number = message->number;
    generation = message->generation;
    position += message->size;
  }
  if (tail == head) survey.tail_number = last->number;
  survey.last_number = last->number;
  survey.last_receive_ns = last->receive_ns;
  survey.ends_with_start = last->kind == static_cast<std::uint8_t>(MessageKind::kSourceStarted);
  if (last->generation == header.area_generation && last->slot != kNoSlot) {
    survey.next = {last->slot, std::size_t{last->segment} + 1};
  }
  return survey;
}

}  // namespace pitbox
