#include "ingest/native_streams.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pitbox {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// id, skip, in_junk, length of what was begun.
constexpr std::size_t kSavedConnectionBytes = 8 + 4 + 1 + 2;
static_assert(1 + NativeStreams::kConnectionsMax * (kSavedConnectionBytes + kNativeHeaderBytes) +
                  NativeStreams::kHeldBytesMax <=
              NativeStreams::kStateBytesMax);

}  // namespace

NativeFrame native_frame(std::span<const std::byte> bytes, std::size_t packet_bytes_max) {
  const std::size_t known = std::min(bytes.size(), sizeof kNativeMagic);
  bool is_packet = std::memcmp(bytes.data(), &kNativeMagic, known) == 0;
  std::size_t length = kNativeHeaderBytes;
  if (is_packet && bytes.size() >= kNativeHeaderBytes) {
    length = load_native<NativeHeader>(bytes.data()).length;
    is_packet = length >= kNativeHeaderBytes && length <= packet_bytes_max;
  }
  if (is_packet) {
    const bool is_whole = bytes.size() >= kNativeHeaderBytes && bytes.size() >= length;
    return {is_whole ? NativeFrame::Kind::kPacket : NativeFrame::Kind::kNeed, length};
  }
  const void* next = std::memchr(bytes.data() + 1, 'P', bytes.size() - 1);
  const auto* at = static_cast<const std::byte*>(next);
  return {NativeFrame::Kind::kJunk,
          at == nullptr ? bytes.size() : static_cast<std::size_t>(at - bytes.data())};
}

NativeStreams::Connection& NativeStreams::connection(std::uint64_t id) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const Connection& each) { return each.id == id; });
  if (found != connections_.end()) return *found;
  if (connections_.size() >= kConnectionsMax) {
    const auto idle = std::find_if(connections_.begin(), connections_.end(),
                                   [](const Connection& each) { return each.is_idle(); });
    if (idle == connections_.end()) return homeless_;
    connections_.erase(idle);
  }
  connections_.emplace_back();
  connections_.back().id = id;
  return connections_.back();
}

std::size_t NativeStreams::held_bytes() const {
  std::size_t held = 0;
  for (const Connection& each : connections_) {
    held += each.begun.size() - std::min(each.begun.size(), kNativeHeaderBytes);
  }
  return held;
}

// A header's worth of bytes always finds room: only with the header is it known what to skip.
bool NativeStreams::has_room(const Connection& connection, std::size_t size) const {
  if (connection.begun.size() + size <= kNativeHeaderBytes) return true;
  return held_bytes() + size <= kHeldBytesMax;
}

bool NativeStreams::data(std::uint64_t id, std::span<const std::byte> bytes, Listener& listener) {
  Connection& at = connection(id);
  const bool was_idle = at.is_idle();
  read(at, bytes, listener);
  if (&at == &homeless_) {
    if (!at.is_idle()) listener.refuse(RejectReason::kLimit, 1);
    homeless_ = {};
    return false;
  }
  return !was_idle || !at.is_idle();
}

void NativeStreams::read(Connection& at, std::span<const std::byte> bytes, Listener& listener) {
  skip(at, bytes);
  finish_begun(at, bytes, listener);
  while (!bytes.empty()) {
    const NativeFrame frame = native_frame(bytes, kNativeStreamPacketBytesMax);
    if (frame.kind == NativeFrame::Kind::kNeed) {
      begin(at, bytes, listener);
      return;
    }
    if (frame.kind == NativeFrame::Kind::kJunk) {
      junk(at, listener);
    } else {
      at.in_junk = false;
      listener.packet(bytes.first(frame.size));
    }
    bytes = bytes.subspan(frame.size);
  }
}

void NativeStreams::skip(Connection& at, std::span<const std::byte>& bytes) {
  const std::size_t skipped = std::min<std::size_t>(at.skip, bytes.size());
  at.skip -= static_cast<std::uint32_t>(skipped);
  bytes = bytes.subspan(skipped);
}

