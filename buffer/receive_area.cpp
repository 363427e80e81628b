#include "buffer/receive_area.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "buffer/store_point.h"

namespace pitbox {
namespace {

// recvmmsg reports a signal only if nothing was received, so asking again loses nothing.
constexpr int kInterruptsMax = 8;

template <typename T>
std::optional<T> payload_of(std::span<const std::byte> data) {
  if (data.size() < sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

void take_control(int level, int type, std::span<const std::byte> data, ReceivedSlot& slot) {
  if (level == SOL_SOCKET && type == SCM_TIMESTAMPNS) {
    const auto stamp = payload_of<timespec>(data);
    constexpr std::int64_t kSecondsMax = 9'000'000'000;  // Year 2255: no overflow below.
    if (!stamp || stamp->tv_sec < 0 || stamp->tv_sec > kSecondsMax) return;
    slot.stamp_ns = std::int64_t{stamp->tv_sec} * 1'000'000'000 + (stamp->tv_nsec % 1'000'000'000);
  }
  if (level == SOL_SOCKET && type == SO_RXQ_OVFL) {
    slot.kernel_drops = payload_of<std::uint32_t>(data).value_or(0);
  }
  if (level == IPPROTO_UDP && type == UDP_GRO) {
    const int bytes = payload_of<int>(data).value_or(0);
    slot.segment_bytes = bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
  }
}

// Own arithmetic instead of CMSG_NXTHDR: the buffer may come from a damaged file.
void parse_control(std::span<const std::byte> control, ReceivedSlot& slot) {
  while (control.size() >= sizeof(cmsghdr)) {
    cmsghdr header{};
    std::memcpy(&header, control.data(), sizeof header);
    if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > control.size()) return;
    take_control(header.cmsg_level, header.cmsg_type,
                 control.subspan(CMSG_LEN(0), header.cmsg_len - CMSG_LEN(0)), slot);
    control = control.subspan(std::min<std::size_t>(CMSG_ALIGN(header.cmsg_len), control.size()));
  }
}

}  // namespace

std::size_t ReceivedSlot::segments() const {
  if (segment_bytes == 0 || segment_bytes >= bytes.size()) return 1;
  const std::size_t count = (bytes.size() + segment_bytes - 1) / segment_bytes;
  // The kernel never coalesces more; a file that says so is treated as one datagram.
  return count <= kSegmentsMax ? count : 1;
}

std::span<const std::byte> ReceivedSlot::segment(std::size_t index) const {
  if (segments() == 1) return bytes;
  const std::size_t begin = index * segment_bytes;
  return bytes.subspan(begin, std::min(segment_bytes, bytes.size() - begin));
}

ReceiveArea::ReceiveArea(std::byte* base, RingFileHeader* header, const RingGeometry& geometry)
    : geometry_(geometry),
      header_(header),
      headers_(reinterpret_cast<mmsghdr*>(base + geometry.headers_offset())),
      iovecs_(reinterpret_cast<iovec*>(base + geometry.iovecs_offset())),
      controls_(base + geometry.controls_offset()),
      slots_(base + geometry.slots_offset()) {}

void ReceiveArea::initialise() {
  rebuild_pointers();
  for (std::size_t i = 0; i < slot_count(); ++i) empty_slot(i);
}

Status ReceiveArea::check(AreaPosition next, std::uint64_t free_bytes) const {
  if (next.slot >= slot_count()) return {Code::kCorrupt, "the last message's slot does not exist"};
  std::uint64_t needed = 0;
  bool ended = false;
  for (std::size_t i = next.slot; i < slot_count(); ++i) {
    if (!is_filled(i)) {
      ended = true;
      continue;
    }
    if (slot_length(i) > geometry_.slot_bytes) {
      return {Code::kCorrupt, "a slot is fuller than it is long"};
    }
    if (ended) return {Code::kCorrupt, "filled slots are not in a row"};
    const ReceivedSlot received = slot(i);
    const std::size_t first = i == next.slot ? next.segment : 0;
    for (std::size_t k = first; k < received.segments(); ++k) {
      needed += message_size(received.segment(k).size());
    }
  }
  if (needed > free_bytes) return {Code::kCorrupt, "no room for what was received"};
  return {};
}

void ReceiveArea::rebuild_pointers() {
  for (std::size_t i = 0; i < slot_count(); ++i) {
    iovecs_[i] = {.iov_base = payload(i), .iov_len = geometry_.slot_bytes};
    msghdr& header = headers_[i].msg_hdr;
    header.msg_name = nullptr;
    header.msg_namelen = 0;
    header.msg_iov = &iovecs_[i];
    header.msg_iovlen = 1;
    header.msg_control = control(i);
    after_store();
  }
}

int ReceiveArea::receive(int socket, std::uint64_t connection) {
  store_in_order(header_->area_connection, connection);
  for (int attempt = 0; attempt < kInterruptsMax; ++attempt) {
    const int count = recvmmsg(socket, headers_, geometry_.slot_count, MSG_DONTWAIT, nullptr);
    if (count >= 0) {
      after_store();
      return count;
    }
    if (errno != EINTR) return -errno;
  }
  return -EAGAIN;
}

ReceivedSlot ReceiveArea::slot(std::size_t index) const {
  ReceivedSlot slot;
  const std::size_t length = std::min(slot_length(index), geometry_.slot_bytes);
  slot.bytes = {payload(index), length};
  const msghdr& header = headers_[index].msg_hdr;
  // On a stream the flag says that urgent data was skipped, which is not a truncation.
  slot.is_truncated = !geometry_.is_stream && (header.msg_flags & MSG_TRUNC) != 0;
  parse_control({control(index), std::min<std::size_t>(header.msg_controllen, kControlBytes)},
                slot);
  if (geometry_.segments_max() == 1) slot.segment_bytes = 0;
  return slot;
}

void ReceiveArea::refill(std::size_t slots) {
  for (std::size_t i = 0; i < slots; ++i) empty_slot(i);
  store_in_order(header_->area_generation, header_->area_generation + 1);
}

void ReceiveArea::empty_slot(std::size_t slot) {
  msghdr& header = headers_[slot].msg_hdr;
  header.msg_controllen = kControlBytes;
  header.msg_flags = 0;
  after_store();
  // Last: from here on the slot counts as empty.
  store_in_order(headers_[slot].msg_len, kEmptySlot);
}

std::uint64_t ReceiveArea::generation() const {
  return header_->area_generation;
}

std::uint64_t ReceiveArea::connection() const {
  return header_->area_connection;
}

std::uint32_t ReceiveArea::slot_length(std::size_t slot) const {
  return headers_[slot].msg_len;
}

}  // namespace pitbox
