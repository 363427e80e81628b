#include "buffer/source_reader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/check.h"

namespace pitbox {

SourceReader::SourceReader(RecorderSource source)
    : source_(std::move(source)), decoder_(source_.make_decoder()) {
  totals_.name = source_.name;
}

ConsumedPosition SourceReader::starting_point(const std::optional<ConsumedPosition>& stored) const {
  const MessageRing& ring = *source_.ring;
  if (stored && stored->position >= ring.tail() && stored->position <= ring.head()) return *stored;
  ConsumedPosition tail{.ring_id = ring.id(),
                        .position = ring.tail(),
                        .number = ring.tail_number(),
                        .connection = 0,
                        .kernel_drops = 0};
  if (stored) {
    // What the kernel had dropped by then was counted, whatever became of the position.
    tail.connection = stored->connection;
    tail.kernel_drops = stored->kernel_drops;
  }
  return tail;
}

Status SourceReader::attach(const ConsumedPosition& where, std::string_view state,
                            std::uint64_t heard_number, BootNs last_receive_ns) {
  at_ = where;
  next_.reset();
  heard_number_ = std::max(heard_number, where.number);
  last_receive_ns_ = last_receive_ns;
  committed_position_ = where.position;
  // A process that died behind its commit has not. If the journal went back in time now, the same
  // messages would be journaled, and sent, a second time.
  source_.ring->release(where.position, where.number);
  decoder_ = source_.make_decoder();
  Status loaded;
  if (!state.empty()) {
    loaded = decoder_->load(state);
    if (!loaded.ok()) decoder_ = source_.make_decoder();
  }
  committed_version_.reset();
  if (loaded.ok() && !state.empty()) committed_version_ = decoder_->state_version();
  return loaded;
}

const Message* SourceReader::peek(std::uint64_t limit, Intake& intake) {
  if (at_.position >= limit) return nullptr;
  next_position_ = at_.position;
  auto read = source_.ring->read(next_position_);
  if (!read.ok()) {
    spdlog::error("source {}: {}; what the ring holds is skipped", name(), read.status().message());
    skip_damage(intake);
    return nullptr;
  }
  next_ = std::move(read).take();
  return next_ ? &*next_ : nullptr;
}

// Where a message begins is told only by the one before it, so after damage the next place known
// to be good is the head.
void SourceReader::skip_damage(Intake& intake) {
  const std::uint64_t head = source_.ring->head();
  const std::uint64_t last = source_.ring->last_number();
  count_heard_to(last, intake);
  intake.begin(name(), last_receive_ns_, last_receive_ns_);
  intake.lose(DropReason::kRingDamaged, "ring_damaged", last - std::min(last, at_.number));
  at_.position = head;
  at_.number = std::max(last, at_.number);
}

void SourceReader::consume(Intake& intake) {
  CHECK(next_.has_value());
  const Message message = *std::exchange(next_, std::nullopt);
  intake.begin(name(), last_receive_ns_, message.receive_ns);
  if (message.kind == MessageKind::kData) {
    consume_data(message, intake);
  } else {
    // A control message is no message of the source's: it is not counted as one.
    static_cast<void>(decoder_->decode(message, intake));
  }
  at_.position = next_position_;
}

void SourceReader::consume_data(const Message& message, Intake& intake) {
  count_heard_to(message.number, intake);
  if (message.number > at_.number + 1) {
    intake.lose(DropReason::kRingDamaged, "ring_damaged", message.number - at_.number - 1);
  }
  // A socket's count starts at 0, so a connection not seen before brings all of its own.
  const std::uint32_t before = message.connection == at_.connection ? at_.kernel_drops : 0;
  const std::uint32_t dropped = kernel_drop_delta(before, message.kernel_drops);
  takes_runs_ = takes_runs_ || message.segment > 0;
  if (dropped != 0) intake.unheard(dropped, !takes_runs_);
  totals_.unheard += dropped;
  ++totals_.messages;
  totals_.bytes += message.bytes.size();
  if (message.truncated) {
    intake.lose(DropReason::kTruncated, "truncated", 1);
  } else if (decoder_->decode(message, intake) == DecodeOutcome::kDecoded) {
    ++intake.conservation().messages.decoded;
  } else {
    intake.conservation().drop(DropReason::kMalformed, 1);
    ++totals_.malformed;
  }
  at_.number = std::max(at_.number, message.number);
  at_.connection = message.connection;
  at_.kernel_drops = before + dropped;
  last_receive_ns_ = std::max(last_receive_ns_, message.receive_ns);
}

void SourceReader::count_heard_to(std::uint64_t number, Intake& intake) {
  if (number <= heard_number_) return;
  intake.conservation().messages.heard += number - heard_number_;
  heard_number_ = number;
}

void SourceReader::stop_counting(Conservation& conservation) {
  conservation.messages.heard -= heard_number_ - at_.number;
  heard_number_ = at_.number;
}

bool SourceReader::is_pressed() const {
  return at_.position - committed_position_ > source_.ring->capacity() / 2;
}

std::optional<std::string> SourceReader::changed_state() const {
  if (committed_version_ == decoder_->state_version()) return std::nullopt;
  return decoder_->save();
}

void SourceReader::committed() {
  committed_position_ = at_.position;
  committed_version_ = decoder_->state_version();
  source_.ring->release(at_.position, at_.number);
}

std::string SourceReader::release_unjournaled() {
  committed_position_ = at_.position;
  source_.ring->release(at_.position, at_.number);
  return decoder_->save();
}

SourceSnapshot SourceReader::snapshot() const {
  SourceSnapshot result = totals_;
  result.ring_id = source_.ring->id();
  result.ring_bytes = source_.ring->capacity();
  const std::uint64_t tail = source_.ring->tail();  // Before head: the head only grows.
  result.ring_used_bytes = static_cast<std::size_t>(source_.ring->head() - tail);
  result.last_receive_ns = last_receive_ns_;
  return result;
}

}  // namespace pitbox
