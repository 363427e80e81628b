#include "buffer/ring.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "buffer/clock.h"
#include "buffer/receive_area.h"
#include "buffer/ring_layout.h"
#include "buffer/ring_mapping.h"
#include "buffer/ring_messages.h"
#include "buffer/store_point.h"
#include "proto/check.h"
#include "proto/mutant.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// Opening again after setting a file aside; more means that somebody damages faster than we make.
constexpr int kAttachAttemptsMax = 4;

std::atomic_ref<std::uint64_t> shared(std::uint64_t& value) {
  return std::atomic_ref<std::uint64_t>(value);
}

// What a receive call knows about time: docs/ring.md, "Times".
struct ReceiveTime {
  BootNs now = system_clock().boot_now();
  BootNs wall_to_boot = now - system_clock().wall_now();

  BootNs of(const std::optional<std::int64_t>& stamp_ns, BootNs floor) const {
    if (!stamp_ns) return now;
    return std::max(std::min(*stamp_ns + wall_to_boot, now), std::min(floor, now));
  }
};

}  // namespace

struct MessageRing::Mapping {
  Mapping(RingMapping mapped, const RingGeometry& sizes)
      : file(std::move(mapped)),
        geometry(sizes),
        header(file.header()),
        messages(file.ring(), sizes.ring_bytes),
        area(file.base(), &header, sizes) {}

  static Result<std::unique_ptr<Mapping>> create(RingMapping& file, const RingGeometry& geometry);
  static Result<std::unique_ptr<Mapping>> attach(RingMapping& file, const RingFileHeader& stored,
                                                 const RingGeometry& wanted);

  // Producer.
  bool has_room(std::uint64_t bytes);
  void publish(RingMessageHeader message, std::span<const std::byte> payload);
  void publish_data(RingMessageHeader message, std::span<const std::byte> payload);
  bool settle_start();
  void publish_slot(std::size_t index, std::size_t first_segment, const ReceiveTime& time,
                    Received& received);
  Received publish_area(AreaPosition next);
  // Other sizes are wanted, and nothing in this file would be lost.
  bool is_replaceable(const RingGeometry& wanted) const {
    return geometry != wanted && header.head == header.tail;
  }

  // Constant after open().
  RingMapping file;
  const RingGeometry geometry;
  RingFileHeader& header;
  const RingMessages messages;
  bool was_attached = false;
  std::uint64_t recovered = 0;
  fs::path set_aside;
  std::string set_aside_reason;

  // The producer's.
  alignas(64) ReceiveArea area;
  std::uint64_t head = 0;
  std::uint64_t tail_seen = 0;     // A stale copy of the tail: read again only when it is too old.
  BootNs floor_ns = 0;             // No later message was received before this.
  std::uint32_t kernel_drops = 0;  // Latest.
  bool owes_start = false;         // kSourceStarted found no room yet.
  // Written by the producer before the head that it belongs to (relaxed: that store releases it).
  std::atomic<std::uint64_t> last_number = 0;

  // The consumer's.
  alignas(64) std::uint64_t head_seen = 0;  // A stale copy of the head.
  // Written by the consumer, released so that who reads it first never finds last_number behind.
  std::atomic<std::uint64_t> tail_number = 0;
};

Result<std::unique_ptr<MessageRing::Mapping>> MessageRing::Mapping::create(
    RingMapping& file, const RingGeometry& geometry) {
  if (Status status = file.clear(); !status.ok()) return status;
  if (Status status = file.map(geometry); !status.ok()) return status;
  auto mapping = std::make_unique<Mapping>(std::move(file), geometry);
  mapping->area.initialise();
  mapping->header = new_header(geometry, random_id(), system_clock().boot_id());
  after_store();
  // Until this store the header has no magic: a creation cut short is never taken for a ring.
  store_in_order(mapping->header.magic, kRingMagic);
  mapping->owes_start = geometry.is_stream;
  return mapping;
}

