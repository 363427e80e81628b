#include "room/viewers.h"

#include <algorithm>

#include "proto/event.h"

namespace pitbox {
namespace {

constexpr std::size_t kPartBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxCars = 256;
constexpr std::size_t kMaxChannelsPerCar = 256;
constexpr std::size_t kEntriesPerPage = 64;

SharedFrame shared(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

SharedFrame shared(const words::Frame& frame) {
  return shared(serialise(frame));
}

std::string raw_name(const Definition& definition) {
  return {definition.name().begin(), definition.name().end()};
}

// What a page is told about an entry; null if nothing.
SharedFrame page_text(const RoomEntry& entry) {
  if (entry.is_batch()) return nullptr;
  const auto event = parse_event(entry.bytes);
  if (!event.ok()) return nullptr;
  std::string text = event_view(event.value(), entry.car);
  return text.empty() ? nullptr : shared(std::move(text));
}

}  // namespace

std::vector<ConnectionId> Viewers::ids() const {
  std::vector<ConnectionId> ids;
  for (const auto& [id, viewer] : viewers_) ids.push_back(id);
  return ids;
}

bool Viewers::is_page(ConnectionId id) const {
  const auto found = viewers_.find(id);
  return found != viewers_.end() && found->second.is_page;
}

void Viewers::send(ConnectionId id, Viewer& viewer, SharedFrame frame) {
  viewer.bytes_sent += frame->size();
  outbound_.send(id, std::move(frame));
}

void Viewers::subscribe(ConnectionId id, const words::Subscribe& request, Clock::time_point now) {
  Viewer viewer;
  viewer.wants_live = request.live();
  viewer.which = request.events_only() ? RoomStore::Which::kEvents : RoomStore::Which::kAll;
  viewer.car = request.car();
  viewer.live_cursor = viewer.history_end = store_.last_committed();
  // Who wants only what comes gets at least the laps that were.
  viewer.history = request.history() ? viewer.which : RoomStore::Which::kLaps;
  viewer.is_history_done = !request.history() && !request.live();
  viewer.drained_at = now;
  viewers_.insert_or_assign(id, std::move(viewer));
  if (!request.live() || request.events_only()) return;
  for (const auto& [car, values] : latest_) {
    if (!request.car().empty() && car != request.car()) continue;
    words::Frame frame;
    words::LiveView* live = frame.mutable_live_view();
    live->set_car(car);
    live->set_wall_time_ms(latest_wall_ms_[car]);
    for (const auto& [channel, value] : values) {
      *live->add_values() = value;
      if (live->values_size() < kMaxLiveValues) continue;
      send(id, viewers_[id], shared(frame));
      live->clear_values();
    }
    if (live->values_size() > 0) send(id, viewers_[id], shared(frame));
  }
}

Status Viewers::add_page(ConnectionId id, const RoomState& state, Clock::time_point now) {
  Viewer& viewer = viewers_[id];
  viewer.is_page = true;
  viewer.wants_live = true;
  viewer.drained_at = now;
  send(id, viewer, shared(welcome_view(store_.summary())));
  Status sent = send_laps(id, viewer);
  if (!sent.ok()) return sent;
  for (const auto& [car, values] : latest_) {
    words::LiveView live;
    live.set_car(car);
    live.set_wall_time_ms(latest_wall_ms_[car]);
    for (const auto& [channel, value] : values) *live.add_values() = value;
    send(id, viewer, shared(live_view(live)));
  }
  send(id, viewer, shared(state_view(state)));
  return {};
}

Status Viewers::send_laps(ConnectionId id, Viewer& viewer) {
  const auto laps = store_.laps();
  if (!laps.ok()) return laps.status();
  const std::span<const words::Lap> all = laps.value();
  for (std::size_t at = 0; at < all.size(); at += kLapsPerView) {
    const std::size_t count = std::min(kLapsPerView, all.size() - at);
    send(id, viewer, shared(laps_view(all.subspan(at, count))));
  }
  viewer.needs_laps = false;
  return {};
}

bool Viewers::wants(const Viewer& viewer, const RoomEntry& entry) const {
  if (viewer.which == RoomStore::Which::kEvents && entry.is_batch()) return false;
  return viewer.car.empty() || entry.car.empty() || entry.car == viewer.car;
}

std::vector<SharedFrame> Viewers::parts_of(const RoomEntry& entry) const {
  std::vector<SharedFrame> parts;
  const RoomFile& file = store_.files().at(entry.file);
  for (std::size_t offset = 0; offset < entry.bytes.size(); offset += kPartBytes) {
    words::Frame frame;
    words::Part* part = frame.mutable_part();
    part->set_incarnation(file.incarnation);
    part->set_first(entry.first);
    part->set_last(entry.last);
    part->set_kind(entry.is_batch() ? words::BATCH : words::EVENT);
    part->set_lane(words::LIVE);
    part->set_offset(offset);
    part->set_total(entry.bytes.size());
    part->set_bytes(entry.bytes.substr(offset, kPartBytes));
    if (offset == 0) {
      for (std::size_t at = 0; at < entry.hashes.size(); at += 16) {
        part->add_hashes(entry.hashes.substr(at, 16));
      }
      part->set_car(entry.car);
      part->set_box_id(file.box.raw());
      for (const std::uint64_t prefix : entry.definitions) {
        const DefinitionPtr definition = store_.definition(prefix);
        if (definition != nullptr) part->add_definitions(raw_name(*definition));
      }
    }
    parts.push_back(shared(frame));
  }
  return parts;
}

void Viewers::send_definitions(ConnectionId id, Viewer& viewer, const RoomEntry& entry) {
  for (const std::uint64_t prefix : entry.definitions) {
    const DefinitionPtr definition = store_.definition(prefix);
    if (definition == nullptr || !viewer.definitions.insert(prefix).second) continue;
    words::Frame frame;
    frame.mutable_definition()->set_name(raw_name(*definition));
    frame.mutable_definition()->set_content(std::string(definition->bytes()));
    send(id, viewer, shared(frame));
  }
}

void Viewers::send_entry(ConnectionId id, Viewer& viewer, const RoomEntry& entry,
                         const std::vector<SharedFrame>& parts) {
  send_definitions(id, viewer, entry);
  for (const SharedFrame& part : parts) send(id, viewer, part);
  ++counters_.entries_sent;
}

void Viewers::committed(const std::vector<RoomEntry>& entries) {
  for (const RoomEntry& entry : entries) {
    std::vector<SharedFrame> parts;
    SharedFrame text;
    for (auto& [id, viewer] : viewers_) {
      const bool has_room = outbound_.queued_bytes(id) < kPauseBytes;
      if (viewer.is_page) {
        if (text == nullptr) text = page_text(entry);
        if (text == nullptr) continue;
        if (has_room) {
          send(id, viewer, text);
        } else {
          viewer.needs_laps = true;
        }
        continue;
      }
      // One that has missed an entry reads on from the store until it has caught up.
      const bool keeps_up = viewer.live_cursor == entry.id - 1;
      if (!viewer.wants_live || !keeps_up || !has_room) continue;
      viewer.live_cursor = entry.id;
      if (!wants(viewer, entry)) continue;
      if (parts.empty()) parts = parts_of(entry);
      send_entry(id, viewer, entry, parts);
    }
  }
}

void Viewers::remember(const words::LiveView& view) {
  if (latest_.size() >= kMaxCars && !latest_.contains(view.car())) return;
  auto& channels = latest_[view.car()];
  latest_wall_ms_[view.car()] = view.wall_time_ms();
  for (const words::LiveValue& value : view.values()) {
    if (channels.size() >= kMaxChannelsPerCar && !channels.contains(value.channel())) continue;
    channels[value.channel()] = value;
  }
}

void Viewers::live(const words::LiveView& view, const SharedFrame& frame) {
  remember(view);
  SharedFrame text;
  for (auto& [id, viewer] : viewers_) {
    const bool is_unwanted = !viewer.wants_live || viewer.which == RoomStore::Which::kEvents ||
                             (!viewer.car.empty() && viewer.car != view.car());
    if (is_unwanted) continue;
    if (outbound_.queued_bytes(id) >= kShedBytes) {
      ++counters_.live_views_shed;
      continue;
    }
    if (viewer.is_page && text == nullptr) text = shared(live_view(view));
    send(id, viewer, viewer.is_page ? text : frame);
    ++counters_.live_views_sent;
  }
}

void Viewers::state(const RoomState& state) {
  SharedFrame text;
  for (auto& [id, viewer] : viewers_) {
    if (!viewer.is_page || outbound_.queued_bytes(id) >= kShedBytes) continue;
    if (text == nullptr) text = shared(state_view(state));
    send(id, viewer, text);
  }
}

Result<bool> Viewers::pump_page(ConnectionId id, Viewer& viewer, std::int64_t& cursor,
                                const RoomStore::PageRequest& request) {
  auto page = store_.page(request);
  if (!page.ok()) return page.status();
  for (const RoomEntry& entry : page.value().entries) {
    send_entry(id, viewer, entry, parts_of(entry));
  }
  if (&cursor == &viewer.history_cursor) viewer.history_entries += page.value().entries.size();
  cursor = page.value().cursor;
  return true;
}

// One page: of what it missed live first, else of history. True if there may be more to do.
Result<bool> Viewers::pump(ConnectionId id, Viewer& viewer) {
  if (outbound_.queued_bytes(id) >= kPauseBytes / 2) return false;
  if (viewer.is_page) {
    if (!viewer.needs_laps) return false;
    Status sent = send_laps(id, viewer);
    if (!sent.ok()) return sent;
    return false;
  }
  if (viewer.wants_live && viewer.live_cursor < store_.last_committed()) {
    return pump_page(id, viewer, viewer.live_cursor,
                     {viewer.which, viewer.car, viewer.live_cursor, store_.last_committed(),
                      kEntriesPerPage, kPauseBytes / 2});
  }
  if (viewer.is_history_done) return false;
  if (viewer.history_cursor < viewer.history_end) {
    return pump_page(id, viewer, viewer.history_cursor,
                     {viewer.history, viewer.car, viewer.history_cursor, viewer.history_end,
                      kEntriesPerPage, kPauseBytes / 2});
  }
  words::Frame frame;
  frame.mutable_history_end()->set_entries(viewer.history_entries);
  send(id, viewer, shared(frame));
  viewer.is_history_done = true;
  return false;
}

bool Viewers::is_stalled(ConnectionId id, Viewer& viewer, Clock::time_point now) {
  const std::size_t queued = outbound_.queued_bytes(id);
  const std::uint64_t drained = viewer.bytes_sent - std::min(viewer.bytes_sent, queued);
  if (queued == 0 || drained != viewer.bytes_drained) {
    viewer.bytes_drained = drained;
    viewer.drained_at = now;
  }
  return now - viewer.drained_at >= stall_limit_;
}

Result<bool> Viewers::step(Clock::time_point now) {
  bool has_more = false;
  std::vector<ConnectionId> stalled;
  for (auto& [id, viewer] : viewers_) {
    if (is_stalled(id, viewer, now)) stalled.push_back(id);
    const auto pumped = pump(id, viewer);
    if (!pumped.ok()) return pumped.status();
    has_more = has_more || pumped.value();
  }
  for (const ConnectionId id : stalled) {
    ++counters_.too_slow;
    viewers_.erase(id);
    outbound_.close(id, CloseCode::kTooSlow, "nothing was taken for too long");
  }
  return has_more;
}

}  // namespace pitbox