void NativeStreams::finish_begun(Connection& at, std::span<const std::byte>& bytes,
                                 Listener& listener) {
  while (!at.begun.empty()) {
    const NativeFrame frame = native_frame(bytes_of(at.begun), kNativeStreamPacketBytesMax);
    if (frame.kind == NativeFrame::Kind::kJunk) {
      junk(at, listener);
      at.begun.erase(0, frame.size);
      continue;
    }
    if (frame.kind == NativeFrame::Kind::kPacket) {
      at.in_junk = false;
      listener.packet(bytes_of(at.begun));
      at.begun.clear();
      return;
    }
    const std::size_t taken = std::min(frame.size - at.begun.size(), bytes.size());
    if (taken == 0) return;
    const auto piece = bytes.first(taken);
    bytes = bytes.subspan(taken);
    if (at.begun.size() + taken < frame.size && !has_room(at, taken)) {
      listener.refuse(RejectReason::kLimit, 1);
      at.skip = static_cast<std::uint32_t>(frame.size - at.begun.size() - taken);
      at.begun.clear();
      return;
    }
    at.begun.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
}

void NativeStreams::begin(Connection& at, std::span<const std::byte> bytes, Listener& listener) {
  if (has_room(at, bytes.size())) {
    at.begun.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return;
  }
  listener.refuse(RejectReason::kLimit, 1);
  at.skip =
      static_cast<std::uint32_t>(load_native<NativeHeader>(bytes.data()).length - bytes.size());
}

void NativeStreams::junk(Connection& at, Listener& listener) {
  if (!at.in_junk) listener.refuse(RejectReason::kMalformed, 1);
  at.in_junk = true;
}

// Rows that were on their way count as such if the packet said how many.
void NativeStreams::tear(const Connection& at, Listener& listener) {
  if (at.begun.empty()) return;
  std::uint64_t records = 1;
  if (at.begun.size() >= kNativeRowsHeaderBytes) {
    const auto bytes = bytes_of(at.begun);
    const auto header = load_native<NativeHeader>(bytes.data());
    if (header.kind == static_cast<std::uint8_t>(NativeKind::kRows)) {
      const auto rows = load_native<NativeRowsHeader>(bytes.data() + kNativeHeaderBytes);
      records = std::max<std::uint64_t>(records, rows.row_count);
    }
  }
  listener.refuse(RejectReason::kTorn, records);
}

bool NativeStreams::closed(std::uint64_t id, Listener& listener) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const Connection& each) { return each.id == id; });
  if (found == connections_.end()) return false;
  const bool changed = !found->is_idle();
  tear(*found, listener);
  connections_.erase(found);
  return changed;
}

bool NativeStreams::all_closed(Listener& listener) {
  bool changed = false;
  for (const Connection& each : connections_) {
    tear(each, listener);
    changed = changed || !each.is_idle();
  }
  connections_.clear();
  return changed;
}

void NativeStreams::save(StateWriter& out) const {
  const auto busy = std::count_if(connections_.begin(), connections_.end(),
                                  [](const Connection& each) { return !each.is_idle(); });
  out.put(static_cast<std::uint8_t>(busy));
  for (const Connection& each : connections_) {
    if (each.is_idle()) continue;
    out.put(each.id);
    out.put(each.skip);
    out.put(static_cast<std::uint8_t>(each.in_junk ? 1 : 0));
    out.put(static_cast<std::uint16_t>(each.begun.size()));
    out.raw(each.begun);
  }
}

Status NativeStreams::load(StateReader& in) {
  const auto corrupt = [this](const char* what) {
    connections_.clear();
    return Status(Code::kCorrupt, std::string("native state: ") + what);
  };
  const std::size_t count = in.get<std::uint8_t>();
  if (count > kConnectionsMax) return corrupt("too many connections");
  for (std::size_t i = 0; i < count; ++i) {
    Connection at;
    at.id = in.get<std::uint64_t>();
    at.skip = in.get<std::uint32_t>();
    const auto in_junk = in.get<std::uint8_t>();
    at.in_junk = in_junk == 1;
    at.begun = in.raw(in.get<std::uint16_t>());
    if (in.is_short()) return corrupt("it ends in a connection");
    const bool is_known = std::any_of(connections_.begin(), connections_.end(),
                                      [&](const Connection& each) { return each.id == at.id; });
    if (at.is_idle() || is_known || in_junk > 1 || at.skip > kNativeStreamPacketBytesMax) {
      return corrupt("a connection is not one");
    }
    if (!at.begun.empty() && native_frame(bytes_of(at.begun), kNativeStreamPacketBytesMax).kind !=
                                 NativeFrame::Kind::kNeed) {
      return corrupt("what a connection began is no packet");
    }
    connections_.push_back(std::move(at));
  }
  if (held_bytes() > kHeldBytesMax) return corrupt("it is too long");
  return {};
}

}  // namespace pitbox