// Takes the file only if it holds a ring; otherwise it is left to be set aside.
Result<std::unique_ptr<MessageRing::Mapping>> MessageRing::Mapping::attach(
    RingMapping& file, const RingFileHeader& stored, const RingGeometry& wanted) {
  auto geometry = checked_geometry(stored, system_clock().boot_id());
  if (!geometry.ok()) return geometry.status();
  if (geometry.value().is_stream != wanted.is_stream) {
    return Status(Code::kCorrupt, "of a source of another kind");
  }
  const auto bytes = file.file_bytes();
  if (!bytes.ok()) return bytes.status();
  if (bytes.value() != geometry.value().file_bytes()) {
    return Status(Code::kCorrupt, "the file's size is not the header's");
  }
  if (Status status = file.map(geometry.value()); !status.ok()) return status;

  const RingMessages messages(file.ring(), geometry.value().ring_bytes);
  const auto survey = survey_ring(messages, file.header());
  if (!survey.ok()) return survey.status();
  const AreaPosition next = survey.value().next;
  const std::uint64_t unread = file.header().head - file.header().tail;
  const ReceiveArea area(file.base(), &file.header(), geometry.value());
  if (Status status = area.check(next, messages.ring_bytes() - unread); !status.ok()) return status;

  auto mapping = std::make_unique<Mapping>(std::move(file), geometry.value());
  mapping->was_attached = true;
  mapping->head = mapping->head_seen = mapping->header.head;
  mapping->tail_seen = mapping->header.tail;
  mapping->last_number = survey.value().last_number;
  mapping->tail_number = survey.value().tail_number;
  mapping->floor_ns = survey.value().last_receive_ns;
  mapping->area.rebuild_pointers();
  mapping->recovered = mapping->publish_area(next).messages;
  mapping->area.refill(mapping->area.slot_count());
  mapping->owes_start = mapping->recovered > 0 || !survey.value().ends_with_start;
  return mapping;
}

bool MessageRing::Mapping::has_room(std::uint64_t bytes) {
  const std::uint64_t capacity = geometry.ring_bytes;
  if (capacity - (head - tail_seen) >= bytes) return true;
  // Acquire: the consumer has finished with the bytes that this tail gives back.
  tail_seen = shared(header.tail).load(std::memory_order_acquire);
  return capacity - (head - tail_seen) >= bytes;
}

// REQUIRES: has_room() for it.
void MessageRing::Mapping::publish(RingMessageHeader message, std::span<const std::byte> payload) {
  message.generation = area.generation();
  if (has_mutant(Mutant::kPublishBeforeFilled)) {
    shared(header.head).store(head + message_size(payload.size()), std::memory_order_release);
    after_store();
  }
  head = messages.write(head, message, payload);
  last_number.store(message.number, std::memory_order_relaxed);
  // Release: whoever sees this head sees the message, and its number as last_number. This store
  // alone publishes.
  shared(header.head).store(head, std::memory_order_release);
  after_store();
}

void MessageRing::Mapping::publish_data(RingMessageHeader message,
                                        std::span<const std::byte> payload) {
  message.kind = static_cast<std::uint8_t>(MessageKind::kData);
  message.number = last_number.load(std::memory_order_relaxed) + 1;
  floor_ns = message.receive_ns;
  publish(message, payload);
}

// True once the message that tells of this process's start is in the ring, or was not needed.
bool MessageRing::Mapping::settle_start() {
  if (!owes_start) return true;
  if (!has_room(kMessageOverhead)) return false;
  RingMessageHeader message;
  message.kind = static_cast<std::uint8_t>(MessageKind::kSourceStarted);
  message.number = last_number.load(std::memory_order_relaxed);
  message.receive_ns = ReceiveTime().now;
  publish(message, {});
  owes_start = false;
  return true;
}

void MessageRing::Mapping::publish_slot(std::size_t index, std::size_t first_segment,
                                        const ReceiveTime& time, Received& received) {
  const ReceivedSlot slot = area.slot(index);
  if (geometry.is_stream && slot.bytes.empty()) {
    received.closed = true;
    return;
  }
  RingMessageHeader message;
  message.slot = static_cast<std::uint16_t>(index);
  message.connection = area.connection();
  message.flags = slot.is_truncated ? kMessageTruncated : 0;
  message.kernel_drops = slot.kernel_drops;
  message.receive_ns = time.of(slot.stamp_ns, floor_ns);
  for (std::size_t k = first_segment; k < slot.segments(); ++k) {
    message.segment = static_cast<std::uint16_t>(k);
    publish_data(message, slot.segment(k));
    ++received.messages;
  }
  if (slot.is_truncated) ++received.truncated;
  if (slot.kernel_drops != 0) kernel_drops = slot.kernel_drops;
}

// Publishes what the area holds from `next` on. The caller refills the area.
MessageRing::Received MessageRing::Mapping::publish_area(AreaPosition next) {
  const ReceiveTime time;
  Received received;
  for (; next.slot < area.slot_count() && area.is_filled(next.slot); next = {next.slot + 1, 0}) {
    publish_slot(next.slot, next.segment, time, received);
  }
  received.kernel_drops = kernel_drops;
  return received;
}

Result<std::unique_ptr<MessageRing>> MessageRing::open(const Options& options) {
  const RingGeometry wanted = geometry_of(options);
  if (Status status = wanted.check(); !status.ok()) return status;
  fs::path stale;
  std::string reason;
  for (int attempt = 0; attempt < kAttachAttemptsMax; ++attempt) {
    auto file = RingMapping::open(options.file);
    if (!file.ok()) return file.status();
    const auto stored = file.value().stored_header();
    const bool is_blank = stored.ok() && !stored.value();
    auto mapping = !stored.ok() ? Result<std::unique_ptr<Mapping>>(stored.status())
                   : is_blank   ? Mapping::create(file.value(), wanted)
                                : Mapping::attach(file.value(), *stored.value(), wanted);
    if (mapping.ok() && mapping.value()->is_replaceable(wanted)) {
      RingMapping same_file(std::move(mapping.value()->file));
      mapping = Mapping::create(same_file, wanted);
    }
    if (mapping.ok()) {
      mapping.value()->set_aside = stale;
      mapping.value()->set_aside_reason = reason;
      (void)mapping.value()->settle_start();  // If not now, then before anything is received.
      return std::unique_ptr<MessageRing>(new MessageRing(std::move(mapping).take()));
    }
    if (mapping.status().code() != Code::kCorrupt) return mapping.status();
    const bool has_id = stored.ok() && stored.value() && stored.value()->ring_id != 0;
    auto aside = file.value().set_aside(has_id ? stored.value()->ring_id : random_id());
    if (!aside.ok()) return aside.status();
    stale = aside.value();
    reason = mapping.status().message();
  }
  return Status(Code::kTryAgain, options.file.string() + ": kept being damaged");
}

MessageRing::MessageRing(std::unique_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {}
MessageRing::~MessageRing() = default;

std::uint64_t MessageRing::id() const {
  return mapping_->header.ring_id;
}
std::uint64_t MessageRing::head() const {
  return shared(mapping_->header.head).load(std::memory_order_acquire);
}
std::uint64_t MessageRing::tail() const {
  return shared(mapping_->header.tail).load(std::memory_order_acquire);
}
std::size_t MessageRing::capacity() const {
  return mapping_->geometry.ring_bytes;
}
std::uint64_t MessageRing::last_number() const {
  return mapping_->last_number.load(std::memory_order_acquire);
}
std::uint64_t MessageRing::tail_number() const {
  return mapping_->tail_number.load(std::memory_order_acquire);
}
bool MessageRing::takes_runs() const {
  return mapping_->geometry.segments_max() > 1;
}
bool MessageRing::was_attached() const {
  return mapping_->was_attached;
}
std::uint64_t MessageRing::recovered() const {
  return mapping_->recovered;
}
const fs::path& MessageRing::set_aside() const {
  return mapping_->set_aside;
}
const std::string& MessageRing::set_aside_reason() const {
  return mapping_->set_aside_reason;
}

Result<MessageRing::Received> MessageRing::receive(int socket, std::uint64_t connection) {
  Mapping& ring = *mapping_;
  if (!ring.settle_start() ||
      !ring.has_room(ring.geometry.full_area_bytes() + kControlReserveBytes)) {
    return Status(Code::kFull, "ring");
  }

  const BootNs asked_ns = system_clock().boot_now();
  const int count = ring.area.receive(socket, connection);
  if (count > 0) {
    Received received = ring.publish_area({});
    ring.area.refill(static_cast<std::size_t>(count));
    // recvmmsg stops early only when there is nothing more.
    received.would_block =
        !ring.geometry.is_stream && static_cast<std::size_t>(count) < ring.area.slot_count();
    if (received.would_block) ring.floor_ns = std::max(ring.floor_ns, asked_ns);
    return received;
  }
  Received nothing;
  nothing.kernel_drops = ring.kernel_drops;
  if (count == 0 || count == -EAGAIN || count == -EWOULDBLOCK) {
    nothing.would_block = true;
    ring.floor_ns = std::max(ring.floor_ns, asked_ns);
    return nothing;
  }
  if (count == -EBADF || count == -ENOTSOCK || count == -EFAULT || count == -EINVAL) {
    return Status(Code::kFatal, "recvmmsg: " + std::generic_category().message(-count));
  }
  if (ring.geometry.is_stream) {
    nothing.closed = true;
    return nothing;
  }
  return Status(Code::kTryAgain, "recvmmsg: " + std::generic_category().message(-count));
}

Status MessageRing::publish_control(MessageKind kind, std::uint64_t connection) {
  CHECK(kind != MessageKind::kData);
  Mapping& ring = *mapping_;
  if (!ring.settle_start() || !ring.has_room(kMessageOverhead)) return {Code::kFull, "ring"};
  RingMessageHeader message;
  message.kind = static_cast<std::uint8_t>(kind);
  message.number = ring.last_number.load(std::memory_order_relaxed);
  message.connection = connection;
  message.receive_ns = ReceiveTime().now;
  ring.publish(message, {});
  return {};
}

Status MessageRing::publish(std::uint64_t connection, std::int64_t receive_ns,
                            std::span<const std::byte> bytes) {
  Mapping& ring = *mapping_;
  const std::uint64_t size = message_size(bytes.size());
  if (size > ring.messages.size_max()) {
    return {Code::kRejected, "a message is longer than a quarter of the ring"};
  }
  if (!ring.settle_start() || !ring.has_room(size + kControlReserveBytes)) {
    return {Code::kFull, "ring"};
  }
  RingMessageHeader message;
  message.connection = connection;
  message.receive_ns = receive_ns;
  ring.publish_data(message, bytes);
  return {};
}

Result<std::optional<Message>> MessageRing::read(std::uint64_t& position) const {
  Mapping& ring = *mapping_;
  if (position >= ring.head_seen) {
    // Acquire: the messages before this head are complete.
    ring.head_seen = shared(ring.header.head).load(std::memory_order_acquire);
    if (position == ring.head_seen) return std::optional<Message>();
  }
  // Relaxed: this thread is the one that writes it.
  const std::uint64_t tail = shared(ring.header.tail).load(std::memory_order_relaxed);
  const auto header =
      position < tail ? std::nullopt : ring.messages.starting_at(position, ring.head_seen);
  if (!header) return Status(Code::kCorrupt, "no message at this position of the ring");

  Message message;
  message.kind = static_cast<MessageKind>(header->kind);
  message.truncated = (header->flags & kMessageTruncated) != 0;
  message.number = header->number;
  message.connection = header->connection;
  message.receive_ns = header->receive_ns;
  message.kernel_drops = header->kernel_drops;
  message.segment = header->segment;
  message.bytes = ring.messages.payload(position, *header);
  position += header->size;
  return std::optional<Message>(message);
}

void MessageRing::release(std::uint64_t position, std::uint64_t number) {
  Mapping& ring = *mapping_;
  CHECK(position >= shared(ring.header.tail).load(std::memory_order_relaxed));
  CHECK(position <= shared(ring.header.head).load(std::memory_order_acquire));
  ring.tail_number.store(number, std::memory_order_release);
  // Release: this thread's reads of the bytes before `position` are done; the producer may now
  // write there.
  shared(ring.header.tail).store(position, std::memory_order_release);
}

}  // namespace pitbox
